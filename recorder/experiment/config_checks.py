"""Checks of an experiment beyond its schema, and reading of the files that it names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exprec import schemas
from exprec.recorder.diagnostics import did_you_mean, key_name, show_value, unknown_word
from exprec.recorder.documents import Document, read_document, read_plain, read_text
from exprec.recorder.errors import InvalidInput, KeyPath, Problem
from exprec.recorder.experiment.constraints import TREES, PolicyConstraints, build_constraints, violations
from exprec.recorder.experiment.evaluation import user_module
from exprec.recorder.payments import check_policy, check_scenario
from exprec.recorder.schema import find_problems

_SCHEMA = "experiment.v2"

PAYMENTS = "payments"
"""The built-in simulator."""

_EVERY_AGENT = "all"
"""The key, beside the ids of agents, for what all of them have."""

_TEMPORAL = "deterministic-temporal"
_NEED_SAMPLES = ("require_statistical_significance", "max_coefficient_of_variation")

_RECORDED_KEYS = {"description", "simulator", "master_seed"}
"""Keys that an experiment may leave out, and a config.json has."""

_PROVIDER = re.compile(r"[A-Za-z][\w-]*:\S+")
_SCRIPTED = "scripted:"
_DIGEST = re.compile(r"#sha256=([0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class Script:
    """A file of scripted answers: its path, and the SHA-256 of its bytes in hex."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class CheckedConfig:
    """A valid experiment, with the content of the files that it names."""

    value: dict[str, Any]
    scenario: dict[str, Any]
    starting_policies: dict[str, Any]
    """By agent: those that are given, for single agents or for all."""
    system_prompt: str | None
    script: Script | None
    function: user_module.UserFunction | None
    files: tuple[Path, ...]
    """All files that it was read from, as far as they are known."""
    warnings: tuple[str, ...]


def check_config(
    document: Document, folder: Path, *, rules: int, seed: int | None, model: str | None, imports: bool = True
) -> CheckedConfig:
    """Check an experiment document and read the files that it names, relative to `folder`.

    `rules` is the number of the rules that the config.json of a run has to have, if `document` is one.
    `seed` and `model` replace master_seed and llm.model; a script that `model` names is relative to the working
    directory. Without `imports`, a custom simulator is not imported: its module only has to be there. Raises
    InvalidInput with every problem of all files.
    """
    value = _overridden(document.value, seed, model)
    check = _ConfigChecker(document, value, folder)
    if not isinstance(value, dict):
        raise InvalidInput(document.every_problem(check.problems))
    scenario = check.scenario()
    prompt = check.system_prompt()
    script = check.model(Path() if model is not None else folder)
    function = check.simulator(imports=imports)
    check.agents(scenario)
    check.ticks(scenario)
    check.constraints()
    policies = check.starting_policies()
    check.acceptance()
    check.settlement()
    check.costs()
    check.rules(rules)
    given: dict[KeyPath, Any] = {("master_seed",): seed, ("llm", "model"): model}
    problems = document.every_problem(_blamed(problem, given) for problem in check.problems)
    if problems:
        raise InvalidInput(problems)
    warnings = tuple(str(problem) for problem in document.locate(_warnings(value)))
    named = [Path(document.source)] if document.source else []
    files = (*named, *check.files, *([script.path] if script else ()), *(function.files if function else ()))
    return CheckedConfig(value, scenario, policies, prompt, script, function, files, warnings)


def _overridden(value: Any, seed: int | None, model: str | None) -> Any:
    if not isinstance(value, dict):
        return value
    if seed is not None:
        value = {**value, "master_seed": seed}
    if model is not None and isinstance(value.get("llm"), dict):
        value = {**value, "llm": {**value["llm"], "model": model}}
    return value


def _blamed(problem: Problem, given: dict[KeyPath, Any]) -> Problem:
    """Attribute a problem to the command line instead of the file if the value came from there."""
    if given.get(problem.path) is None or problem.source is not None:
        return problem
    return replace(problem, key=key_name(problem.path), source="command line")


