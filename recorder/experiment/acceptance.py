"""Whether a proposal replaces the policy in force, and the reason in words with the figures.

It sees costs and counts, neither policies nor simulations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exprec.recorder.experiment.config import AcceptanceConfig
from exprec.recorder.experiment.evaluation.evaluator import truncated_mean
from exprec.recorder.experiment.stats import coefficient_of_variation, mean_interval

_NO_LIMITS = AcceptanceConfig()


@dataclass(frozen=True, slots=True)
class Decision:
    """A comparison of two policies on the same seeds; costs and deltas in cents."""

    accepted: bool
    reason: str
    old_cost: int
    new_cost: int
    deltas: tuple[int, ...]


def decide(
    old_costs: Sequence[int],
    new_costs: Sequence[int],
    limits: AcceptanceConfig = _NO_LIMITS,
    *,
    settled: int = 0,
    arrived: int = 0,
) -> Decision:
    """Accept what lowers the agent's own cost, summed over the samples, and keeps to every limit that is set.

    Costs are in cents, one a sample, old and new in the same order. `settled` and `arrived` count the
    payments under the new policy, over all samples. Raises ValueError when the costs are no pairs.
    """
    deltas = _deltas(old_costs, new_costs)
    found = list(_findings(deltas, new_costs, limits, settled, arrived)) if sum(deltas) > 0 else []
    clauses = [_change(deltas), *(text if is_met else f"but {text}" for is_met, text in found)]
    return Decision(
        accepted=sum(deltas) > 0 and all(is_met for is_met, _ in found),
        reason="; ".join(clauses),
        old_cost=truncated_mean(old_costs),
        new_cost=truncated_mean(new_costs),
        deltas=deltas,
    )


def accept_as_proposed(old_costs: Sequence[int], new_costs: Sequence[int]) -> Decision:
    """Accept without a condition; what it changes is told all the same. Takes and raises what `decide` does."""
    deltas = _deltas(old_costs, new_costs)
    return Decision(
        accepted=True,
        reason=f"accepted as proposed: {_change(deltas)}",
        old_cost=truncated_mean(old_costs),
        new_cost=truncated_mean(new_costs),
        deltas=deltas,
    )


def _deltas(old_costs: Sequence[int], new_costs: Sequence[int]) -> tuple[int, ...]:
    return tuple(old - new for old, new in zip(old_costs, new_costs, strict=True))


def _change(deltas: Sequence[int]) -> str:
    lowered = sum(deltas)
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


def _findings(
    deltas: Sequence[int], new_costs: Sequence[int], limits: AcceptanceConfig, settled: int, arrived: int
) -> Iterator[tuple[bool, str]]:
    """For each limit that is set whether it is kept, and the figures in words."""
    if limits.require_statistical_significance:
        yield _significance(deltas)
    if limits.max_coefficient_of_variation is not None:
        yield _variation(new_costs, limits.max_coefficient_of_variation)
    if limits.min_settlement_rate is not None:
        yield _settlement(settled, arrived, limits.min_settlement_rate)


def _significance(deltas: Sequence[int]) -> tuple[bool, str]:
    """Whether the 95 % confidence interval of the mean saving lies above 0."""
    if len(deltas) < 2:
        return False, "one sample cannot show that this is significant"
    interval = mean_interval(deltas)
    is_met = interval.lower > 0
    bounds = f"{_cents(interval.lower)} to {_cents(interval.upper)} cents"
    word = "significant" if is_met else "not significant"
    return is_met, f"{word}: the 95 % confidence interval of the mean saving is {bounds}"


def _variation(costs: Sequence[int], limit: float) -> tuple[bool, str]:
    """Whether the sample standard deviation of the costs over their mean is at most the limit."""
    if len(costs) < 2:
        return False, "one sample cannot show how much the new costs vary"
    found = coefficient_of_variation(costs, sample=True)
    if math.isinf(found):
        return False, f"the new costs vary around a mean of 0, and at most {limit} of the mean is allowed"
    return found <= limit, f"the new costs vary by {_fraction(found)} of their mean, and at most {limit} is allowed"


def _settlement(settled: int, arrived: int, floor: float) -> tuple[bool, str]:
    """Whether enough of the payments settle; where none arrived, all of them do."""
    rate = settled / arrived if arrived else 1.0
    figures = f"{settled} of {arrived} payments settle ({_fraction(rate)}), and at least {floor} is demanded"
    return rate >= floor, figures


# Rounded far above the last bit, in which machines may differ: the text is part of what is recorded.
def _cents(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def _fraction(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
