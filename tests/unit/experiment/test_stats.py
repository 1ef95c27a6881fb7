"""Statistics against SciPy, against a published example, and against values computed by hand."""

from __future__ import annotations

import math
import statistics
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from exprec.recorder.experiment.stats import (
    coefficient_of_variation,
    cost_deviation,
    mann_kendall,
    mean_cost,
    mean_interval,
    sample_deviation,
    sum_costs,
    t_quantile,
)

DEGREES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 19, 20, 29, 30, 49, 50, 99, 100, 199, 499, 500, 999, 10000]
PROBABILITIES = [0.5001, 0.55, 0.6, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.99999]
CENTS = st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=30)


class TestStudentsT:
    @pytest.mark.parametrize("degrees", DEGREES)
    def test_quantiles_are_those_of_scipy(self, degrees: int) -> None:
        for probability in PROBABILITIES:
            assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-9)

    def test_quantiles_of_the_printed_tables(self) -> None:
        printed = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262, 30: 2.042, 120: 1.980}
        assert {degrees: round(t_quantile(0.975, degrees), 3) for degrees in printed} == printed

    def test_with_one_degree_it_is_cauchys_distribution(self) -> None:
        for probability in PROBABILITIES:
            assert t_quantile(probability, 1) == pytest.approx(math.tan(math.pi * (probability - 0.5)), rel=1e-9)

    def test_the_median_is_0(self) -> None:
        assert t_quantile(0.5, 3) == pytest.approx(0, abs=1e-15)

    @pytest.mark.parametrize("probability", [0.49, 1.0, 1.5, -0.1])
    def test_other_probabilities_are_refused(self, probability: float) -> None:
        with pytest.raises(ValueError, match=r"must be in 0\.5 … 1"):
            t_quantile(probability, 3)


class TestMeanInterval:
    @given(CENTS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
    def test_it_is_that_of_scipy(self, values: list[int], confidence: float) -> None:
        interval = mean_interval(values, confidence)
        error = stats.sem(values)
        scale = max(1.0, *map(abs, values))
        assert interval.mean == pytest.approx(sum(values) / len(values), abs=1e-9 * scale)
        if error == 0:
            assert interval.lower == interval.mean == interval.upper
            return
        lower, upper = stats.t.interval(confidence, len(values) - 1, interval.mean, error)
        assert interval.lower == pytest.approx(lower, rel=1e-9, abs=1e-9 * scale)
        assert interval.upper == pytest.approx(upper, rel=1e-9, abs=1e-9 * scale)

    def test_by_hand(self) -> None:
        # Mean 2.5, sample deviation √(5/3), t 3.182446 for 3 degrees of freedom.
        interval = mean_interval([1, 2, 3, 4])
        assert (interval.mean, round(interval.lower, 5), round(interval.upper, 5)) == (2.5, 0.44574, 4.55426)

    def test_equal_values_leave_no_doubt(self) -> None:
        interval = mean_interval([7, 7, 7])
        assert (interval.lower, interval.mean, interval.upper) == (7, 7, 7)

    def test_one_value_says_nothing(self) -> None:
        interval = mean_interval([7])
        assert (interval.lower, interval.mean, interval.upper) == (-math.inf, 7, math.inf)


class TestVariation:
    @given(CENTS)
    def test_the_sample_deviation_is_that_of_exact_arithmetic(self, values: list[int]) -> None:
        assert sample_deviation(values) == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-9)

    def test_of_the_population_and_of_a_sample(self) -> None:
        values = [2, 4, 4, 4, 5, 5, 7, 9]
        assert coefficient_of_variation(values) == pytest.approx(0.4, rel=1e-15)
        assert coefficient_of_variation(values, sample=True) == pytest.approx(math.sqrt(32 / 7) / 5, rel=1e-15)
        assert coefficient_of_variation([-value for value in values]) == pytest.approx(0.4, rel=1e-15)

    @given(st.lists(st.integers(1, 10**9), min_size=2, max_size=30))
    def test_they_are_those_of_scipy(self, values: list[int]) -> None:
        assert coefficient_of_variation(values) == pytest.approx(stats.variation(values), rel=1e-9, abs=1e-12)
        of_sample = stats.variation(values, ddof=1)
        assert coefficient_of_variation(values, sample=True) == pytest.approx(of_sample, rel=1e-9, abs=1e-12)

    def test_without_a_mean_there_is_none_to_compare_with(self) -> None:
        for sample in (False, True):
            assert coefficient_of_variation([0, 0], sample=sample) == 0
            assert coefficient_of_variation([-1, 1], sample=sample) == math.inf

    def test_one_value_does_not_vary_and_is_no_sample(self) -> None:
        assert coefficient_of_variation([7]) == 0
        assert coefficient_of_variation([7], sample=True) == math.inf


# J. Little, "A Mann-Kendall Example (By Hand)", College of the Holy Cross
# (mathcs.holycross.edu/~little/Montserrat/MannKendallByHand.txt), in tenths: S 54, one pair of equal values,
# variance (14·13·33 − 2·1·9)/18, z 2.9058, one-sided p about 0.0018.
LITTLE = [129, 148, 132, 157, 138, 156, 129, 110, 173, 159, 190, 183, 201, 217]

