"""The configuration of an experiment, checked and with every default filled in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from exprec.recorder.diagnostics import show_value
from exprec.recorder.documents import Document, document_of, read_document
from exprec.recorder.events import optimization
from exprec.recorder.experiment.config_checks import PAYMENTS, CheckedConfig, check_config
from exprec.recorder.experiment.constraints import PolicyConstraints, build_constraints
from exprec.recorder.experiment.evaluation import user_module

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_SectionType = TypeVar("_SectionType", bound="DataclassInstance")

RULES = 2
"""The number of the rules by which this version executes an experiment: loop, prompts, search and convergence.

A new number is a change of what an experiment records.
"""
_FIRST_RULES = 1
"""Those of exprec 0.1, which recorded no number."""

DEFAULT_HISTORY_LIMIT = 20
"""The number of earlier proposals in a request to a model."""

_SAME_MODE = {"deterministic": "deterministic-pairwise"}


@dataclass(frozen=True, slots=True)
class AcceptanceConfig:
    """What a proposal needs besides a lower cost; None means no limit."""

    require_statistical_significance: bool = False
    max_coefficient_of_variation: float | None = None
    min_settlement_rate: float | None = None


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """How policies are evaluated: the length of a simulation in ticks, and the number of simulations (samples)."""

    ticks: int
    mode: str = "bootstrap"
    num_samples: int | None = 10
    acceptance: AcceptanceConfig = AcceptanceConfig()


@dataclass(frozen=True, slots=True)
class ConvergenceConfig:
    """When an experiment stops; thresholds are fractions, and the window is a number of iterations."""

    max_iterations: int = 50
    stability_threshold: float = 0.05
    stability_window: int = 5
    cv_threshold: float = 0.03
    regret_threshold: float = 0.10


@dataclass(frozen=True, slots=True)
class CostsConfig:
    """The unit of costs, and their type; those of the payment simulator are integer cents."""

    unit: str = optimization.CENTS
    type: Literal["integer", "number"] = "integer"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The model or other proposer, and its settings; None is the proposer's own default.

    `model` is the recorded name. For a script, it is `scripted:<file name>#sha256=<digest>`, which depends on the
    answers and not on their path; `script` is that path.
    """

    model: str
    temperature: float = 0.0
    max_retries: int = 3
    timeout_seconds: float = 120.0
    max_failed_rounds: int = 3
    history_limit: int = DEFAULT_HISTORY_LIMIT
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
        """The name of the model in events and exchanges: that of a script has no folder and no digest."""
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
    """The configuration of one experiment, valid and complete.

    `load` reads it from a file, `from_mapping` takes it from a program. Treat its mappings as read-only.
    """

    name: str
    scenario: dict[str, Any]
    """The scenario as the simulator takes it; for the payment simulator, amounts in cents and times in ticks."""
    optimized_agents: tuple[str, ...]
    """The ids of the agents that are optimized, in this order."""
    evaluation: EvaluationConfig
    llm: ModelConfig
    description: str = ""
    simulator: str = PAYMENTS
    """`payments`, or `module:callable#sha256=<digest>` for a custom one, which depends on its sources, not on their
    path."""
    costs: CostsConfig = CostsConfig()
    master_seed: int = 42
    convergence: ConvergenceConfig = ConvergenceConfig()
    policy_constraints: PolicyConstraints | None = None
    starting_policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The policies to start from by agent; without one, an agent starts from that of the scenario, or the default."""
    prompt_customization: dict[str, str] = field(default_factory=dict)
    output_directory: str | None = None
    warnings: tuple[str, ...] = ()
    """Messages for the user about settings without effect."""
    function: user_module.UserFunction | None = field(default=None, compare=False, repr=False)
    """The custom simulator; None if its module was not found, which a recorded configuration allows."""
    files: tuple[Path, ...] = field(default=(), compare=False, repr=False)
    """The files that it was read from, the modules of a custom simulator included."""

    @classmethod
    def load(
        cls, path: Path, *, seed: int | None = None, model: str | None = None, imports: bool = True
    ) -> ExperimentConfig:
        """Read an experiment file, and the files that it names, relative to its folder.

        Args:
            path: The experiment file (YAML, TOML or JSON).
            seed: Replaces `master_seed`.
            model: Replaces `llm.model`; a script that it names is relative to the working directory.
            imports: Whether a custom simulator is imported; if not, the configuration is not complete.

        Raises:
            InvalidInput: The experiment is not valid; it has every problem of all files.
        """
        return cls.from_document(read_document(path), path.parent, seed=seed, model=model, imports=imports)

    @classmethod
    def from_mapping(
        cls, value: Mapping[str, Any], config_dir: Path, *, seed: int | None = None, model: str | None = None
    ) -> ExperimentConfig:
        """Check an experiment given as a mapping; files that it names are relative to `config_dir`. See `load`."""
        return cls.from_document(document_of(dict(value)), config_dir, seed=seed, model=model)

    @classmethod
    def from_document(
        cls,
        document: Document,
        config_dir: Path,
        *,
        seed: int | None = None,
        model: str | None = None,
        imports: bool = True,
    ) -> ExperimentConfig:
        """Check an experiment that was read already; files that it names are relative to `config_dir`. See `load`."""
        checked = check_config(document, config_dir, rules=RULES, seed=seed, model=model, imports=imports)
        value = checked.value
        return cls(
            name=value["name"],
            scenario=checked.scenario,
            optimized_agents=tuple(value["optimized_agents"]),
            evaluation=_build_evaluation(value["evaluation"]),
            llm=_build_model(checked),
            costs=_build_section(CostsConfig, value.get("costs") or {}),
            convergence=_build_section(ConvergenceConfig, value["convergence"] or {}),
            policy_constraints=build_constraints(value.get("policy_constraints")),
            starting_policies=checked.starting_policies,
            prompt_customization=value.get("prompt_customization") or {},
            output_directory=(value.get("output") or {}).get("directory"),
            warnings=checked.warnings,
            simulator=_simulator_name(checked),
            function=checked.function,
            files=checked.files,
            **{key: value[key] for key in ("description", "master_seed") if key in value},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of config.json: everything that can change the result or the record, and nothing else.

        It contains no path, and is itself an experiment that loads to this configuration on any machine.
        """
        evaluation, convergence, llm = self.evaluation, self.convergence, self.llm
        resolved: dict[str, Any] = {
            "rules": RULES,
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
            "llm": _set_fields(llm, "timeout_seconds", "max_failed_rounds", "script", "script_digest"),
        }
        if llm.history_limit == DEFAULT_HISTORY_LIMIT:
            # It means nothing to `search`, whose runs need not depend on it.
            del resolved["llm"]["history_limit"]
        if evaluation.mode == "bootstrap":
            resolved["evaluation"]["num_samples"] = evaluation.num_samples
        if self.costs != CostsConfig():
            resolved["costs"] = _set_fields(self.costs)
        if self.policy_constraints is not None:
            resolved["policy_constraints"] = _resolved_constraints(self.policy_constraints)
        if self.starting_policies:
            resolved["starting_policies"] = copy.deepcopy(self.starting_policies)
        if self.prompt_customization:
            resolved["prompt_customization"] = dict(self.prompt_customization)
        return resolved


