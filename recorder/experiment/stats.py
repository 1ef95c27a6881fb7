"""Statistics of decisions: Student's t, the confidence interval of a mean, variation, and trend.

The standard library has no t distribution; the tests compare this one with SciPy's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

_CONFIDENCE = 0.95
_TREND_LEVEL = 0.05
_SMALL_SAMPLE = 4
_SMALL_SAMPLE_TREND = 0.75
_PRECISION = 1e-16
_TINY = 1e-300
_MOST_STEPS = 10_000

Cost = int | float
"""An integer, or a float if the costs of the experiment are numbers; those of an experiment are all alike."""


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """The mean of values and the bounds of its two-sided confidence interval, in the unit of the values."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Trend:
    """A Mann-Kendall test: the statistic S, its standard score, the two-sided p-value, and the verdict.

    `z` and `p` are None below four values, where the normal approximation does not hold.
    """

    s: int
    z: float | None
    p: float | None
    is_trend: bool


def mean_interval(values: Sequence[Cost], confidence: float = _CONFIDENCE) -> MeanInterval:
    """The confidence interval of the mean by Student's t with n − 1 degrees of freedom and the sample deviation.

    The bounds are infinite for fewer than two values.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return MeanInterval(mean, -math.inf, math.inf)
    margin = t_quantile((1 + confidence) / 2, n - 1) * sample_deviation(values) / math.sqrt(n)
    return MeanInterval(mean, mean - margin, mean + margin)


def sample_deviation(values: Sequence[Cost]) -> float:
    """The sample standard deviation (n − 1 in the denominator) of two or more values."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def sum_costs(costs: Iterable[Cost]) -> Cost:
    """The sum of costs: of integers exact, of floats correctly rounded and so the same in any order."""
    listed = list(costs)
    total = sum(listed)
    return total if isinstance(total, int) else math.fsum(listed)


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """The mean of costs: of integers truncated toward zero, of floats rounded only as floats are."""
    total = sum_costs(costs)
    return _truncated_ratio(total, len(costs)) if isinstance(total, int) else total / len(costs)


def cost_deviation(costs: Sequence[Cost]) -> Cost:
    """The population standard deviation of costs, truncated and rounded as `mean_cost` is."""
    integers = [cost for cost in costs if isinstance(cost, int)]
    if len(integers) == len(costs):
        return truncated_deviation(integers)
    mean = math.fsum(costs) / len(costs)
    # Products instead of powers, which a library may round otherwise: the deviation is recorded.
    return math.sqrt(math.fsum((cost - mean) * (cost - mean) for cost in costs) / len(costs))


def truncated_mean(values: Sequence[int]) -> int:
    """The mean of integers, truncated toward zero, without passing through a float."""
    return _truncated_ratio(sum(values), len(values))


def _truncated_ratio(total: int, count: int) -> int:
    return total // count if total >= 0 else -(-total // count)


def truncated_deviation(values: Sequence[int]) -> int:
    """The population standard deviation of integers, truncated toward zero, in exact integer arithmetic."""
    n, total = len(values), sum(values)
    # n² · variance = n · Σx² − (Σx)², and floor(√(v / n²)) = floor(√(floor(v)) / n).
    return math.isqrt(n * sum(value * value for value in values) - total * total) // n


def coefficient_of_variation(values: Sequence[Cost], *, sample: bool = False) -> float:
    """Standard deviation over |mean| of one or more values, as a fraction; of a population or of a sample.

    0 if all values are 0; infinite if only their mean is 0, and for a sample of one value.
    """
    count = len(values)
    if sample and count < 2:
        return math.inf
    mean = math.fsum(values) / count
    squares = math.fsum((value - mean) ** 2 for value in values)
    if mean == 0:
        return 0.0 if squares == 0 else math.inf
    return math.sqrt(squares / (count - 1 if sample else count)) / abs(mean)


def mann_kendall(values: Sequence[Cost]) -> Trend:
    """Whether values rise or fall, by Mann (1945) and Kendall (1975): two-sided at 5 %, corrected for ties.

    S = Σ sign(x_j − x_i) over i < j; var = [n(n−1)(2n+5) − Σ t(t−1)(2t+5)] / 18 over groups of t equal
    values; z = (S ∓ 1) / √var. Below four values a trend is |S| of three quarters of its maximum or more.
    """
    n = len(values)
    s = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    if n < _SMALL_SAMPLE:
        return Trend(s, None, None, n > 1 and abs(s) >= _SMALL_SAMPLE_TREND * n * (n - 1) / 2)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    # S = 0 needs no continuity correction, and equal values have no variance to divide by.
    z = (s - math.copysign(1, s)) / math.sqrt(variance) if s else 0.0
    # 2 · (1 − Φ(|z|)) of the standard normal distribution.
    p = math.erfc(abs(z) / math.sqrt(2))
    return Trend(s, z, p, p < _TREND_LEVEL)


@cache
def t_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t distribution for a probability of 0.5 or more and below 1."""
    if not 0.5 <= probability < 1:
        raise ValueError(f"the probability must be in 0.5 … 1, not {probability}")
    low, high = 0.0, 1.0
    while _t_below(high, degrees) < probability:
        low, high = high, 2 * high
    # Bisection to the last bit, because a decision can depend on it; it runs once for each number of samples.
    while (middle := (low + high) / 2) not in (low, high):
        if _t_below(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return high


def _t_below(t: float, degrees: int) -> float:
    """The cumulative distribution function of Student's t at t ≥ 0 (Abramowitz and Stegun 26.7.1)."""
    half = degrees / 2
    square = t * t
    # From the smaller tail of the beta distribution, to avoid cancellation.
    if square < degrees:
        return 0.5 + _incomplete_beta(square / (degrees + square), 0.5, half) / 2
    return 1 - _incomplete_beta(degrees / (degrees + square), half, 0.5) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (A. and S. 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        # The fraction of the complement converges faster.
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front / (a * _beta_fraction(x, a, b))


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method as modified by Thompson."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, _MOST_STEPS):
        m = step // 2
        if step % 2:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + numerator * d or _TINY)
        c = 1 + numerator / c or _TINY
        value *= c * d
        if abs(c * d - 1) <= _PRECISION:
            break
    return value
