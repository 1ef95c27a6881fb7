"""Convergence: each criterion by itself, at its limits, against values computed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.optimize.config import ConvergenceConfig
from exprec.recorder.optimize.convergence import (
    BOOTSTRAP_STABILITY,
    COST_STABILITY,
    coefficient_of_variation,
    convergence_reason,
    has_trend,
    regret,
    relative_change,
)


def deterministic(totals: list[int], window: int = 3, threshold: float = 0.05) -> str | None:
    config = ConvergenceConfig(stability_window=window, stability_threshold=threshold)
    return convergence_reason("deterministic-pairwise", totals, config)


def bootstrap(totals: list[int], **changes: Any) -> str | None:
    return convergence_reason("bootstrap", totals, ConvergenceConfig(**changes))


class TestDeterministic:
    def test_exactly_as_many_stable_changes_as_the_window_are_needed(self) -> None:
        for window in (1, 2, 5):
            for count in range(1, window + 1):
                assert deterministic([100] * count, window) is None
            assert deterministic([100] * (window + 1), window) == COST_STABILITY

    def test_they_must_be_in_a_row(self) -> None:
        assert deterministic([100, 100, 100, 200, 200]) is None
        assert deterministic([100, 100, 100, 200, 200, 200]) is None
        assert deterministic([100, 100, 100, 200, 200, 200, 200]) == COST_STABILITY

    def test_what_was_before_the_window_does_not_count(self) -> None:
        assert deterministic([9999, 1, 100, 100, 100, 100]) == COST_STABILITY

    def test_the_threshold_itself_is_stable(self) -> None:
        assert deterministic([100, 105], 1) == COST_STABILITY
        assert deterministic([100, 95], 1) == COST_STABILITY
        assert deterministic([100, 106], 1) is None
        assert deterministic([100, 94], 1) is None

    def test_each_change_is_relative_to_the_cost_before_it(self) -> None:
        # 4.8 % a time, 15 % in all.
        assert deterministic([1000, 1048, 1098, 1150]) == COST_STABILITY
        assert deterministic([1150, 1098, 1048, 990]) is None

    def test_a_cost_of_0(self) -> None:
        assert deterministic([0, 0, 0, 0]) == COST_STABILITY
        # From 0 it is the new cost itself that is compared, in cents.
        assert deterministic([0, 1], 1) is None
        assert deterministic([0, 1], 1, threshold=1.0) == COST_STABILITY
        assert deterministic([0, -2], 1, threshold=1.0) is None
        # To 0 it is all of the old cost.
        assert deterministic([5, 0], 1) is None
        assert deterministic([5, 0], 1, threshold=1.0) == COST_STABILITY

    def test_relative_change(self) -> None:
        assert relative_change(200, 150) == 0.25
        assert relative_change(-200, -150) == 0.25
        assert relative_change(-100, 100) == 2.0
        assert relative_change(0, -3) == 3.0
        assert relative_change(0, 0) == 0.0

    def test_the_criteria_of_the_bootstrap_play_no_part(self) -> None:
        # A steady trend, and far above the best.
        assert deterministic([10, 1000, 1010, 1020, 1030]) == COST_STABILITY


class TestBootstrap:
    STABLE = (100, 101, 99, 101, 100)

    def test_what_meets_all_criteria_converges(self) -> None:
        assert bootstrap([*self.STABLE]) == BOOTSTRAP_STABILITY
        assert bootstrap([500, *self.STABLE]) == BOOTSTRAP_STABILITY

    def test_a_full_window_is_needed(self) -> None:
        assert bootstrap([*self.STABLE][1:]) is None
        assert bootstrap([*self.STABLE], stability_window=6) is None
        assert bootstrap([0], stability_window=1) == BOOTSTRAP_STABILITY

    def test_variation_alone_prevents_it(self) -> None:
        totals = [100, 140, 100, 140, 100]
        assert not has_trend(totals)
        assert regret(totals) == 0
        assert bootstrap(totals) is None
        assert bootstrap(totals, cv_threshold=0.2) == BOOTSTRAP_STABILITY

    def test_variation_at_its_threshold_is_too_much(self) -> None:
        totals = [3, 5, 5, 3]
        assert coefficient_of_variation(totals) == 0.25
        assert bootstrap(totals, stability_window=4, cv_threshold=0.25) is None
        assert bootstrap(totals, stability_window=4, cv_threshold=0.2501) == BOOTSTRAP_STABILITY

    def test_a_trend_alone_prevents_it(self) -> None:
        assert bootstrap([1000, 1001, 1002, 1003, 1004]) is None
        assert bootstrap([1004, 1003, 1002, 1001, 1000]) is None
        assert bootstrap([1000, 1002, 1001, 1004, 1003]) == BOOTSTRAP_STABILITY

    def test_regret_alone_prevents_it(self) -> None:
        assert bootstrap([50, 100, 100, 100, 100, 100]) is None
        assert bootstrap([50, 100, 100, 100, 100, 100], regret_threshold=1.0) == BOOTSTRAP_STABILITY
        assert bootstrap([100, 110, 110, 110, 110, 110]) == BOOTSTRAP_STABILITY
        assert bootstrap([100, 111, 111, 111, 111, 111]) is None

    def test_the_threshold_of_the_deterministic_rule_plays_no_part(self) -> None:
        assert bootstrap([*self.STABLE], stability_threshold=0.0) == BOOTSTRAP_STABILITY

    def test_costs_of_0_are_stable(self) -> None:
        assert bootstrap([0] * 5) == BOOTSTRAP_STABILITY
        assert bootstrap([0, *self.STABLE]) is None


def test_the_coefficient_of_variation_is_the_populations() -> None:
    assert coefficient_of_variation([2, 4, 4, 4, 5, 5, 7, 9]) == pytest.approx(0.4, rel=1e-15)
    assert coefficient_of_variation([-2, -4, -4, -4, -5, -5, -7, -9]) == pytest.approx(0.4, rel=1e-15)
    assert coefficient_of_variation([7]) == 0
    assert coefficient_of_variation([0, 0]) == 0
    assert coefficient_of_variation([-1, 1]) == math.inf


def test_regret_is_relative_to_the_best_of_all_totals() -> None:
    assert regret([200, 100, 150]) == 0.5
    assert regret([150, 100]) == 0.0
    assert regret([-100, -90]) == 0.1
    assert regret([7]) == 0.0


def test_a_best_total_of_0_forgives_nothing() -> None:
    assert regret([0, 0]) == 0.0
    assert regret([5, 0]) == 0.0
    assert regret([0, 1]) == math.inf


# Computed by hand: S, variance with the correction for ties, z = (|S| − 1) / √variance, two-sided p.
MANN_KENDALL = [
    ([1, 2, 3, 4], False),  # 6, 8.667, 1.698: p 0.089
    ([1, 2, 3, 4, 5], True),  # 10, 16.667, 2.205: p 0.028
    ([5, 4, 3, 2, 1], True),
    ([1, 2, 3, 5, 4], False),  # 8, 16.667, 1.715: p 0.086
    ([1, 1, 2, 3, 4], True),  # 9, 15.667, 2.021: p 0.043; without the correction 0.050004
    ([4, 3, 2, 1, 1], True),
    ([1, 1, 2, 2, 3, 3], True),  # 12, 25.333, 2.186: p 0.029
    ([5, 5, 5, 5, 9], False),  # 4, 8, 1.061: p 0.289
    ([1, 2, 3, 4, 5, 6, 0], False),  # 9, 44.333, 1.201: p 0.230
    ([3, 3, 3, 3, 3], False),  # 0, 0
    ([1, 2, 2, 1], False),  # 0
]


@pytest.mark.parametrize(("values", "expected"), MANN_KENDALL)
def test_mann_kendall_against_values_computed_by_hand(values: list[int], expected: bool) -> None:
    assert has_trend(values) is expected


SMALL = [
    ([], False),
    ([1], False),
    ([1, 1], False),
    ([1, 2], True),
    ([2, 1], True),
    ([1, 2, 3], True),
    ([3, 2, 1], True),
    ([1, 1, 2], False),  # S is 2, and 75 % of its maximum 2.25
    ([1, 3, 2], False),
    ([2, 2, 2], False),
]


@pytest.mark.parametrize(("values", "expected"), SMALL)
def test_below_four_values_a_trend_is_three_quarters_of_the_greatest_s(values: list[int], expected: bool) -> None:
    assert has_trend(values) is expected


@given(st.lists(st.integers(0, 20), max_size=12))
def test_a_trend_has_two_directions_and_no_scale(values: list[int]) -> None:
    assert has_trend(values[::-1]) == has_trend(values)
    assert has_trend([-value for value in values]) == has_trend(values)
    assert has_trend([3 * value - 1000 for value in values]) == has_trend(values)
