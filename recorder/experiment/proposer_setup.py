"""What an experiment's `llm.model` names, made ready to be asked, and what it may vary.

How a proposer works is told in the package `recorder.proposers`.
"""

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
    """The proposer that a model's name stands for; a script that has no path yet is looked for in `config_dir`.

    Raises InvalidInput when there is none here.
    """
    if model.model == "search":
        return SearchProposer()
    if model.model.startswith(_SCRIPTED):
        name, _, digest = model.model.removeprefix(_SCRIPTED).partition("#sha256=")
        return ScriptedProposer(model.script or config_dir / name, digest or None)
    return ModelProposer(model.model, model.request_settings, model.timeout_seconds)


def search_space(constraints: PolicyConstraints | None) -> tuple[Parameter, ...]:
    """The parameters a proposal may change; where the experiment does not say, the liquidity fraction."""
    if constraints is None or constraints.allowed_parameters is None:
        return (LIQUIDITY,)
    return tuple(
        Parameter(allowed.name, allowed.param_type, allowed.min_value, allowed.max_value, allowed.allowed_values)
        for allowed in constraints.allowed_parameters
    )