class _ConfigChecker:
    """Collects problems: those of the schema, then what each method finds in values that match the schema."""

    def __init__(self, document: Document, value: Any, folder: Path) -> None:
        self._document, self._value, self._folder = document, value, folder
        self.problems = find_problems(value, _SCHEMA)
        self.files: list[Path] = []
        """The files of which the content was read."""
        self._wrong = {problem.path for problem in self.problems}
        self._is_payments = isinstance(value, dict) and value.get("simulator", PAYMENTS) == PAYMENTS

    def _add(self, path: KeyPath, message: str) -> None:
        if path not in self._wrong:
            self.problems.append(Problem(path, message))

    def scenario(self) -> dict[str, Any]:
        """The content of the scenario."""
        return self._content("scenario", self._scenario_problems)

    def _content(self, key: str, find_problems_of: Callable[[Any], list[Problem]]) -> dict[str, Any]:
        """The mapping under a key or in the file that it names, in which problems have that file and its lines."""
        given = self._value.get(key)
        if isinstance(given, str) and given:
            try:
                self.files.append(self._folder / given)
                file = read_document(self.files[-1])
            except InvalidInput as error:
                self._unread((key,), error)
                return {}
            self.problems += file.every_problem(find_problems_of(file.value))
            given = file.value
        elif isinstance(given, dict):
            self.problems += self._document.locate(find_problems_of(given), under=(key,))
        return given if isinstance(given, dict) else {}

    def _scenario_problems(self, scenario: Any) -> list[Problem]:
        """The problems of a scenario; that of a custom simulator only has to be a mapping."""
        if self._is_payments:
            return check_scenario(scenario)
        return [] if isinstance(scenario, dict) else [Problem((), "must be a mapping of keys to values")]

    def starting_policies(self) -> dict[str, Any]:
        """The policies to start from by optimized agent, of those that have one."""
        given = self._content("starting_policies", self._policies_problems)
        found = {agent: given.get(agent, given.get(_EVERY_AGENT)) for agent in self._optimized()}
        return {agent: policy for agent, policy in found.items() if policy is not None}

    def _policies_problems(self, policies: Any) -> list[Problem]:
        if not isinstance(policies, dict):
            return [Problem((), "must be a mapping of agents to policies")]
        section, known = self._value.get("policy_constraints"), dict.fromkeys([_EVERY_AGENT, *self._optimized()])
        has_constraints = isinstance(section, dict) and all(
            problem.path[:1] != ("policy_constraints",) for problem in self.problems
        )
        constraints = build_constraints(section) if has_constraints else None
        found = []
        for agent, policy in policies.items():
            problems = self._policy_problems(policy, constraints)
            if agent not in known:
                problems = [Problem((), unknown_word("optimized agent", agent, list(known)))]
            found += [replace(problem, path=(agent, *problem.path)) for problem in problems]
        return found

    def _policy_problems(self, policy: Any, constraints: PolicyConstraints | None) -> list[Problem]:
        if not isinstance(policy, dict):
            return [Problem((), f"must be a policy, not {show_value(policy)}")]
        problems = check_policy(policy) if self._is_payments else _parameters_problems(policy)
        return problems + ([] if constraints is None else violations(policy, constraints))

    def _optimized(self) -> list[str]:
        optimized = self._value.get("optimized_agents")
        return [agent for agent in optimized if isinstance(agent, str)] if isinstance(optimized, list) else []

    def simulator(self, *, imports: bool) -> user_module.UserFunction | None:
        """The custom simulator; None for the built-in one, without `imports`, and if the function does not exist."""
        name = self._value.get("simulator")
        if self._is_payments or not isinstance(name, str) or not name:
            return None
        if user_module.split_name(name) is None:
            self._add(("simulator",), f"must be {PAYMENTS} or module:callable, not {show_value(name)}")
            return None
        try:
            if imports:
                return user_module.load_function(name, self._folder)
            user_module.find_module(name, self._folder)
        except user_module.NotImportable as error:
            # A name with a digest is that of a recorded configuration, which may be read without the module.
            if "#" not in name or not error.is_absent:
                self._add(("simulator",), str(error))
        return None

    def _unread(self, path: KeyPath, error: InvalidInput) -> None:
        """Add the problems of a file: those without a line belong to the key that names the file."""
        for problem in error.problems:
            if problem.line is None:
                self._add(path, str(problem))
            else:
                self.problems.append(problem)

    def system_prompt(self) -> str | None:
        prompt, file = (
            _value_at(self._value, "llm", "system_prompt"),
            _value_at(self._value, "llm", "system_prompt_file"),
        )
        if isinstance(file, str):
            if prompt is not None:
                self._add(("llm", "system_prompt_file"), "excludes system_prompt; give one of the two")
            try:
                self.files.append(self._folder / file)
                return read_text(self.files[-1])
            except InvalidInput as error:
                self._unread(("llm", "system_prompt_file"), error)
        return prompt if isinstance(prompt, str) else None

    def model(self, script_folder: Path) -> Script | None:
        name, path = _value_at(self._value, "llm", "model"), ("llm", "model")
        if not isinstance(name, str) or name == "search":
            return None
        if name.startswith(_SCRIPTED) and name != _SCRIPTED:
            return self._script(script_folder, name.removeprefix(_SCRIPTED))
        if name == _SCRIPTED or not _PROVIDER.fullmatch(name):
            wanted = "search, scripted:<file> or provider:name (such as openai:gpt-5)"
            self._add(path, f"must be {wanted}, not {show_value(name)}")
        return None

    def _script(self, folder: Path, name: str) -> Script | None:
        # A name with a digest is that of a recorded configuration, which may be read without the script.
        if recorded := _DIGEST.search(name):
            return Script(folder / name[: recorded.start()], recorded[1])
        script = folder / name
        try:
            return Script(script, hashlib.sha256(read_plain(script)).hexdigest())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._add(
                ("llm", "model"), f"cannot read the script {script}: {reason}; put it there, or name another file"
            )
            return None

    def agents(self, scenario: dict[str, Any]) -> None:
        ids = self._ids(scenario)
        # Without ids the scenario is invalid, which is reported already.
        if not ids:
            return
        optimized = self._value.get("optimized_agents")
        for index, agent in enumerate(optimized if isinstance(optimized, list) else []):
            if isinstance(agent, str) and agent not in ids:
                self._add(("optimized_agents", index), unknown_word(f"agent {agent!r}", agent, ids))
        customization = self._value.get("prompt_customization")
        for key in customization if isinstance(customization, dict) else {}:
            if key != _EVERY_AGENT and key not in ids:
                self._add(("prompt_customization", key), unknown_word("agent", key, [_EVERY_AGENT, *ids]))

    def _ids(self, scenario: dict[str, Any]) -> list[str]:
        """The ids of the agents; for a custom simulator without any in its scenario, the optimized agents."""
        ids = _agent_ids(scenario)
        if self._is_payments or (ids and len(ids) == len(scenario["agents"])):
            return ids
        return self._optimized()

    def ticks(self, scenario: dict[str, Any]) -> None:
        ticks, day = _value_at(self._value, "evaluation", "ticks"), _value_at(scenario, "simulation", "ticks_per_day")
        if type(ticks) is int and type(day) is int and ticks != day:
            why = "they must be equal, or a simulation would have no end of day"
            self._add(
                ("evaluation", "ticks"), f"is {ticks}, but simulation.ticks_per_day of the scenario is {day}; {why}"
            )

    def constraints(self) -> None:
        parameters = _value_at(self._value, "policy_constraints", "allowed_parameters")
        seen: set[str] = set()
        for index, parameter in enumerate(parameters if isinstance(parameters, list) else []):
            if not isinstance(parameter, dict):
                continue
            here = ("policy_constraints", "allowed_parameters", index)
            name = parameter.get("name")
            if isinstance(name, str) and name in seen:
                self._add((*here, "name"), f"the parameter {name!r} is listed twice")
            seen.add(str(name))
            for key, message in _bound_problems(parameter):
                self._add((*here, key), message)

    def acceptance(self) -> None:
        """Check for acceptance limits that cannot be met, or that are not used."""
        demands = _value_at(self._value, "evaluation", "acceptance")
        mode = _value_at(self._value, "evaluation", "mode", default="bootstrap")
        samples = _value_at(self._value, "evaluation", "num_samples", default=10)
        is_single, found = mode in ("deterministic", "deterministic-pairwise"), f"the mode is {mode}"
        if mode == "bootstrap":
            is_single, found = samples is None or samples == 1, f"evaluation.num_samples is {show_value(samples)}"
        for key, value in demands.items() if isinstance(demands, dict) else ():
            if value is None or value is False:
                continue
            here = ("evaluation", "acceptance", key)
            if mode == _TEMPORAL:
                self._add(here, f"is not used in {mode}, which accepts every valid proposal; leave it out")
            elif is_single and key in _NEED_SAMPLES:
                needed = "takes evaluation.mode bootstrap and evaluation.num_samples of 2 or more"
                self._add(here, f"{needed}, but {found}: a single simulation shows no deviation")

    def settlement(self) -> None:
        path = ("evaluation", "acceptance", "min_settlement_rate")
        if not self._is_payments and _value_at(self._value, *path) is not None:
            self._add(path, f"only the simulator {PAYMENTS} has payments that settle; leave it out or use null")

    def costs(self) -> None:
        if self._is_payments and self._value.get("costs") is not None:
            message = f"is for a simulator of your own; in {PAYMENTS} they are integer cents; leave it out"
            self._add(("costs",), message)

    def rules(self, current: int) -> None:
        """Check the number that only exprec writes, into the config.json of a run."""
        if "rules" not in self._value:
            return
        # A run has every key that has a default, and its scenario.
        if not (self._value.keys() >= _RECORDED_KEYS and isinstance(self._value.get("scenario"), dict)):
            self._add(("rules",), "is for the config.json of a run, and not for an experiment; leave it out")
        elif self._value["rules"] != current:
            found, advice = show_value(self._value["rules"]), f"leave it out to run the experiment by rules {current}"
            self._add(("rules",), f"this version of exprec has rules {current}, not {found}; {advice}")


