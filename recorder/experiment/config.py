"""The experiment as its user wrote it, checked and with every default filled in.

It runs nothing. What an experiment file may say is told in schemas/experiment.v1.schema.json, what must
hold besides that in `config_checks`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from exprec.recorder.documents.loader import Document, document_of, read_document
from exprec.recorder.experiment.config_checks import PAYMENTS, Checked, checked
from exprec.recorder.experiment.constraints import ParameterConstraint, PolicyConstraints
from exprec.recorder.experiment.evaluation.user_module import UserFunction

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Section = TypeVar("_Section", bound="DataclassInstance")

_SAME_MODE = {"deterministic": "deterministic-pairwise"}


@dataclass(frozen=True, slots=True)
class AcceptanceConfig:
    """What a new policy needs besides a lower cost; None where there is no limit."""

    require_statistical_significance: bool = False
    max_coefficient_of_variation: float | None = None
    min_settlement_rate: float | None = None


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """How policies are evaluated: `ticks` is the length of a simulation, `num_samples` counts its seeds."""

    ticks: int
    mode: str = "bootstrap"
    num_samples: int | None = 10
    acceptance: AcceptanceConfig = AcceptanceConfig()


@dataclass(frozen=True, slots=True)
class ConvergenceConfig:
    """When an experiment stops: thresholds are fractions, the window counts iterations."""

    max_iterations: int = 50
    stability_threshold: float = 0.05
    stability_window: int = 5
    cv_threshold: float = 0.03
    regret_threshold: float = 0.10


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Who proposes policies, and how it is asked; None where the proposer's own default holds.

    `model` is the name that is recorded. For a script that is `scripted:<file name>#sha256=<digest>`: the
    answers count, not where they lie; `script` is where they are to be read.
    """

    model: str
    temperature: float = 0.0
    max_retries: int = 3
    timeout_seconds: float = 120.0
    reasoning_effort: str | None = None
    thinking_budget: int | None = None
    reasoning_summary: str | None = None
    max_tokens: int | None = None
    thinking_config: dict[str, Any] | None = None
    system_prompt: str | None = None
    script: Path | None = None
    script_digest: str | None = None

    @property
    def display_name(self) -> str:
        """The model as people know it: a script without folder and digest."""
        return f"scripted:{self.script.name}" if self.script else self.model

    @property
    def request_settings(self) -> dict[str, Any]:
        """The settings in a request, beside its messages: those that are given and can change an answer."""
        settings = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "reasoning_effort": self.reasoning_effort,
            "reasoning_summary": self.reasoning_summary,
            "thinking_budget": self.thinking_budget,
            "thinking_config": self.thinking_config,
        }
        return {key: value for key, value in settings.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ExperimentConfig:
    """One experiment, ready to run. Treat `scenario` and the other mappings as read-only.

    `simulator` is `payments`, or for a function of the user's `module:callable#sha256=<digest>`: its sources
    count, not where they lie. `function` is that function, None where its module was not to be found.
    `optimized_agents` are in the order of optimisation, `warnings` are what its user should be told.
    """

    name: str
    scenario: dict[str, Any]
    optimized_agents: tuple[str, ...]
    evaluation: EvaluationConfig
    llm: ModelConfig
    description: str = ""
    simulator: str = PAYMENTS
    master_seed: int = 42
    convergence: ConvergenceConfig = ConvergenceConfig()
    policy_constraints: PolicyConstraints | None = None
    prompt_customization: dict[str, str] = field(default_factory=dict)
    output_directory: str | None = None
    warnings: tuple[str, ...] = ()
    function: UserFunction | None = field(default=None, compare=False, repr=False)

    @classmethod
    def load(cls, path: Path, *, seed: int | None = None, model: str | None = None) -> ExperimentConfig:
        """Read an experiment file and the files it names, which are looked for in its folder.

        `seed` and `model` take the place of master_seed and llm.model; a script named by `model` is looked
        for from the working directory. Raises InvalidInput with every problem of all these files.
        """
        return cls.from_document(read_document(path), path.parent, seed=seed, model=model)

    @classmethod
    def from_mapping(
        cls, value: Mapping[str, Any], config_dir: Path, *, seed: int | None = None, model: str | None = None
    ) -> ExperimentConfig:
        """The same for a mapping made by a program; files it names are looked for in `config_dir`."""
        return cls.from_document(document_of(dict(value)), config_dir, seed=seed, model=model)

    @classmethod
    def from_document(
        cls, document: Document, config_dir: Path, *, seed: int | None = None, model: str | None = None
    ) -> ExperimentConfig:
        """The same for a document that was read already."""
        found = checked(document, config_dir, seed=seed, model=model)
        value = found.value
        return cls(
            name=value["name"],
            scenario=found.scenario,
            optimized_agents=tuple(value["optimized_agents"]),
            evaluation=_evaluation(value["evaluation"]),
            llm=_model(found),
            convergence=_section(ConvergenceConfig, value["convergence"] or {}),
            policy_constraints=_constraints(value.get("policy_constraints")),
            prompt_customization=value.get("prompt_customization") or {},
            output_directory=(value.get("output") or {}).get("directory"),
            warnings=found.warnings,
            simulator=_simulator(found),
            function=found.function,
            **{key: value[key] for key in ("description", "master_seed") if key in value},
        )

    def resolved(self) -> dict[str, Any]:
        """The content of config.json: all that can change a result or what is recorded, and nothing else.

        It is itself an experiment that loads to this configuration, on any machine: it names no path.
        """
        evaluation, convergence, llm = self.evaluation, self.convergence, self.llm
        resolved: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "scenario": copy.deepcopy(self.scenario),
            "simulator": self.simulator,
            "master_seed": self.master_seed,
            "optimized_agents": list(self.optimized_agents),
            "evaluation": {
                "mode": evaluation.mode,
                "ticks": evaluation.ticks,
                "acceptance": _set_fields(evaluation.acceptance),
            },
            "convergence": _set_fields(convergence),
            "llm": _set_fields(llm, "timeout_seconds", "script", "script_digest"),
        }
        if evaluation.mode == "bootstrap":
            resolved["evaluation"]["num_samples"] = evaluation.num_samples
        if self.policy_constraints is not None:
            resolved["policy_constraints"] = _resolved_constraints(self.policy_constraints)
        if self.prompt_customization:
            resolved["prompt_customization"] = dict(self.prompt_customization)
        return resolved


