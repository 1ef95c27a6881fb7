"""The proposers by the names that experiments use."""

from __future__ import annotations

from pathlib import Path

from exprec.recorder.proposers.model import ModelProposer
from exprec.recorder.proposers.protocol import ModelDescription, Proposer
from exprec.recorder.proposers.scripted import ScriptedProposer
from exprec.recorder.proposers.search import SearchProposer

_SCRIPTED = "scripted:"


def load_proposer(model: ModelDescription, config_dir: Path) -> Proposer:
    """Load the proposer that `model` names; a script without a path is relative to `config_dir`.

    Raises InvalidInput when the proposer cannot be used here.
    """
    if model.model == "search":
        return SearchProposer()
    if model.model.startswith(_SCRIPTED):
        name, _, digest = model.model.removeprefix(_SCRIPTED).partition("#sha256=")
        return ScriptedProposer(model.script or config_dir / name, digest or None)
    return ModelProposer(model.model, model.request_settings, model.timeout_seconds)
