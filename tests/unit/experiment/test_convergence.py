"""Convergence: each criterion by itself, at its limits, against values computed by hand; and what is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.events import optimization
from exprec.recorder.experiment.config import ConvergenceConfig
from exprec.recorder.experiment.convergence import (
    BOOTSTRAP_STABILITY,
    COST_STABILITY,
    POLICY_STABILITY,
    TEMPORAL,
    Convergence,
    Fractions,
    Point,
    assess_convergence,
    committed_fractions,
    compute_regret,
    relative_change,
)
from exprec.recorder.experiment.stats import coefficient_of_variation, mann_kendall
from exprec.recorder.schema import find_problems
from exprec.recorder.state.provider import LiveStateProvider
from tests.fixtures.events import full_event


def assess(
    mode: str, totals: list[int], fractions: Sequence[Fractions], config: ConvergenceConfig, without: Sequence[int] = ()
) -> Convergence:
    """Assess totals, those at the positions `without` of which are no evidence."""
    committed: list[Fractions] = [*fractions] or [{}] * len(totals)
    points = [Point(t, f, i not in without) for i, (t, f) in enumerate(zip(totals, committed, strict=True))]
    return assess_convergence(mode, points, config)


def deterministic(totals: list[int], window: int = 3, threshold: float = 0.05) -> str | None:
    config = ConvergenceConfig(stability_window=window, stability_threshold=threshold)
    return assess("deterministic-pairwise", totals, [], config).reason


def bootstrap(totals: list[int], **changes: Any) -> str | None:
    return assess("bootstrap", totals, [], ConvergenceConfig(**changes)).reason


def temporal(fractions: list[float], totals: list[int] | None = None, window: int = 3) -> Convergence:
    """Agent A commits these fractions and agent B half throughout; the costs move unless they are given."""
    moving = [1000 * 2**index for index in range(len(fractions))]
    config = ConvergenceConfig(stability_window=window)
    return assess(TEMPORAL, totals or moving, [{"A": value, "B": 0.5} for value in fractions], config)


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
        assert not mann_kendall(totals).is_trend
        assert compute_regret(totals) == 0
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


class TestTemporal:
    def test_fractions_at_rest_over_the_window_are_enough(self) -> None:
        assert temporal([0.1, 0.4, 0.4]).reason is None
        assert temporal([0.1, 0.4, 0.4, 0.4]).reason == POLICY_STABILITY
        assert temporal([0.4, 0.4]).reason is None
        assert temporal([0.4], window=1).reason == POLICY_STABILITY

    def test_a_thousandth_is_at_rest(self) -> None:
        # In floating point 0.501 − 0.5 and 0.301 − 0.3 are more than 0.001.
        for low in (0.5, 0.3, 0.0, 0.999):
            assert temporal([low, low + 0.001, low]).reason == POLICY_STABILITY
            assert temporal([low, round(low + 0.0011, 4), low]).reason is None

    def test_it_is_the_range_and_not_the_single_step_that_counts(self) -> None:
        assert temporal([0.5, 0.5009, 0.5018]).reason is None
        assert temporal([0.5018, 0.5009, 0.5]).metrics["fraction_range"] == 0.0018

    def test_every_agent_must_be_at_rest(self) -> None:
        config = ConvergenceConfig(stability_window=2)
        moved = assess(TEMPORAL, [5, 50], [{"A": 0.5, "B": 0.1}, {"A": 0.5, "B": 0.2}], config)
        assert (moved.reason, moved.metrics["fraction_range"]) == (None, 0.1)
        still = assess(TEMPORAL, [5, 50], [{"A": 0.5, "B": 0.1}, {"A": 0.5, "B": 0.1}], config)
        assert (still.reason, still.metrics["fraction_range"]) == (POLICY_STABILITY, 0.0)

    def test_stable_costs_are_enough_too(self) -> None:
        assert temporal([0.1, 0.2, 0.3, 0.4], [100] * 4).reason == COST_STABILITY
        assert temporal([0.1, 0.2, 0.3], [100] * 3).reason is None
        # Where both hold it is the policies that are named.
        assert temporal([0.4] * 4, [100] * 4).reason == POLICY_STABILITY

    def test_where_nothing_is_met_the_policies_were_looked_at(self) -> None:
        assert (temporal([0.1]).criterion, temporal([0.1]).is_met) == (POLICY_STABILITY, False)

    def test_what_a_policy_commits(self) -> None:
        policies: dict[str, dict[str, Any]] = {
            "A": {"parameters": {"initial_liquidity_fraction": 0.2}, "initial_liquidity_fraction": 0.3},
            "B": {"parameters": {"other": 1.0}, "initial_liquidity_fraction": 0.3},
            "C": {"parameters": {}},
            "D": {"payment_tree": {}},
            "E": {"parameters": {"initial_liquidity_fraction": 1}},
        }
        assert committed_fractions(policies) == {"A": 0.2, "B": 0.3, "C": 0.5, "D": 0.5, "E": 1.0}

    def test_a_policy_of_another_simulator_may_commit_nothing_and_then_says_nothing(self) -> None:
        policies: dict[str, dict[str, Any]] = {"A": {"parameters": {"x": 3}}, "B": {"parameters": "any"}}
        fractions = [committed_fractions(policies, is_payments=False)] * 3
        assert fractions[0] == {"A": None, "B": None}
        found = assess(TEMPORAL, [1, 2, 4], fractions, ConvergenceConfig(stability_window=3))
        assert (found.reason, found.metrics["fraction_range"]) == (None, None)


class TestPointsWithoutEvidence:
    """After an iteration in which an agent got no usable proposal, nothing changed because nothing was tried."""

    def test_no_stable_change_is_counted_and_none_is_forgotten(self) -> None:
        config = ConvergenceConfig(stability_window=2)
        for without, expected in (([], 4), ([4], 3), ([1, 2, 3, 4], 0), ([1, 3], 2)):
            found = assess("deterministic-pairwise", [100] * 5, [], config, without)
            assert found.metrics["stable_changes"] == expected
        assert assess("deterministic-pairwise", [100] * 5, [], config, [2, 3]).reason == COST_STABILITY

    def test_a_large_change_to_one_ends_the_stable_changes(self) -> None:
        config = ConvergenceConfig(stability_window=2)
        found = assess("deterministic-pairwise", [100, 100, 100, 200, 200], [], config, [3])
        assert found.metrics["stable_changes"] == 1

    def test_nothing_is_met_at_one(self) -> None:
        still: list[Fractions] = [{"A": 0.5}] * 6
        for mode in ("deterministic-pairwise", TEMPORAL, "bootstrap"):
            config = ConvergenceConfig(stability_window=2)
            assert assess(mode, [100] * 6, still, config).is_met
            assert not assess(mode, [100] * 6, still, config, [5]).is_met

    @pytest.mark.parametrize("mode", [TEMPORAL, "bootstrap"])
    def test_a_window_is_of_the_others_alone(self, mode: str) -> None:
        config = ConvergenceConfig(stability_window=3)
        totals: list[int] = [100, 100, 900, 900, 100]
        fractions: list[Fractions] = [{"A": value} for value in (0.5, 0.5, 0.1, 0.1, 0.5)]
        assert assess(mode, totals, fractions, config).reason is None
        assert assess(mode, totals, fractions, config, [2, 3]).reason is not None
        assert assess(mode, totals, fractions, config, [1, 2, 3]).reason is None


class TestWhatIsRecorded:
    CONFIG = ConvergenceConfig(stability_window=4)

    def shown(self, mode: str, totals: list[int], fractions: list[float] | None = None) -> dict[str, Any]:
        committed = [{"A": value} for value in fractions or [0.5] * len(totals)]
        shown = assess(mode, totals, committed, self.CONFIG).as_dict()
        event = {**full_event(optimization.ITERATION_END.event_type), "convergence": shown}
        assert find_problems(event, "event.iteration_end.v1") == []
        return shown

    def test_the_deterministic_figures(self) -> None:
        first = {"criterion": "cost_stability", "met": False, "relative_change": None, "stable_changes": 0}
        assert self.shown("deterministic-pairwise", [300]) == first
        assert self.shown("deterministic-pairwise", [300, 200]) == {**first, "relative_change": 0.333333}
        stable = self.shown("deterministic-pairwise", [300, 200, 201, 199, 199])
        assert stable == {**first, "relative_change": 0.0, "stable_changes": 3}
        met = self.shown("deterministic-pairwise", [300, 200, 201, 199, 199, 200])
        assert met == {**first, "met": True, "relative_change": 0.005025, "stable_changes": 4}
        assert self.shown("deterministic-pairwise", [0, 7])["relative_change"] == 7.0

    def test_the_figures_of_the_bootstrap(self) -> None:
        early = {"coefficient_of_variation": None, "trend_s": None, "trend_p": None}
        expected = {"criterion": "bootstrap_stability", "met": False, **early}
        assert self.shown("bootstrap", [300, 100, 110]) == {**expected, "regret": 0.1}
        # Deviation √1.1875 around 101.75; S −3, variance (4·3·13 − 2·1·9)/18 = 23/3, z −0.722.
        full = self.shown("bootstrap", [300, 103, 102, 100, 102])
        assert full == {
            "criterion": "bootstrap_stability",
            "met": True,
            "coefficient_of_variation": 0.01071,
            "trend_s": -3,
            "trend_p": 0.470101,
            "regret": 0.02,
        }

    def test_what_is_infinite_is_null(self) -> None:
        shown = self.shown("bootstrap", [-1, 1, -1, 1])
        assert (shown["coefficient_of_variation"], shown["regret"]) == (None, 2.0)
        assert self.shown("bootstrap", [0, 1])["regret"] is None

    def test_below_four_totals_a_trend_has_no_p(self) -> None:
        shown = assess("bootstrap", [3, 2, 1], [], ConvergenceConfig(stability_window=3)).as_dict()
        assert (shown["trend_s"], shown["trend_p"], shown["met"]) == (-3, None, False)

    def test_the_figures_of_the_temporal_mode(self) -> None:
        shown = self.shown(TEMPORAL, [300, 200, 100, 50], [0.5, 0.25, 0.25, 0.125])
        assert shown == {
            "criterion": "policy_stability",
            "met": False,
            "relative_change": 0.5,
            "stable_changes": 0,
            "fraction_range": 0.375,
        }
        assert self.shown(TEMPORAL, [300, 200, 100])["fraction_range"] is None

    @pytest.mark.parametrize(
        ("figure", "value"),
        [
            ("relative_change", -0.1),
            ("relative_change", "0"),
            ("stable_changes", 1.5),
            ("stable_changes", -1),
            ("fraction_range", -0.1),
            ("trend_p", 1.1),
            ("trend_s", 0.5),
            ("met", 1),
            ("criterion", "max_iterations"),
        ],
    )
    def test_other_figures_are_refused(self, figure: str, value: Any) -> None:
        event = full_event(optimization.ITERATION_END.event_type)
        event["convergence"] = {**event["convergence"], figure: value}
        assert [problem.path for problem in find_problems(event, "event.iteration_end.v1")] == [("convergence", figure)]

    def test_whoever_records_without_a_criterion_leaves_it_out(self) -> None:
        provider = LiveStateProvider("two banks")
        provider.record_iteration(0, {"A": 5}, {"A": True}, {"A": {}})
        provider.record_iteration(1, {"A": 5}, {"A": True}, {"A": {}}, {"criterion": "cost_stability", "met": True})
        without, given_one = provider.get_all_events()
        assert "convergence" not in without
        assert given_one["convergence"] == {"criterion": "cost_stability", "met": True}

    @given(st.sampled_from(["bootstrap", "deterministic-pairwise", TEMPORAL]), st.data())
    def test_whatever_the_totals_are_it_can_be_recorded(self, mode: str, data: st.DataObject) -> None:
        totals = data.draw(st.lists(st.integers(-(2**63), 2**63), min_size=1, max_size=8))
        self.shown(mode, totals, data.draw(st.lists(st.floats(0, 1), min_size=len(totals), max_size=len(totals))))


def test_regret_is_relative_to_the_best_of_all_totals() -> None:
    assert compute_regret([200, 100, 150]) == 0.5
    assert compute_regret([150, 100]) == 0.0
    assert compute_regret([-100, -90]) == 0.1
    assert compute_regret([7]) == 0.0


def test_a_best_total_of_0_forgives_nothing() -> None:
    assert compute_regret([0, 0]) == 0.0
    assert compute_regret([5, 0]) == 0.0
    assert compute_regret([0, 1]) == math.inf


def test_a_change_from_a_cost_of_zero_is_infinite_unless_costs_are_integers() -> None:
    assert (relative_change(0, 3), relative_change(0, 0)) == (3.0, 0.0)
    assert (relative_change(0.0, 0.01), relative_change(0.0, 0.0)) == (math.inf, 0.0)
    assert relative_change(0.5, 0.25) == 0.5
