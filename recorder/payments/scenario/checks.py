"""Validation of scenarios: the schema `scenario.v1`, then the rules that a schema cannot express."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from exprec.recorder.diagnostics import key_name, unknown_word
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.payments.policy import Finding, check_policy, encoding_problems
from exprec.recorder.payments.scenario.distributions import sum_in_order
from exprec.recorder.schema import find_problems

_DEEPEST_ASKED = 6
"""Maximum length of the paths that the checks below ask for."""

MAX_TICKS = 1_000_000
"""Maximum length of a day: all its payments and events are kept in memory (a tick of 0.1 s gives 864,000)."""


def check_scenario(scenario: Any) -> list[Problem]:
    """Return every problem of a scenario, with its key; empty if it is valid."""
    if unencodable := encoding_problems(scenario):
        return unencodable
    structure = find_problems(scenario, "scenario.v1")
    sound = _SoundDocument(scenario, structure)
    agents = sound.items("agents")
    ids = _agent_ids(sound, agents)
    findings = [
        *_length_findings(sound),
        *_rate_findings(sound),
        *_id_findings(sound, agents),
        *(finding for path, _ in agents for finding in _arrival_findings(sound, path, ids, len(agents))),
        *(finding for path, _ in sound.items("scenario_events") for finding in _event_findings(sound, path, ids)),
    ]
    semantics = [Problem(path, message, key_name(path, scenario)) for path, message in findings]
    policies = [problem for path, _ in agents for problem in _policy_problems(sound, scenario, path)]
    return [*structure, *semantics, *policies]


class _SoundDocument:
    """Access to the values of a document that are valid by its schema, for the semantic checks."""

    def __init__(self, document: Any, faults: Sequence[Problem]) -> None:
        self._document = document
        # Also of what contains a fault: a search through all faults for each value would take quadratic time.
        self._faulty = {
            fault.path[:length] for fault in faults for length in range(min(len(fault.path), _DEEPEST_ASKED) + 1)
        }

    def at(self, *path: str | int) -> Any:
        """Return the value at a path, or None if it is absent, invalid, or contains an invalid value."""
        if path in self._faulty:
            return None
        return self._value(path)

    def items(self, key: str) -> list[tuple[KeyPath, Any]]:
        """Return the items of a top-level list, valid or not, with their paths."""
        listed = self._value((key,))
        return [((key, index), item) for index, item in enumerate(listed)] if isinstance(listed, list) else []

    def _value(self, path: KeyPath) -> Any:
        value = self._document
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int):
                value = value[step]
            else:
                return None
        return value


class _Agents:
    """The ids of all agents."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = ids
        self._known = frozenset(ids)

    def is_unknown(self, agent_id: str) -> bool:
        """Return whether no agent has this id; False if that cannot be told."""
        return bool(self.ids) and agent_id not in self._known


def _agent_ids(sound: _SoundDocument, agents: Sequence[tuple[KeyPath, Any]]) -> _Agents:
    """Return the ids of all agents, or none if one is invalid: unknown ids cannot be told then."""
    ids = [sound.at(*path, "id") for path, _ in agents]
    return _Agents([] if None in ids else ids)


def _length_findings(sound: _SoundDocument) -> Iterator[Finding]:
    ticks = sound.at("simulation", "ticks_per_day")
    if ticks is not None and ticks > MAX_TICKS:
        yield (
            ("simulation", "ticks_per_day"),
            f"must be at most {MAX_TICKS}, not {ticks}: a whole day is kept in memory",
        )


def _rate_findings(sound: _SoundDocument) -> Iterator[Finding]:
    rates = sound.at("cost_rates") or {}
    if "eod_penalty" in rates and "eod_penalty_per_transaction" in rates:
        yield ("cost_rates", "eod_penalty"), "is an alias of eod_penalty_per_transaction; give only one of them"


def _id_findings(sound: _SoundDocument, agents: Sequence[tuple[KeyPath, Any]]) -> Iterator[Finding]:
    seen: dict[str, KeyPath] = {}
    for path, _ in agents:
        agent_id = sound.at(*path, "id")
        if agent_id is None:
            continue
        if agent_id in seen:
            yield (*path, "id"), f"duplicate id '{agent_id}', already used by {key_name(seen[agent_id])}"
        seen.setdefault(agent_id, path)


def _arrival_findings(sound: _SoundDocument, agent: KeyPath, agents: _Agents, count: int) -> Iterator[Finding]:
    path = (*agent, "arrival_config")
    if sound.at(*path) is not None and count < 2:
        yield path, "arrivals need at least two agents, as another agent must receive the payments"
    weights = sound.at(*path, "counterparty_weights")
    if weights is not None:
        for receiver in weights:
            if agents.is_unknown(receiver):
                yield (*path, "counterparty_weights", receiver), unknown_word("agent", receiver, agents.ids)
        if not sum_in_order(list(weights.values())) > 0:
            yield (*path, "counterparty_weights"), "the sum of the weights must be more than 0"
    deadlines = sound.at(*path, "deadline_range")
    if deadlines is not None and deadlines[0] > deadlines[1]:
        yield (
            (*path, "deadline_range"),
            f"the minimum must come first, but {deadlines[0]} is more than {deadlines[1]}",
        )
    yield from _amount_findings((*path, "amount_distribution"), sound)
    yield from _priority_findings((*path, "priority_distribution"), sound)


def _amount_findings(path: KeyPath, sound: _SoundDocument) -> Iterator[Finding]:
    amounts = sound.at(*path) or {}
    if amounts.get("type") == "Uniform" and amounts["max"] <= amounts["min"]:
        yield (*path, "max"), f"must be more than min, {amounts['min']}, not {amounts['max']}"


def _priority_findings(path: KeyPath, sound: _SoundDocument) -> Iterator[Finding]:
    priorities = sound.at(*path) or {}
    if priorities.get("type") == "Uniform" and priorities["max"] < priorities["min"]:
        yield (*path, "max"), f"must be at least min, {priorities['min']}, not {priorities['max']}"
    if priorities.get("type") == "Categorical":
        values, weights = priorities["values"], priorities["weights"]
        if len(values) != len(weights):
            yield (*path, "weights"), f"there are {len(weights)} weights for {len(values)} values"
        if not sum_in_order(weights) > 0:
            yield (*path, "weights"), "the sum of the weights must be more than 0"


def _event_findings(sound: _SoundDocument, event: KeyPath, agents: _Agents) -> Iterator[Finding]:
    for key in ("from_agent", "to_agent", "agent"):
        agent = sound.at(*event, key)
        # The schema checks the agents of events of known types only.
        if isinstance(agent, str) and agents.is_unknown(agent):
            yield (*event, key), f"'{agent}' is an {unknown_word('agent', agent, agents.ids)}"
    receiver = sound.at(*event, "to_agent")
    if receiver is not None and receiver == sound.at(*event, "from_agent"):
        yield (*event, "to_agent"), f"'{receiver}' is also from_agent; the two agents must be different"


def _policy_problems(sound: _SoundDocument, scenario: Any, agent: KeyPath) -> Iterator[Problem]:
    path = (*agent, "policy")
    policy = sound.at(*path)
    if policy is not None and "payment_tree" in policy:
        for problem in check_policy(policy):
            full = (*path, *problem.path)
            yield replace(problem, path=full, key=key_name(full, scenario))