def _parameters_problems(policy: dict[str, Any]) -> list[Problem]:
    """The problems of a policy for a simulator of the user's, to which its form is left."""
    parameters = policy.get("parameters", {})
    wanted = "must be a mapping of parameters to values"
    return [] if isinstance(parameters, dict) else [Problem(("parameters",), f"{wanted}, not {show_value(parameters)}")]


def _bound_problems(parameter: dict[str, Any]) -> Iterator[tuple[str, str]]:
    kind = parameter.get("param_type")
    bounds = {key: parameter[key] for key in ("min_value", "max_value") if _is_number(parameter.get(key))}
    for key, bound in bounds.items():
        if kind == "enum":
            yield key, "an enum has no bounds; use allowed_values"
        elif kind == "int" and not isinstance(bound, int):
            yield key, f"must be an integer, as the parameter is one, not {show_value(bound)}"
    if kind in ("int", "float") and len(bounds) == 2 and bounds["min_value"] > bounds["max_value"]:
        yield "max_value", f"must be at least min_value, which is {bounds['min_value']}, not {bounds['max_value']}"
    if kind in ("int", "float") and parameter.get("allowed_values") is not None:
        yield "allowed_values", "only an enum has allowed_values; use min_value and max_value"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _agent_ids(scenario: dict[str, Any]) -> list[str]:
    agents = scenario.get("agents")
    listed = [agent.get("id") for agent in agents if isinstance(agent, dict)] if isinstance(agents, list) else []
    return [agent_id for agent_id in listed if isinstance(agent_id, str)]


