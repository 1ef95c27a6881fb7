"""Whether a proposal replaces the policy in force, and the reason in words with the figures.

It sees costs, not policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exprec.recorder.optimize.evaluation import truncated_mean


@dataclass(frozen=True, slots=True)
class Decision:
    """A comparison of two policies on the same seeds; costs and deltas in cents."""

    accepted: bool
    reason: str
    old_cost: int
    new_cost: int
    deltas: tuple[int, ...]


def decide(old_costs: Sequence[int], new_costs: Sequence[int]) -> Decision:
    """Accept what lowers the agent's own cost, summed over the samples; costs in cents, in the same order."""
    deltas = tuple(old - new for old, new in zip(old_costs, new_costs, strict=True))
    lowered = sum(deltas)
    return Decision(
        accepted=lowered > 0,
        reason=_reason(deltas, lowered),
        old_cost=truncated_mean(old_costs),
        new_cost=truncated_mean(new_costs),
        deltas=deltas,
    )


def _reason(deltas: Sequence[int], lowered: int) -> str:
    if len(deltas) == 1:
        where = ""
    else:
        better = sum(delta > 0 for delta in deltas)
        where = f" in total over {len(deltas)} samples, {better} of which are better"
    if lowered > 0:
        return f"lowers the agent's cost by {lowered} cents{where}"
    if lowered < 0:
        return f"raises the agent's cost by {-lowered} cents{where}"
    return f"does not change the agent's cost{where}"
