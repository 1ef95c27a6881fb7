"""The proposer that an experiment names, and the parameters that it may change."""

from __future__ import annotations

from pathlib import Path

from exprec.recorder.experiment.config import ModelConfig
from exprec.recorder.experiment.constraints import PolicyConstraints
from exprec.recorder.proposers.model import ModelProposer
from exprec.recorder.proposers.protocol import Parameter, Proposer
from exprec.recorder.proposers.scripted import ScriptedProposer
from exprec.recorder.proposers.search import LIQUIDITY, SearchProposer

_SCRIPTED = "scripted:"


def load_proposer(model: ModelConfig, config_dir: Path) -> Proposer:
    """Load the proposer that `llm.model` names; a script without a path is looked for in `config_dir`.

    Raises InvalidInput when the proposer cannot be used here.
    """
    if model.model == "search":
        return SearchProposer()
    if model.model.startswith(_SCRIPTED):
        name, _, digest = model.model.removeprefix(_SCRIPTED).partition("#sha256=")
        return ScriptedProposer(model.script or config_dir / name, digest or None)
    return ModelProposer(model.model, model.request_settings, model.timeout_seconds)


def search_space(constraints: PolicyConstraints | None) -> tuple[Parameter, ...]:
    """The parameters that a proposal may change; by default the liquidity fraction."""
    if constraints is None or constraints.allowed_parameters is None:
        return (LIQUIDITY,)
    return tuple(
        Parameter(allowed.name, allowed.param_type, allowed.min_value, allowed.max_value, allowed.allowed_values)
        for allowed in constraints.allowed_parameters
    )
