"""Proposers: a model, a script, recorded responses, or a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.proposers.client import ClientProposer as ClientProposer
    from exprec.recorder.proposers.client import PolicyClient as PolicyClient
    from exprec.recorder.proposers.protocol import Answer as Answer
    from exprec.recorder.proposers.protocol import Message as Message
    from exprec.recorder.proposers.protocol import Parameter as Parameter
    from exprec.recorder.proposers.protocol import ProposalRequest as ProposalRequest
    from exprec.recorder.proposers.protocol import Proposer as Proposer
    from exprec.recorder.proposers.recorded import RecordedProposer as RecordedProposer
    from exprec.recorder.proposers.registry import load_proposer as load_proposer
    from exprec.recorder.proposers.search import LIQUIDITY as LIQUIDITY

_MODULES = {
    "Answer": "protocol",
    "ClientProposer": "client",
    "LIQUIDITY": "search",
    "Message": "protocol",
    "Parameter": "protocol",
    "PolicyClient": "client",
    "ProposalRequest": "protocol",
    "Proposer": "protocol",
    "RecordedProposer": "recorded",
    "load_proposer": "registry",
}

if not TYPE_CHECKING:
    # Lazily, because a command needs one proposer, if any.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
