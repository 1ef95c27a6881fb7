"""Acceptance: whether a proposal replaces the current policy, and the reason.

The reasons are recorded: changing one changes the run id of experiments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exprec.recorder.display import short_cost
from exprec.recorder.events import optimization
from exprec.recorder.experiment.config import AcceptanceConfig
from exprec.recorder.experiment.stats import Cost, coefficient_of_variation, mean_cost, mean_interval, sum_costs

_NO_LIMITS = AcceptanceConfig()


@dataclass(frozen=True, slots=True)
class Decision:
    """A comparison of two policies on the same seeds; costs and deltas in the unit of costs."""

    accepted: bool
    reason: str
    old_cost: Cost
    new_cost: Cost
    deltas: tuple[Cost, ...]


def decide_acceptance(
    old_costs: Sequence[Cost],
    new_costs: Sequence[Cost],
    limits: AcceptanceConfig = _NO_LIMITS,
    *,
    settled: int = 0,
    arrived: int = 0,
    unit: str = optimization.CENTS,
) -> Decision:
    """Accept a proposal that lowers the agent's own cost, summed over the samples, and observes every limit.

    Args:
        old_costs: The cost of the current policy in each sample.
        new_costs: The cost of the proposal in each sample, in the same order.
        limits: What a proposal needs besides a lower cost.
        settled: The number of payments that settled under the proposal, in all samples.
        arrived: The number of payments that arrived, in all samples.
        unit: The unit of costs, which the reason names.

    Raises:
        ValueError: The costs are not pairs.
    """
    deltas = _deltas(old_costs, new_costs)
    is_lower = sum_costs(deltas) > 0
    checks = list(_check_limits(deltas, new_costs, limits, settled, arrived, unit)) if is_lower else []
    reasons = (check.reason if check.is_met else f"but {check.reason}" for check in checks)
    return Decision(
        accepted=is_lower and all(check.is_met for check in checks),
        reason="; ".join([_describe_change(deltas, unit), *reasons]),
        old_cost=mean_cost(old_costs),
        new_cost=mean_cost(new_costs),
        deltas=deltas,
    )


def accept_as_proposed(
    old_costs: Sequence[Cost], new_costs: Sequence[Cost], unit: str = optimization.CENTS
) -> Decision:
    """Accept a proposal unconditionally; the reason tells what it changes. See `decide_acceptance`."""
    deltas = _deltas(old_costs, new_costs)
    return Decision(
        accepted=True,
        reason=f"accepted as proposed: {_describe_change(deltas, unit)}",
        old_cost=mean_cost(old_costs),
        new_cost=mean_cost(new_costs),
        deltas=deltas,
    )


def _deltas(old_costs: Sequence[Cost], new_costs: Sequence[Cost]) -> tuple[Cost, ...]:
    return tuple(old - new for old, new in zip(old_costs, new_costs, strict=True))


def _describe_change(deltas: Sequence[Cost], unit: str) -> str:
    lowered = sum_costs(deltas)
    if len(deltas) == 1:
        where = ""
    else:
        better = sum(delta > 0 for delta in deltas)
        where = f" in total over {len(deltas)} samples, {better} of which are better"
    if lowered > 0:
        return f"lowers the agent's cost by {short_cost(lowered)} {unit}{where}"
    if lowered < 0:
        return f"raises the agent's cost by {short_cost(-lowered)} {unit}{where}"
    return f"does not change the agent's cost{where}"


class _LimitCheck(NamedTuple):
    """Whether a limit is observed, and why."""

    is_met: bool
    reason: str


def _check_limits(
    deltas: Sequence[Cost], new_costs: Sequence[Cost], limits: AcceptanceConfig, settled: int, arrived: int, unit: str
) -> Iterator[_LimitCheck]:
    """Check each limit that is set."""
    if limits.require_statistical_significance:
        yield _check_significance(deltas, unit)
    if limits.max_coefficient_of_variation is not None:
        yield _check_variation(new_costs, limits.max_coefficient_of_variation)
    if limits.min_settlement_rate is not None:
        yield _check_settlement(settled, arrived, limits.min_settlement_rate)


def _check_significance(deltas: Sequence[Cost], unit: str) -> _LimitCheck:
    """Check that the 95 % confidence interval of the mean saving is above 0."""
    if len(deltas) < 2:
        return _LimitCheck(False, "one sample cannot show that this is significant")
    interval = mean_interval(deltas)
    is_met = interval.lower > 0
    format_bound = _format_cents if all(isinstance(delta, int) for delta in deltas) else _format_number
    bounds = f"{format_bound(interval.lower)} to {format_bound(interval.upper)} {unit}"
    word = "significant" if is_met else "not significant"
    return _LimitCheck(is_met, f"{word}: the 95 % confidence interval of the mean saving is {bounds}")


def _check_variation(costs: Sequence[Cost], limit: float) -> _LimitCheck:
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


def _format_number(value: float) -> str:
    return f"{value:.6g}"


def _format_fraction(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
