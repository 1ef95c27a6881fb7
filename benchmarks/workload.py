"""Synthetic, deterministic event streams: 25 agents improve their policies. The events are valid and in order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from exprec.recorder.events import optimization

AGENTS = [f"A{number:02}" for number in range(25)]
_BOUNDARIES = 2
"""Number of events of an iteration without proposals, and of events outside of iterations."""
_PER_ITERATION = len(AGENTS) + _BOUNDARIES


class WorkloadEvent(NamedTuple):
    """An event before it is recorded."""

    iteration: int
    event_type: str
    fields: Mapping[str, Any]


def experiment(count: int, *, seed: int = 0) -> Iterator[WorkloadEvent]:
    """Yield an experiment of exactly `count` events; the costs depend on the seed.

    Raises:
        ValueError: No number of whole iterations gives `count` events.
    """
    busy, idle = _split_iterations(count)
    rng = random.Random(seed)
    policies: dict[str, dict[str, Any]] = {agent: {"liquidity": 0.5} for agent in AGENTS}
    totals: list[int] = []
    yield WorkloadEvent(0, optimization.EXPERIMENT_START.event_type, _start_fields(busy + idle))
    for iteration in range(1, busy + idle + 1):
        costs = {agent: 50_000 + rng.randrange(10_000) for agent in AGENTS}
        totals.append(sum(costs.values()))
        accepted = dict.fromkeys(AGENTS, False)
        start = {"total_cost": totals[-1], "costs_per_agent": costs}
        yield WorkloadEvent(iteration, optimization.ITERATION_START.event_type, start)
        for agent in AGENTS if iteration <= busy else ():
            new = {"liquidity": rng.randrange(1000) / 1000}
            saved = rng.choice((-1, 1)) * rng.randrange(1, 5000)
            change = policy_change(agent, policies[agent], costs[agent], new, saved)
            yield WorkloadEvent(iteration, optimization.POLICY_CHANGE.event_type, change)
            accepted[agent] = saved > 0
            policies[agent] = new if saved > 0 else policies[agent]
        ending = {"costs_per_agent": costs, "accepted_changes": accepted, "policies": policies}
        yield WorkloadEvent(iteration, optimization.ITERATION_END.event_type, ending)
    yield WorkloadEvent(0, optimization.EXPERIMENT_END.event_type, _end_fields(totals))


def change_one_event(events_before: Iterable[WorkloadEvent], position: int) -> Iterator[WorkloadEvent]:
    """Yield the same events, except that the first rejected proposal from `position` on costs one cent more."""
    for number, (iteration, event_type, fields) in enumerate(events_before):
        if number >= position and event_type == optimization.POLICY_CHANGE.event_type and not fields["accepted"]:
            position = 2**63
            saved = fields["old_cost"] - fields["new_cost"] - 1
            fields = policy_change(
                fields["agent_id"], fields["old_policy"], fields["old_cost"], fields["new_policy"], saved
            )
        yield WorkloadEvent(iteration, event_type, fields)


def policy_changes(count: int, samples: int) -> list[dict[str, Any]]:
    """Return the fields of the first `count` policy changes, each with `samples` equal sample deltas."""
    changes = (
        event.fields
        for event in experiment(_BOUNDARIES + count * _PER_ITERATION)
        if event.event_type == optimization.POLICY_CHANGE.event_type
    )
    return [{**fields, "deltas": list(fields["deltas"]) * samples} for fields in islice(changes, count)]


def policy_change(agent: str, old: Mapping[str, Any], cost: int, new: Mapping[str, Any], saved: int) -> dict[str, Any]:
    """Return the fields of a policy change that saves `saved` cents of a cost in cents."""
    verb = "lowers" if saved > 0 else "raises"
    return {
        "agent_id": agent,
        "old_policy": old,
        "new_policy": new,
        "old_cost": cost,
        "new_cost": cost - saved,
        "accepted": saved > 0,
        "acceptance_reason": f"{verb} the agent's cost by {abs(saved)} cents",
        "deltas": [saved],
    }


def _split_iterations(count: int) -> tuple[int, int]:
    """Return the numbers of iterations with proposals of all agents and of those without any, for `count` events."""
    for busy in reversed(range((count - _BOUNDARIES) // _PER_ITERATION + 1)):
        rest = count - _BOUNDARIES - busy * _PER_ITERATION
        if rest >= 0 and rest % _BOUNDARIES == 0 and busy + rest > 0:
            return busy, rest // _BOUNDARIES
    raise ValueError(f"{count} events are not a whole number of iterations")


def _start_fields(iterations: int) -> dict[str, Any]:
    return {
        "experiment_name": "made up",
        "description": "",
        "max_iterations": iterations,
        "num_samples": None,
        "evaluation_mode": "deterministic-pairwise",
        "model": "search",
        "agents": AGENTS,
    }


def _end_fields(totals: list[int]) -> dict[str, Any]:
    return {
        "final_cost": totals[-1],
        "best_cost": min(totals),
        "converged": False,
        "convergence_reason": "max_iterations",
        "num_iterations": len(totals),
    }
