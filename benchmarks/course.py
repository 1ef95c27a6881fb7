"""The events of a made-up experiment, as many as asked for, always the same ones: 25 agents improve their policies.

What they mean is of no interest; that they are such as exprec records, valid and in order, is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from exprec.recorder import events

AGENTS = [f"A{number:02}" for number in range(25)]
_BOUNDARIES = 2
"""The events of an iteration in which nobody proposes; as many stand around all iterations."""
_PER_ITERATION = len(AGENTS) + _BOUNDARIES

Recorded = tuple[int, str, Mapping[str, Any]]
"""The iteration, the type and the fields of one event."""


def experiment(count: int, *, seed: int = 0) -> Iterator[Recorded]:
    """An experiment of exactly `count` events; another seed gives other costs.

    Raises ValueError where no whole iterations come to that many events.
    """
    busy, idle = _iterations(count)
    chance = random.Random(seed)
    policies: dict[str, dict[str, Any]] = {agent: {"liquidity": 0.5} for agent in AGENTS}
    totals: list[int] = []
    yield 0, events.EXPERIMENT_START, _start(busy + idle)
    for iteration in range(1, busy + idle + 1):
        costs = {agent: 50_000 + chance.randrange(10_000) for agent in AGENTS}
        totals.append(sum(costs.values()))
        accepted = dict.fromkeys(AGENTS, False)
        yield iteration, events.ITERATION_START, {"total_cost": totals[-1], "costs_per_agent": costs}
        for agent in AGENTS if iteration <= busy else ():
            new = {"liquidity": chance.randrange(1000) / 1000}
            saved = chance.choice((-1, 1)) * chance.randrange(1, 5000)
            yield iteration, events.POLICY_CHANGE, decision(agent, policies[agent], costs[agent], new, saved)
            accepted[agent] = saved > 0
            policies[agent] = new if saved > 0 else policies[agent]
        ending = {"costs_per_agent": costs, "accepted_changes": accepted, "policies": policies}
        yield iteration, events.ITERATION_END, ending
    yield 0, events.EXPERIMENT_END, _end(totals)


def with_one_change(course: Iterable[Recorded], position: int) -> Iterator[Recorded]:
    """The same events, but the first proposal from `position` on that was not accepted costs one cent more."""
    for number, (iteration, kind, fields) in enumerate(course):
        if number >= position and kind == events.POLICY_CHANGE and not fields["accepted"]:
            position = 2**63
            saved = fields["old_cost"] - fields["new_cost"] - 1
            fields = decision(fields["agent_id"], fields["old_policy"], fields["old_cost"], fields["new_policy"], saved)
        yield iteration, kind, fields


def decisions(count: int, samples: int) -> list[dict[str, Any]]:
    """The fields of the first policy changes of an experiment, each judged on so many samples that come out alike."""
    changes = (
        fields for _, kind, fields in experiment(_BOUNDARIES + count * _PER_ITERATION) if kind == events.POLICY_CHANGE
    )
    return [{**fields, "deltas": list(fields["deltas"]) * samples} for fields in islice(changes, count)]


def decision(agent: str, old: Mapping[str, Any], cost: int, new: Mapping[str, Any], saved: int) -> dict[str, Any]:
    """The fields of a policy change that saves so much of a cost, both in cents."""
    said = "lowers" if saved > 0 else "raises"
    return {
        "agent_id": agent,
        "old_policy": old,
        "new_policy": new,
        "old_cost": cost,
        "new_cost": cost - saved,
        "accepted": saved > 0,
        "acceptance_reason": f"{said} the agent's cost by {abs(saved)} cents",
        "deltas": [saved],
    }


def _iterations(count: int) -> tuple[int, int]:
    """How many iterations have a proposal of each agent, and in how many nobody proposes, so that it is `count`
    events."""
    for busy in reversed(range((count - _BOUNDARIES) // _PER_ITERATION + 1)):
        rest = count - _BOUNDARIES - busy * _PER_ITERATION
        if rest >= 0 and rest % _BOUNDARIES == 0 and busy + rest > 0:
            return busy, rest // _BOUNDARIES
    raise ValueError(f"{count} events make no whole iterations")


def _start(iterations: int) -> dict[str, Any]:
    return {
        "experiment_name": "made up",
        "description": "",
        "max_iterations": iterations,
        "num_samples": None,
        "evaluation_mode": "deterministic-pairwise",
        "model": "search",
        "agents": AGENTS,
    }


def _end(totals: list[int]) -> dict[str, Any]:
    return {
        "final_cost": totals[-1],
        "best_cost": min(totals),
        "converged": False,
        "convergence_reason": "max_iterations",
        "num_iterations": len(totals),
    }
