"""Convergence: whether the total costs of the iterations, or the liquidity that policies commit, have settled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from exprec.recorder.experiment.config import ConvergenceConfig
from exprec.recorder.experiment.evaluation import Policies
from exprec.recorder.experiment.stats import Cost, coefficient_of_variation, mann_kendall
from exprec.recorder.payments import DEFAULT_LIQUIDITY_FRACTION, LIQUIDITY_FRACTION

COST_STABILITY = "cost_stability"
BOOTSTRAP_STABILITY = "bootstrap_stability"
POLICY_STABILITY = "policy_stability"
MAX_ITERATIONS = "max_iterations"

TEMPORAL = "deterministic-temporal"

_FRACTION_TOLERANCE = 0.001
_NOISE_DECIMALS = 9
"""Differences are rounded before they are compared: 0.501 − 0.5 is above 0.001 in floating point."""
_RECORDED_DECIMALS = 6

Metric = int | float | None

Fractions = Mapping[str, float | None]
"""By agent, the fraction of its liquidity pool that its policy commits; None for a policy that commits none."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """An assessment: the criterion that is met, or else was assessed, and its metrics.

    A metric that is undefined has the value None: after too few iterations, or because it is infinite.
    """

    criterion: str
    is_met: bool
    metrics: Mapping[str, Metric]

    @property
    def reason(self) -> str | None:
        """The criterion that is met, or None."""
        return self.criterion if self.is_met else None

    def as_dict(self) -> dict[str, Any]:
        """The field `convergence` of an `iteration_end`.

        The metrics are rounded, because their last bits, which may differ between machines, would change run ids.
        """
        return {
            "criterion": self.criterion,
            "met": self.is_met,
            **{name: _round_metric(value) for name, value in self.metrics.items()},
        }


@dataclass(frozen=True, slots=True)
class Point:
    """What one iteration shows: its total cost, the committed fractions, and whether that counts.

    It does not if an agent had no usable proposal in the iteration before: that nothing changed shows nothing then.
    No criterion is met while an agent's proposer has values left that it must try first.
    """

    total: Cost
    fractions: Fractions
    is_evidence: bool = True
    is_exploring: bool = False


def assess_convergence(mode: str, points: Sequence[Point], config: ConvergenceConfig) -> Convergence:
    """Assess convergence after one or more iterations, each of which has a point.

    A point without evidence counts for no window, and no criterion is met at it, or at one of an exploration.
    """
    if mode == "bootstrap":
        found = _assess_bootstrap(points, config)
    else:
        found = _assess_deterministic(points, config)
        if mode == TEMPORAL:
            found = _assess_temporal(found, points, config)
    return replace(found, is_met=found.is_met and points[-1].is_evidence and not points[-1].is_exploring)


def committed_fractions(policies: Policies, *, is_payments: bool = True) -> Fractions:
    """The committed fractions of policies; by default a half in the payment simulator, none in others."""
    default = DEFAULT_LIQUIDITY_FRACTION if is_payments else None
    return {agent: _committed_fraction(policy, default) for agent, policy in policies.items()}


def relative_change(old: Cost, new: Cost) -> float:
    """|new − old| / |old|; if `old` is 0, |new| of integers, and for other costs infinite unless `new` is 0 too."""
    if old:
        return abs(new - old) / abs(old)
    return float(abs(new)) if isinstance(new, int) or not new else math.inf


def compute_regret(totals: Sequence[Cost]) -> float:
    """The relative distance of the last total from the best; infinite if the best is 0 and the last is not."""
    best, current = min(totals), totals[-1]
    if best == 0:
        return 0.0 if current == 0 else math.inf
    return (current - best) / abs(best)


def _assess_deterministic(points: Sequence[Point], config: ConvergenceConfig) -> Convergence:
    """Met when each of the last `stability_window` relative changes is at most `stability_threshold`.

    A change to a point without evidence does not count, but ends the series if it is larger.
    """
    change, stable = None, 0
    for old, new in pairwise(points):
        change = relative_change(old.total, new.total)
        stable = 0 if change > config.stability_threshold else stable + new.is_evidence
    metrics: dict[str, Metric] = {"relative_change": change, "stable_changes": stable}
    return Convergence(COST_STABILITY, stable >= config.stability_window, metrics)


def _assess_temporal(by_costs: Convergence, points: Sequence[Point], config: ConvergenceConfig) -> Convergence:
    """Met when no agent's fraction changes within the window, or else when the costs are stable."""
    window = [point.fractions for point in points if point.is_evidence][-config.stability_window :]
    widest = _widest_range(window) if len(window) == config.stability_window else None
    is_still = widest is not None and widest <= _FRACTION_TOLERANCE
    criterion = COST_STABILITY if by_costs.is_met and not is_still else POLICY_STABILITY
    return Convergence(criterion, is_still or by_costs.is_met, {**by_costs.metrics, "fraction_range": widest})


def _widest_range(window: Sequence[Fractions]) -> float | None:
    """The largest range of an agent's fractions in the window; None if a fraction is missing."""
    ranges = []
    for agent in window[0]:
        values = [value for each in window if (value := each[agent]) is not None]
        if len(values) < len(window):
            return None
        ranges.append(max(values) - min(values))
    return round(max(ranges), _NOISE_DECIMALS)


def _committed_fraction(policy: Mapping[str, Any], default: float | None) -> float | None:
    parameters = policy.get("parameters")
    declared = parameters if isinstance(parameters, Mapping) else {}
    fraction = declared.get(LIQUIDITY_FRACTION, policy.get(LIQUIDITY_FRACTION))
    return float(fraction) if isinstance(fraction, int | float) else default


def _assess_bootstrap(points: Sequence[Point], config: ConvergenceConfig) -> Convergence:
    """Met when the totals of the window vary little and have no trend, and the last is near the best so far."""
    window = [point.total for point in points if point.is_evidence][-config.stability_window :]
    distance = compute_regret([point.total for point in points])
    if len(window) < config.stability_window:
        unknown: dict[str, Metric] = {"coefficient_of_variation": None, "trend_s": None, "trend_p": None}
        return Convergence(BOOTSTRAP_STABILITY, False, {**unknown, "regret": distance})
    variation, trend = coefficient_of_variation(window), mann_kendall(window)
    is_met = variation < config.cv_threshold and not trend.is_trend and distance <= config.regret_threshold
    metrics: dict[str, Metric] = {
        "coefficient_of_variation": variation,
        "trend_s": trend.s,
        "trend_p": trend.p,
        "regret": distance,
    }
    return Convergence(BOOTSTRAP_STABILITY, is_met, metrics)


def _round_metric(value: Metric) -> Metric:
    if isinstance(value, float):
        return round(value, _RECORDED_DECIMALS) if math.isfinite(value) else None
    return value
