"""Whether the costs of an experiment have settled, from the totals of its iterations.

Reaching the last allowed iteration is no convergence; the loop ends there on its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise

from exprec.recorder.optimize.config import ConvergenceConfig

COST_STABILITY = "cost_stability"
BOOTSTRAP_STABILITY = "bootstrap_stability"
MAX_ITERATIONS = "max_iterations"

_SIGNIFICANCE = 0.05
_SMALL_SAMPLE = 4
_SMALL_SAMPLE_TREND = 0.75


def convergence_reason(mode: str, totals: Sequence[int], config: ConvergenceConfig) -> str | None:
    """The criterion that `totals` (cents, one an iteration so far) meet, or None."""
    if mode == "bootstrap":
        return BOOTSTRAP_STABILITY if _bootstrap_stable(totals, config) else None
    return COST_STABILITY if _stable(totals, config) else None


def _stable(totals: Sequence[int], config: ConvergenceConfig) -> bool:
    """Whether the last `stability_window` changes were each at most `stability_threshold`, relatively."""
    window = totals[-config.stability_window - 1 :]
    if len(window) <= config.stability_window:
        return False
    return all(relative_change(old, new) <= config.stability_threshold for old, new in pairwise(window))


def relative_change(old: int, new: int) -> float:
    """|new − old| / |old|; from 0, the absolute value of what it became."""
    return abs(new - old) / abs(old) if old else float(abs(new))


def _bootstrap_stable(totals: Sequence[int], config: ConvergenceConfig) -> bool:
    """Whether the window varies little, has no trend, and ends close to the best total so far."""
    window = totals[-config.stability_window :]
    if len(window) < config.stability_window:
        return False
    return (
        coefficient_of_variation(window) < config.cv_threshold
        and not has_trend(window)
        and regret(totals) <= config.regret_threshold
    )


def coefficient_of_variation(values: Sequence[int]) -> float:
    """Population standard deviation over |mean|; 0 when all values are 0, infinite when only the mean is."""
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    if mean == 0:
        return 0.0 if deviation == 0 else math.inf
    return deviation / abs(mean)


def regret(totals: Sequence[int]) -> float:
    """How far the last total is above the best one, relative to the best; a best of 0 forgives nothing."""
    best, current = min(totals), totals[-1]
    if best == 0:
        return 0.0 if current == 0 else math.inf
    return (current - best) / abs(best)


def has_trend(values: Sequence[int]) -> bool:
    """Mann-Kendall test with correction for ties, two-sided at 5 % (Mann 1945, Kendall 1975).

    Below four values its normal approximation says nothing; a trend is then S at 75 % of its maximum.
    """
    n = len(values)
    s = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    if n < _SMALL_SAMPLE:
        return n > 1 and abs(s) >= _SMALL_SAMPLE_TREND * n * (n - 1) / 2
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0 or s == 0:
        return False
    z = (s - math.copysign(1, s)) / math.sqrt(variance)
    # 2 · (1 − Φ(|z|)) of the standard normal distribution.
    return math.erfc(abs(z) / math.sqrt(2)) < _SIGNIFICANCE