def _section(kind: type[_Section], section: Mapping[str, Any]) -> _Section:
    """A section's dataclass: each field from the key of its name, else its default."""
    values: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in section:
            value = section[each.name]
            # 1 and 1.0 are one setting, and must become the same bytes.
            is_float = str(each.type).startswith("float") and value is not None
            values[each.name] = float(value) if is_float else value
    return kind(**values)


def _evaluation(section: Mapping[str, Any]) -> EvaluationConfig:
    acceptance = _section(AcceptanceConfig, section.get("acceptance") or {})
    evaluation = _section(EvaluationConfig, {**section, "acceptance": acceptance})
    return replace(evaluation, mode=_SAME_MODE.get(evaluation.mode, evaluation.mode))


def _model(found: Checked) -> ModelConfig:
    model = _section(ModelConfig, {**found.value["llm"], "system_prompt": found.system_prompt})
    if found.script is None:
        return model
    path, digest = found.script.path, found.script.digest
    return replace(model, model=f"scripted:{path.name}#sha256={digest}", script=path, script_digest=digest)


def _simulator(found: Checked) -> str:
    if found.function is not None:
        return f"{found.function.name}#sha256={found.function.digest}"
    name: str = found.value.get("simulator", PAYMENTS)
    return name


def _constraints(section: Mapping[str, Any] | None) -> PolicyConstraints | None:
    if section is None:
        return None
    parameters, names, actions = (section.get(f"allowed_{kind}") for kind in ("parameters", "fields", "actions"))
    return PolicyConstraints(
        allowed_parameters=None if parameters is None else tuple(map(_parameter, parameters)),
        allowed_fields=None if names is None else tuple(names),
        allowed_actions=None if actions is None else {tree: tuple(listed) for tree, listed in actions.items()},
        lsm_enabled=section.get("lsm_enabled", True),
    )


def _parameter(value: Mapping[str, Any]) -> ParameterConstraint:
    number = int if value["param_type"] == "int" else float
    bounds = {key: number(value[key]) for key in ("min_value", "max_value") if value.get(key) is not None}
    allowed = tuple(value.get("allowed_values") or ())
    return ParameterConstraint(
        value["name"], value["param_type"], allowed_values=allowed, description=value.get("description"), **bounds
    )


def _resolved_constraints(constraints: PolicyConstraints) -> dict[str, Any]:
    resolved: dict[str, Any] = {"lsm_enabled": constraints.lsm_enabled}
    if constraints.allowed_parameters is not None:
        parameters = map(_set_fields, constraints.allowed_parameters)
        resolved["allowed_parameters"] = [
            {key: list(value) if isinstance(value, tuple) else value for key, value in parameter.items() if value != ()}
            for parameter in parameters
        ]
    if constraints.allowed_fields is not None:
        resolved["allowed_fields"] = list(constraints.allowed_fields)
    if constraints.allowed_actions is not None:
        resolved["allowed_actions"] = {tree: list(listed) for tree, listed in constraints.allowed_actions.items()}
    return resolved


def _set_fields(section: Any, *left_out: str) -> dict[str, Any]:
    """The fields of a dataclass that are set, by name."""
    values = {each.name: getattr(section, each.name) for each in fields(section) if each.name not in left_out}
    return {name: copy.deepcopy(value) for name, value in values.items() if value is not None}