def describe_other_rules(recorded: Mapping[str, Any]) -> str | None:
    """Return which other rules made the run with this config.json; None if it was made by those of this version."""
    rules = recorded.get("rules", _FIRST_RULES)
    if rules == RULES:
        return None
    return f"made by rules {show_value(rules)}{' (exprec 0.1)' if rules == _FIRST_RULES else ''}"


def _build_section(section_type: type[_SectionType], section: Mapping[str, Any]) -> _SectionType:
    """The dataclass of a section: each field from the key of the same name, else its default."""
    values: dict[str, Any] = {}
    for each in fields(section_type):
        if each.name in section:
            value = section[each.name]
            # 1 and 1.0 are the same setting, and must be recorded as the same bytes.
            is_float = str(each.type).startswith("float") and value is not None
            values[each.name] = float(value) if is_float else value
    return section_type(**values)


def _build_evaluation(section: Mapping[str, Any]) -> EvaluationConfig:
    acceptance = _build_section(AcceptanceConfig, section.get("acceptance") or {})
    evaluation = _build_section(EvaluationConfig, {**section, "acceptance": acceptance})
    return replace(evaluation, mode=_SAME_MODE.get(evaluation.mode, evaluation.mode))


def _build_model(checked: CheckedConfig) -> ModelConfig:
    model = _build_section(ModelConfig, {**checked.value["llm"], "system_prompt": checked.system_prompt})
    if checked.script is None:
        return model
    path, digest = checked.script.path, checked.script.digest
    return replace(model, model=f"scripted:{path.name}#sha256={digest}", script=path, script_digest=digest)


def _simulator_name(checked: CheckedConfig) -> str:
    if checked.function is not None:
        return f"{checked.function.name}#sha256={checked.function.digest}"
    name: str = checked.value.get("simulator", PAYMENTS)
    return name


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
    """The fields of a dataclass that are not None, by name."""
    values = {each.name: getattr(section, each.name) for each in fields(section) if each.name not in left_out}
    return {name: copy.deepcopy(value) for name, value in values.items() if value is not None}
