"""Everything that can be wrong with a scenario before it is compiled.

Its structure is checked against the schema `scenario.v1`; here stands only what a schema cannot say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.payments.policy.checks import Finding, check_policy, encoding_problems
from exprec.recorder.payments.scenario.distributions import add_up
from exprec.recorder.schema.engine import key_name, problems, unknown_word

MAX_TICKS = 1_000_000
"""The longest day: eleven days have fewer seconds."""


def check_scenario(scenario: Any) -> list[Problem]:
    """Everything wrong with a scenario, each problem at its key; empty when it is valid."""
    if found := encoding_problems(scenario):
        return found
    structure = problems(scenario, "scenario.v1")
    sound = _SoundParts(scenario, structure)
    agents = sound.items("agents")
    ids = _ids(sound, agents)
    findings = [
        *_length_findings(sound),
        *_rate_findings(sound),
        *_id_findings(sound, agents),
        *(finding for path, _ in agents for finding in _arrival_findings(sound, path, ids)),
        *(finding for path, _ in sound.items("scenario_events") for finding in _event_findings(sound, path, ids)),
    ]
    meaning = [Problem(path, message, key_name(path, scenario)) for path, message in findings]
    policies = [problem for path, _ in agents for problem in _policy_problems(sound, scenario, path)]
    return [*structure, *meaning, *policies]


class _SoundParts:
    """The parts of a document in which its schema found no fault, so that their meaning can be checked."""

    def __init__(self, document: Any, faults: Sequence[Problem]) -> None:
        self._document = document
        self._faults = [fault.path for fault in faults]

    def at(self, *path: str | int) -> Any:
        """The part at a path, or None where there is none or it is faulty in itself or in a part of it."""
        if any(fault[: len(path)] == path for fault in self._faults):
            return None
        return self._part(path)

    def items(self, key: str) -> list[tuple[KeyPath, Any]]:
        """The items of a list at the root, sound or not, with their paths."""
        listed = self._part((key,))
        return [((key, index), item) for index, item in enumerate(listed)] if isinstance(listed, list) else []

    def _part(self, path: KeyPath) -> Any:
        part = self._document
        for step in path:
            if isinstance(part, dict):
                part = part.get(step)
            elif isinstance(part, list) and isinstance(step, int):
                part = part[step]
            else:
                return None
        return part


def _ids(sound: _SoundParts, agents: Sequence[tuple[KeyPath, Any]]) -> list[str]:
    """The ids of all agents; none while one is faulty, as it cannot be said then which ids are unknown."""
    ids = [sound.at(*path, "id") for path, _ in agents]
    return [] if None in ids else ids


def _length_findings(sound: _SoundParts) -> Iterator[Finding]:
    ticks = sound.at("simulation", "ticks_per_day")
    if ticks is not None and ticks > MAX_TICKS:
        yield (
            ("simulation", "ticks_per_day"),
            f"must be at most {MAX_TICKS}, not {ticks}: all of a day is kept in memory",
        )


def _rate_findings(sound: _SoundParts) -> Iterator[Finding]:
    rates = sound.at("cost_rates") or {}
    if "eod_penalty" in rates and "eod_penalty_per_transaction" in rates:
        yield ("cost_rates", "eod_penalty"), "is another spelling of eod_penalty_per_transaction; give only one"


def _id_findings(sound: _SoundParts, agents: Sequence[tuple[KeyPath, Any]]) -> Iterator[Finding]:
    seen: dict[str, KeyPath] = {}
    for path, _ in agents:
        agent_id = sound.at(*path, "id")
        if agent_id is None:
            continue
        if agent_id in seen:
            yield (*path, "id"), f"'{agent_id}' is the id of {key_name(seen[agent_id])} already"
        seen.setdefault(agent_id, path)


def _arrival_findings(sound: _SoundParts, agent: KeyPath, ids: Sequence[str]) -> Iterator[Finding]:
    path = (*agent, "arrival_config")
    if sound.at(*path) is not None and len(sound.items("agents")) < 2:
        yield path, "payments can only arrive where there is another agent to receive them"
    weights = sound.at(*path, "counterparty_weights")
    if weights is not None:
        for receiver in weights:
            if ids and receiver not in ids:
                yield (*path, "counterparty_weights", receiver), unknown_word("agent", receiver, list(ids))
        if not add_up(list(weights.values())) > 0:
            yield (*path, "counterparty_weights"), "the sum of the weights must be more than 0"
    deadlines = sound.at(*path, "deadline_range")
    if deadlines is not None and deadlines[0] > deadlines[1]:
        yield (
            (*path, "deadline_range"),
            f"the smallest comes first, but {deadlines[0]} is more than {deadlines[1]}",
        )
    yield from _amount_findings((*path, "amount_distribution"), sound)
    yield from _priority_findings((*path, "priority_distribution"), sound)


def _amount_findings(path: KeyPath, sound: _SoundParts) -> Iterator[Finding]:
    amounts = sound.at(*path) or {}
    if amounts.get("type") == "Uniform" and amounts["max"] <= amounts["min"]:
        yield (*path, "max"), f"must be more than min, {amounts['min']}, not {amounts['max']}"


def _priority_findings(path: KeyPath, sound: _SoundParts) -> Iterator[Finding]:
    priorities = sound.at(*path) or {}
    if priorities.get("type") == "Uniform" and priorities["max"] < priorities["min"]:
        yield (*path, "max"), f"must be at least min, {priorities['min']}, not {priorities['max']}"
    if priorities.get("type") == "Categorical":
        values, weights = priorities["values"], priorities["weights"]
        if len(values) != len(weights):
            yield (*path, "weights"), f"there are {len(weights)} weights for {len(values)} values"
        if not add_up(weights) > 0:
            yield (*path, "weights"), "the sum of the weights must be more than 0"


def _event_findings(sound: _SoundParts, event: KeyPath, ids: Sequence[str]) -> Iterator[Finding]:
    for key in ("from_agent", "to_agent", "agent"):
        agent = sound.at(*event, key)
        # Of an event whose type is unknown, its schema says nothing of the agents.
        if ids and isinstance(agent, str) and agent not in ids:
            yield (*event, key), f"'{agent}' is an {unknown_word('agent', agent, list(ids))}"
    receiver = sound.at(*event, "to_agent")
    if receiver is not None and receiver == sound.at(*event, "from_agent"):
        yield (*event, "to_agent"), f"'{receiver}' is from_agent as well; money moves between two agents"


def _policy_problems(sound: _SoundParts, scenario: Any, agent: KeyPath) -> Iterator[Problem]:
    path = (*agent, "policy")
    policy = sound.at(*path)
    if policy is not None and "payment_tree" in policy:
        for problem in check_policy(policy):
            full = (*path, *problem.path)
            yield replace(problem, path=full, key=key_name(full, scenario))
