"""Acceptance: whether a proposal replaces the current policy, and the reason.

The reasons are recorded: changing one changes the run id of experiments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exprec.recorder.experiment.config import AcceptanceConfig
from exprec.recorder.experiment.stats import coefficient_of_variation, mean_interval, truncated_mean

_NO_LIMITS = AcceptanceConfig()


@dataclass(frozen=True, slots=True)
class Decision:
    """A comparison of two policies on the same seeds; costs and deltas in cents."""

    accepted: bool
    reason: str
    old_cost: int
    new_cost: int
    deltas: tuple[int, ...]


def decide_acceptance(
    old_costs: Sequence[int],
    new_costs: Sequence[int],
    limits: AcceptanceConfig = _NO_LIMITS,
    *,
    settled: int = 0,
    arrived: int = 0,
) -> Decision:
    """Accept a proposal that lowers the agent's own cost, summed over the samples, and observes every limit.

    Args:
        old_costs: The cost of the current policy in each sample, in cents.
        new_costs: The cost of the proposal in each sample, in cents, in the same order.
        limits: What a proposal needs besides a lower cost.
        settled: The number of payments that settled under the proposal, in all samples.
        arrived: The number of payments that arrived, in all samples.

    Raises:
        ValueError: The costs are not pairs.
    """
    deltas = _deltas(old_costs, new_costs)
    checks = list(_check_limits(deltas, new_costs, limits, settled, arrived)) if sum(deltas) > 0 else []
    clauses = [_describe_change(deltas), *(check.reason if check.is_met else f"but {check.reason}" for check in checks)]
    return Decision(
        accepted=sum(deltas) > 0 and all(check.is_met for check in checks),
        reason="; ".join(clauses),
        old_cost=truncated_mean(old_costs),
        new_cost=truncated_mean(new_costs),
        deltas=deltas,
    )


def accept_as_proposed(old_costs: Sequence[int], new_costs: Sequence[int]) -> Decision:
    """Accept a proposal unconditionally; the reason tells what it changes. See `decide_acceptance`."""
    deltas = _deltas(old_costs, new_costs)
    return Decision(
        accepted=True,
        reason=f"accepted as proposed: {_describe_change(deltas)}",
        old_cost=truncated_mean(old_costs),
        new_cost=truncated_mean(new_costs),
        deltas=deltas,
    )


def _deltas(old_costs: Sequence[int], new_costs: Sequence[int]) -> tuple[int, ...]:
    return tuple(old - new for old, new in zip(old_costs, new_costs, strict=True))


def _describe_change(deltas: Sequence[int]) -> str:
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


class _LimitCheck(NamedTuple):
    """Whether a limit is observed, and why."""

    is_met: bool
    reason: str


def _check_limits(
    deltas: Sequence[int], new_costs: Sequence[int], limits: AcceptanceConfig, settled: int, arrived: int
) -> Iterator[_LimitCheck]:
    """Check each limit that is set."""
    if limits.require_statistical_significance:
        yield _check_significance(deltas)
    if limits.max_coefficient_of_variation is not None:
        yield _check_variation(new_costs, limits.max_coefficient_of_variation)
    if limits.min_settlement_rate is not None:
        yield _check_settlement(settled, arrived, limits.min_settlement_rate)


def _check_significance(deltas: Sequence[int]) -> _LimitCheck:
    """Check that the 95 % confidence interval of the mean saving is above 0."""
    if len(deltas) < 2:
        return _LimitCheck(False, "one sample cannot show that this is significant")
    interval = mean_interval(deltas)
    is_met = interval.lower > 0
    bounds = f"{_format_cents(interval.lower)} to {_format_cents(interval.upper)} cents"
    word = "significant" if is_met else "not significant"
    return _LimitCheck(is_met, f"{word}: the 95 % confidence interval of the mean saving is {bounds}")


def _check_variation(costs: Sequence[int], limit: float) -> _LimitCheck:
    """Check that the coefficient of variation of the costs (of a sample) is at most the limit."""
    if len(costs) < 2:
        return _LimitCheck(False, "one sample cannot show how much the new costs vary")
    variation = coefficient_of_variation(costs, sample=True)
    if math.isinf(variation):
        reason = f"the new costs vary around a mean of 0, and at most {limit} of the mean is allowed"
        return _LimitCheck(False, reason)
    reason = f"the new costs vary by {_format_fraction(variation)} of their mean, and at most {limit} is allowed"
    return _LimitCheck(variation <= limit, reason)


def _check_settlement(settled: int, arrived: int, floor: float) -> _LimitCheck:
    """Check that enough of the payments settle; without payments, that is so."""
    rate = settled / arrived if arrived else 1.0
    reason = f"{settled} of {arrived} payments settle ({_format_fraction(rate)}), and at least {floor} is demanded"
    return _LimitCheck(rate >= floor, reason)


# Rounded far above the last bit, in which machines may differ, because the text is recorded.
def _format_cents(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def _format_fraction(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
