"""exprec's library: run experiments, record every event, and read back what was recorded.

These are its public names; each is imported from its module when it is first used.
"""

from __future__ import annotations

from exprec.recorder.exports import TYPE_CHECKING, lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.diagnostics import SecretGuard as SecretGuard
    from exprec.recorder.diff import DiffResult as DiffResult
    from exprec.recorder.display import VerboseConfig as VerboseConfig
    from exprec.recorder.display import display_bootstrap_evaluation as display_bootstrap_evaluation
    from exprec.recorder.display import display_experiment_end as display_experiment_end
    from exprec.recorder.display import display_experiment_output as display_experiment_output
    from exprec.recorder.display import display_experiment_start as display_experiment_start
    from exprec.recorder.display import display_iteration_start as display_iteration_start
    from exprec.recorder.display import display_llm_call as display_llm_call
    from exprec.recorder.display import display_policy_change as display_policy_change
    from exprec.recorder.display import display_policy_rejected as display_policy_rejected
    from exprec.recorder.errors import ExprecError as ExprecError
    from exprec.recorder.errors import Problem as Problem
    from exprec.recorder.events import EventTypes as EventTypes
    from exprec.recorder.experiment import ExperimentConfig as ExperimentConfig
    from exprec.recorder.experiment import ExperimentResult as ExperimentResult
    from exprec.recorder.experiment import GenericExperimentRunner as GenericExperimentRunner
    from exprec.recorder.experiment import OptimizationLoop as OptimizationLoop
    from exprec.recorder.experiment import OptimizationResult as OptimizationResult
    from exprec.recorder.proposers import RecordedProposer as RecordedProposer
    from exprec.recorder.replay import RerunResult as RerunResult
    from exprec.recorder.replay import rerun as rerun
    from exprec.recorder.sessions import Run as Run
    from exprec.recorder.sessions import record as record
    from exprec.recorder.state import DatabaseStateProvider as DatabaseStateProvider
    from exprec.recorder.state import ExperimentRepository as ExperimentRepository
    from exprec.recorder.state import ExperimentStateProvider as ExperimentStateProvider
    from exprec.recorder.state import ExperimentStateProviderProtocol as ExperimentStateProviderProtocol
    from exprec.recorder.state import LiveStateProvider as LiveStateProvider
    from exprec.recorder.state import StoredStateProvider as StoredStateProvider
    from exprec.recorder.store import RunDirectory as RunDirectory
    from exprec.recorder.store import Store as Store
    from exprec.recorder.store import find_run as find_run

_MODULES = {
    "DatabaseStateProvider": "state",
    "DiffResult": "diff",
    "EventTypes": "events",
    "ExperimentConfig": "experiment",
    "ExperimentRepository": "state",
    "ExperimentResult": "experiment",
    "ExperimentStateProvider": "state",
    "ExperimentStateProviderProtocol": "state",
    "ExprecError": "errors",
    "GenericExperimentRunner": "experiment",
    "LiveStateProvider": "state",
    "OptimizationLoop": "experiment",
    "OptimizationResult": "experiment",
    "Problem": "errors",
    "RecordedProposer": "proposers",
    "RerunResult": "replay",
    "Run": "sessions",
    "RunDirectory": "store",
    "SecretGuard": "diagnostics",
    "Store": "store",
    "StoredStateProvider": "state",
    "VerboseConfig": "display",
    "display_bootstrap_evaluation": "display",
    "display_experiment_end": "display",
    "display_experiment_output": "display",
    "display_experiment_start": "display",
    "display_iteration_start": "display",
    "display_llm_call": "display",
    "display_policy_change": "display",
    "display_policy_rejected": "display",
    "find_run": "store",
    "record": "sessions",
    "rerun": "replay",
}

if not TYPE_CHECKING:
    # Lazily, so that a command that only reads logs does not import the simulator.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