def _value_at(value: Any, *path: str | int, default: Any = None) -> Any:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


def _warnings(value: dict[str, Any]) -> Iterator[Problem]:
    if _value_at(value, "convergence", "improvement_threshold") is not None:
        yield Problem(("convergence", "improvement_threshold"), "has no effect")
    if _value_at(value, "evaluation", "mode") == _TEMPORAL and _value_at(value, "llm", "model") == "search":
        sweep = "the search learns from what is accepted alone, and deterministic-temporal accepts everything"
        yield Problem(("llm", "model"), f"{sweep}: it walks from one end of each range to the other and back")
    without_use = [key for key in ("database", "verbose") if key in (value.get("output") or {})]
    if without_use:
        verb = "has" if len(without_use) == 1 else "have"
        message = f"{' and '.join(without_use)} {verb} no effect, because runs are stored in files"
        yield Problem(("output",), message)
    if value.get("simulator", PAYMENTS) == PAYMENTS:
        yield from _names_without_effect(value.get("policy_constraints") or {})


def _names_without_effect(constraints: dict[str, Any]) -> Iterator[Problem]:
    """Warn about allowed names that no policy can use: typing errors, or names of another simulator."""
    fields, actions = _known_names()
    for index, name in enumerate(constraints.get("allowed_fields") or ()):
        if name not in fields:
            yield _no_effect("field", name, fields, "allowed_fields", index)
    for tree, names in (constraints.get("allowed_actions") or {}).items():
        if tree not in actions:
            yield _no_effect("tree", tree, list(actions), "allowed_actions", tree)
            continue
        for index, name in enumerate(names):
            if name not in actions[tree]:
                yield _no_effect(f"action of {tree}", name, actions[tree], "allowed_actions", tree, index)


def _no_effect(kind: str, name: str, known: list[str], *path: str | int) -> Problem:
    message = f"{name!r} has no effect, because exprec has no such {kind}{did_you_mean(name, known)}"
    return Problem(("policy_constraints", *path), message)


def _known_names() -> tuple[list[str], dict[str, list[str]]]:
    """The fields that policies can read, and the actions of each of their trees."""
    parts = schemas.load("policy.v1")["$defs"]
    fields: list[str] = parts["value"]["then"]["properties"]["field"]["enum"]

    def actions(node: str) -> list[str]:
        action = parts[node]["allOf"][1]["then"]["properties"]["action"]
        return list(action.get("enum") or [action["const"]])

    nodes = ("node", "bank_node", "collateral_node", "collateral_node")
    return fields, {tree: actions(node) for tree, node in zip(TREES, nodes, strict=True)}