# S, variance, verdict; computed by hand.
BY_HAND = [
    ([1, 2, 3, 4], 6, 26 / 3, False),  # z 1.698, p 0.089
    ([1, 2, 3, 4, 5], 10, 50 / 3, True),  # z 2.205, p 0.028
    ([5, 4, 3, 2, 1], -10, 50 / 3, True),
    ([1, 2, 3, 5, 4], 8, 50 / 3, False),  # z 1.715, p 0.086
    ([1, 1, 2, 3, 4], 9, 47 / 3, True),  # z 2.021, p 0.043; without the correction for ties 0.050004
    ([4, 3, 2, 1, 1], -9, 47 / 3, True),
    ([1, 1, 2, 2, 3, 3], 12, 76 / 3, True),  # z 2.186, p 0.029
    ([5, 5, 5, 5, 9], 4, 8, False),  # z 1.061, p 0.289
    ([1, 2, 3, 4, 5, 6, 0], 9, 133 / 3, False),  # z 1.201, p 0.230
    ([1, 2, 2, 1], 0, 6, False),
]


class TestTrend:
    def test_a_published_example(self) -> None:
        trend = mann_kendall(LITTLE)
        assert trend.s == 54
        assert trend.z is not None
        assert trend.p is not None
        assert trend.z == pytest.approx(53 / math.sqrt((14 * 13 * 33 - 2 * 9) / 18), rel=1e-15)
        assert (round(trend.z, 4), round(trend.p / 2, 4), trend.is_trend) == (2.9058, 0.0018, True)

    @pytest.mark.parametrize(("values", "s", "variance", "expected"), BY_HAND)
    def test_by_hand(self, values: list[int], s: int, variance: float, expected: bool) -> None:
        trend = mann_kendall(values)
        assert (trend.s, trend.is_trend) == (s, expected)
        assert trend.z == pytest.approx(math.copysign(max(0, abs(s) - 1), s) / math.sqrt(variance), rel=1e-14)
        assert trend.p == pytest.approx(2 * stats.norm.sf(abs(trend.z or 0)), rel=1e-12)

    def test_equal_values_have_none(self) -> None:
        trend = mann_kendall([3, 3, 3, 3, 3])
        assert (trend.s, trend.z, trend.p, trend.is_trend) == (0, 0.0, 1.0, False)

    @given(st.lists(st.integers(0, 8), min_size=4, max_size=20).filter(lambda values: len(set(values)) > 1))
    def test_s_is_that_of_kendalls_tau(self, values: list[int]) -> None:
        # τ_b = S / √((pairs − pairs tied in x) · (pairs − pairs tied in y)), and time has no ties.
        pairs = len(values) * (len(values) - 1) / 2
        tied = sum(values.count(value) * (values.count(value) - 1) / 2 for value in set(values))
        tau = stats.kendalltau(range(len(values)), values).statistic
        assert mann_kendall(values).s == round(tau * math.sqrt(pairs * (pairs - tied)))

    @given(st.lists(st.integers(0, 8), min_size=4, max_size=20).filter(lambda values: len(set(values)) > 1))
    def test_the_variance_is_that_of_kendalls_tau(self, values: list[int]) -> None:
        # SciPy's normal approximation is without the correction for continuity: undone, the p must be equal.
        trend = mann_kendall(values)
        expected = stats.kendalltau(range(len(values)), values, method="asymptotic").pvalue
        z = trend.z or 0.0
        uncorrected = z * trend.s / (trend.s - math.copysign(1, trend.s)) if abs(trend.s) > 1 else None
        if uncorrected is not None:
            assert 2 * stats.norm.sf(abs(uncorrected)) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize(
        ("values", "s", "expected"),
        [
            ([], 0, False),
            ([1], 0, False),
            ([1, 1], 0, False),
            ([1, 2], 1, True),
            ([2, 1], -1, True),
            ([1, 2, 3], 3, True),
            ([3, 2, 1], -3, True),
            ([1, 1, 2], 2, False),  # 75 % of the maximum is 2.25
            ([1, 3, 2], 1, False),
            ([2, 2, 2], 0, False),
        ],
    )
    def test_below_four_values_three_quarters_of_the_greatest_s(
        self, values: list[int], s: int, expected: bool
    ) -> None:
        trend = mann_kendall(values)
        assert (trend.s, trend.z, trend.p, trend.is_trend) == (s, None, None, expected)

    @given(st.lists(st.integers(0, 20), max_size=12))
    def test_it_has_two_directions_and_no_scale(self, values: list[int]) -> None:
        trend = mann_kendall(values)
        for opposite in (values[::-1], [-value for value in values]):
            turned = mann_kendall(opposite)
            assert (turned.s, turned.p, turned.is_trend) == (-trend.s, trend.p, trend.is_trend)
        assert mann_kendall([3 * value - 1000 for value in values]) == trend


def test_sums_of_floats_do_not_depend_on_their_order() -> None:
    costs = [1e16, 0.1, -1e16, 0.2, 0.3]
    found = {sum_costs(order) for order in permutations(costs)}
    assert found == {math.fsum(costs)}
    assert type(sum_costs([1, 2])) is int
    assert sum_costs([2**62, 2**62]) == 2**63


def test_means_and_deviations_are_of_the_type_of_the_costs() -> None:
    assert (mean_cost([-1, -2]), cost_deviation([0, 3])) == (-1, 1)
    assert (mean_cost([0.5, 1.0]), cost_deviation([0.0, 3.0])) == (0.75, 1.5)
    assert {type(each) for each in (mean_cost([1.0, 1.0]), cost_deviation([1.0, 1.0]))} == {float}
