"""exprec's library: run experiments, record every event, and read back what was recorded.

These are its public names; each is imported from its module when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.diagnostics import SecretGuard as SecretGuard
    from exprec.recorder.diff import DiffResult as DiffResult
    from exprec.recorder.display import VerboseConfig as VerboseConfig
    from exprec.recorder.errors import ExprecError as ExprecError
    from exprec.recorder.events import EventTypes as EventTypes
    from exprec.recorder.experiment.config import ExperimentConfig as ExperimentConfig
    from exprec.recorder.experiment.loop import ExperimentResult as ExperimentResult
    from exprec.recorder.experiment.loop import OptimizationLoop as OptimizationLoop
    from exprec.recorder.experiment.runner import GenericExperimentRunner as GenericExperimentRunner
    from exprec.recorder.proposers.recorded import RecordedProposer as RecordedProposer
    from exprec.recorder.replay.reexecution import RerunResult as RerunResult
    from exprec.recorder.replay.reexecution import rerun as rerun
    from exprec.recorder.sessions.python import Run as Run
    from exprec.recorder.sessions.python import record as record
    from exprec.recorder.state.protocol import ExperimentStateProvider as ExperimentStateProvider
    from exprec.recorder.state.provider import LiveStateProvider as LiveStateProvider
    from exprec.recorder.state.provider import StoredStateProvider as StoredStateProvider
    from exprec.recorder.store.run_directory import RunDirectory as RunDirectory
    from exprec.recorder.store.store import Store as Store
    from exprec.recorder.store.store import find_run as find_run

_MODULES = {
    "DiffResult": "diff",
    "EventTypes": "events",
    "ExperimentConfig": "experiment.config",
    "ExperimentResult": "experiment.loop",
    "ExperimentStateProvider": "state.protocol",
    "ExprecError": "errors",
    "GenericExperimentRunner": "experiment.runner",
    "LiveStateProvider": "state.provider",
    "OptimizationLoop": "experiment.loop",
    "RecordedProposer": "proposers.recorded",
    "RerunResult": "replay.reexecution",
    "Run": "sessions.python",
    "RunDirectory": "store.run_directory",
    "SecretGuard": "diagnostics.secret_guard",
    "Store": "store.store",
    "StoredStateProvider": "state.provider",
    "VerboseConfig": "display",
    "find_run": "store.store",
    "record": "sessions.python",
    "rerun": "replay.reexecution",
}

if not TYPE_CHECKING:
    # Lazily, so that a command that only reads logs does not import the simulator.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
