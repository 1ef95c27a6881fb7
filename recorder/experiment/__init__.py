"""Optimization experiments: configuration, loop, acceptance and convergence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.experiment.config import ExperimentConfig as ExperimentConfig
    from exprec.recorder.experiment.config import describe_other_rules as describe_other_rules
    from exprec.recorder.experiment.loop import EXPERIMENT_TYPE as EXPERIMENT_TYPE
    from exprec.recorder.experiment.loop import ExperimentResult as ExperimentResult
    from exprec.recorder.experiment.loop import OptimizationLoop as OptimizationLoop
    from exprec.recorder.experiment.loop import OptimizationResult as OptimizationResult
    from exprec.recorder.experiment.loop import PreparedExperiment as PreparedExperiment
    from exprec.recorder.experiment.loop import prepare_experiment as prepare_experiment
    from exprec.recorder.experiment.runner import GenericExperimentRunner as GenericExperimentRunner

_MODULES = {
    "EXPERIMENT_TYPE": "loop",
    "ExperimentConfig": "config",
    "ExperimentResult": "loop",
    "OptimizationResult": "loop",
    "GenericExperimentRunner": "runner",
    "OptimizationLoop": "loop",
    "PreparedExperiment": "loop",
    "describe_other_rules": "config",
    "prepare_experiment": "loop",
}

if not TYPE_CHECKING:
    # Lazily, because `exprec check` needs the configuration, and not the loop.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
