"""Evaluation of policies: seeds, simulators, and processes that simulate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.experiment.evaluation import user_module as user_module
    from exprec.recorder.experiment.evaluation.evaluator import Evaluation as Evaluation
    from exprec.recorder.experiment.evaluation.evaluator import Evaluator as Evaluator
    from exprec.recorder.experiment.evaluation.evaluator import Policies as Policies
    from exprec.recorder.experiment.evaluation.evaluator import Simulator as Simulator
    from exprec.recorder.experiment.evaluation.simulators import Payments as Payments
    from exprec.recorder.experiment.evaluation.simulators import SimulatorSpec as SimulatorSpec
    from exprec.recorder.experiment.evaluation.simulators import UserSimulator as UserSimulator
    from exprec.recorder.experiment.evaluation.simulators import load_simulator as load_simulator
    from exprec.recorder.experiment.evaluation.workers import Workers as Workers

_MODULES = {
    "Evaluation": "evaluator",
    "Evaluator": "evaluator",
    "Payments": "simulators",
    "Policies": "evaluator",
    "Simulator": "evaluator",
    "SimulatorSpec": "simulators",
    "UserSimulator": "simulators",
    "Workers": "workers",
    "load_simulator": "simulators",
    "user_module": "",
}

if not TYPE_CHECKING:
    # Lazily, because the configuration of an experiment is imported in between.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
