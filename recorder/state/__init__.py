"""The state of a run: one reducer of events, and the live and the stored provider over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.state.audit import AuditedExchange as AuditedExchange
    from exprec.recorder.state.audit import audit_exchanges as audit_exchanges
    from exprec.recorder.state.protocol import ExperimentStateProvider as ExperimentStateProvider
    from exprec.recorder.state.protocol import ExperimentStateProviderProtocol as ExperimentStateProviderProtocol
    from exprec.recorder.state.provider import DatabaseStateProvider as DatabaseStateProvider
    from exprec.recorder.state.provider import Listener as Listener
    from exprec.recorder.state.provider import LiveStateProvider as LiveStateProvider
    from exprec.recorder.state.provider import StoredStateProvider as StoredStateProvider
    from exprec.recorder.state.reducer import Reducer as Reducer
    from exprec.recorder.state.repository import ExperimentRepository as ExperimentRepository

_MODULES = {
    "AuditedExchange": "audit",
    "DatabaseStateProvider": "provider",
    "ExperimentRepository": "repository",
    "ExperimentStateProvider": "protocol",
    "ExperimentStateProviderProtocol": "protocol",
    "Listener": "provider",
    "LiveStateProvider": "provider",
    "Reducer": "reducer",
    "StoredStateProvider": "provider",
    "audit_exchanges": "audit",
}

if not TYPE_CHECKING:
    # Lazily, because a display needs the protocol alone.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
