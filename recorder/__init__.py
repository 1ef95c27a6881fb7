"""exprec's library: run experiments, record every event, and read back what was recorded.

These are its public names; each is imported from its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exprec.recorder.declared import EventTypes as EventTypes
    from exprec.recorder.errors import ExprecError as ExprecError
    from exprec.recorder.optimize.config import ExperimentConfig as ExperimentConfig
    from exprec.recorder.optimize.loop import ExperimentResult as ExperimentResult
    from exprec.recorder.optimize.loop import OptimizationLoop as OptimizationLoop
    from exprec.recorder.optimize.recorded import RecordedProposer as RecordedProposer
    from exprec.recorder.optimize.runner import GenericExperimentRunner as GenericExperimentRunner
    from exprec.recorder.python import Run as Run
    from exprec.recorder.python import record as record
    from exprec.recorder.secrets import SecretGuard as SecretGuard
    from exprec.recorder.state.protocol import ExperimentStateProvider as ExperimentStateProvider
    from exprec.recorder.state.provider import LiveStateProvider as LiveStateProvider
    from exprec.recorder.state.provider import StoredStateProvider as StoredStateProvider
    from exprec.recorder.store.rundir import RunDirectory as RunDirectory
    from exprec.recorder.store.store import Store as Store
    from exprec.recorder.store.store import find_run as find_run
    from exprec.recorder.verbosity import VerboseConfig as VerboseConfig

_MODULES = {
    "EventTypes": "declared",
    "ExperimentConfig": "optimize.config",
    "ExperimentResult": "optimize.loop",
    "ExperimentStateProvider": "state.protocol",
    "ExprecError": "errors",
    "GenericExperimentRunner": "optimize.runner",
    "LiveStateProvider": "state.provider",
    "OptimizationLoop": "optimize.loop",
    "RecordedProposer": "optimize.recorded",
    "Run": "python",
    "RunDirectory": "store.rundir",
    "SecretGuard": "secrets",
    "Store": "store.store",
    "StoredStateProvider": "state.provider",
    "VerboseConfig": "verbosity",
    "find_run": "store.store",
    "record": "python",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    # Lazily, so that a command that only reads logs does not import the simulator.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
