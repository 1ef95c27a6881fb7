"""Whether an experiment has settled, from the totals of its iterations and the liquidity that they commit.

Reaching the last allowed iteration is no convergence; the loop ends there on its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from exprec.recorder.experiment.config import ConvergenceConfig
from exprec.recorder.experiment.evaluation.evaluator import Policies
from exprec.recorder.experiment.stats import coefficient_of_variation, mann_kendall
from exprec.recorder.payments import DEFAULT_LIQUIDITY_FRACTION, LIQUIDITY_FRACTION

COST_STABILITY = "cost_stability"
BOOTSTRAP_STABILITY = "bootstrap_stability"
POLICY_STABILITY = "policy_stability"
MAX_ITERATIONS = "max_iterations"

TEMPORAL = "deterministic-temporal"

_FRACTION_TOLERANCE = 0.001
_NOISE_DECIMALS = 9
"""0.501 − 0.5 is a little more than 0.001 in floating point, and must not be."""
_RECORDED_DECIMALS = 6

Figure = int | float | None

Fractions = Mapping[str, float | None]
"""By agent the part of its liquidity pool that it commits in an iteration; None for a policy without one."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """What the iterations so far show: the criterion that is met or else was looked at, and its figures.

    A figure is None where it is not defined: after too few iterations, or because it is infinite.
    """

    criterion: str
    is_met: bool
    figures: Mapping[str, Figure]

    @property
    def reason(self) -> str | None:
        """The criterion that is met, or None."""
        return self.criterion if self.is_met else None

    def as_dict(self) -> dict[str, Any]:
        """The field `convergence` of an `iteration_end`.

        Its figures are rounded: their last bits may differ between machines, and would change an address.
        """
        return {
            "criterion": self.criterion,
            "met": self.is_met,
            **{name: _recorded(value) for name, value in self.figures.items()},
        }


def assess(mode: str, totals: Sequence[int], fractions: Sequence[Fractions], config: ConvergenceConfig) -> Convergence:
    """Where an experiment stands after one or more iterations.

    `totals` (in cents) and `fractions` have one entry an iteration so far; the fractions count in
    deterministic-temporal only.
    """
    if mode == "bootstrap":
        return _bootstrap(totals, config)
    by_costs = _deterministic(totals, config)
    return _temporal(by_costs, fractions, config) if mode == TEMPORAL else by_costs


def committed_fractions(policies: Policies, *, is_payments: bool = True) -> Fractions:
    """What the policies commit, by agent: where a policy does not say, half in the payment simulator."""
    default = DEFAULT_LIQUIDITY_FRACTION if is_payments else None
    return {agent: _fraction(policy, default) for agent, policy in policies.items()}


def relative_change(old: int, new: int) -> float:
    """|new − old| / |old|; from 0, the absolute value of what it became."""
    return abs(new - old) / abs(old) if old else float(abs(new))


def regret(totals: Sequence[int]) -> float:
    """How far the last total is above the best one, relative to the best; a best of 0 forgives nothing."""
    best, current = min(totals), totals[-1]
    if best == 0:
        return 0.0 if current == 0 else math.inf
    return (current - best) / abs(best)


def _deterministic(totals: Sequence[int], config: ConvergenceConfig) -> Convergence:
    """Met when the last `stability_window` changes were each at most `stability_threshold`, relatively."""
    changes = [relative_change(old, new) for old, new in pairwise(totals)]
    stable = 0
    while stable < len(changes) and changes[-1 - stable] <= config.stability_threshold:
        stable += 1
    figures: dict[str, Figure] = {"relative_change": changes[-1] if changes else None, "stable_changes": stable}
    return Convergence(COST_STABILITY, stable >= config.stability_window, figures)


def _temporal(by_costs: Convergence, fractions: Sequence[Fractions], config: ConvergenceConfig) -> Convergence:
    """Met when no agent's fraction moved over the window or, failing that, when the costs are stable."""
    window = fractions[-config.stability_window :]
    widest = _widest_range(window) if len(window) == config.stability_window else None
    is_still = widest is not None and widest <= _FRACTION_TOLERANCE
    criterion = COST_STABILITY if by_costs.is_met and not is_still else POLICY_STABILITY
    return Convergence(criterion, is_still or by_costs.is_met, {**by_costs.figures, "fraction_range": widest})


def _widest_range(window: Sequence[Fractions]) -> float | None:
    """The greatest of the agents' differences between highest and lowest fraction; None if one is missing."""
    ranges = []
    for agent in window[0]:
        values = [value for each in window if (value := each[agent]) is not None]
        if len(values) < len(window):
            return None
        ranges.append(max(values) - min(values))
    return round(max(ranges), _NOISE_DECIMALS)


def _fraction(policy: Mapping[str, Any], default: float | None) -> float | None:
    parameters = policy.get("parameters")
    declared = parameters if isinstance(parameters, Mapping) else {}
    fraction = declared.get(LIQUIDITY_FRACTION, policy.get(LIQUIDITY_FRACTION))
    return float(fraction) if isinstance(fraction, int | float) else default


def _bootstrap(totals: Sequence[int], config: ConvergenceConfig) -> Convergence:
    """Met when the window varies little, has no trend, and ends close to the best total so far."""
    window = totals[-config.stability_window :]
    distance = regret(totals)
    if len(window) < config.stability_window:
        unknown: dict[str, Figure] = {"coefficient_of_variation": None, "trend_s": None, "trend_p": None}
        return Convergence(BOOTSTRAP_STABILITY, False, {**unknown, "regret": distance})
    variation, trend = coefficient_of_variation(window), mann_kendall(window)
    is_met = variation < config.cv_threshold and not trend.is_trend and distance <= config.regret_threshold
    figures: dict[str, Figure] = {
        "coefficient_of_variation": variation,
        "trend_s": trend.s,
        "trend_p": trend.p,
        "regret": distance,
    }
    return Convergence(BOOTSTRAP_STABILITY, is_met, figures)


def _recorded(value: Figure) -> Figure:
    if isinstance(value, float):
        return round(value, _RECORDED_DECIMALS) if math.isfinite(value) else None
    return value
