"""Acceptance: what is taken and what is not, at each limit, and the reason with its figures."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.experiment.acceptance import Decision, accept_as_proposed, decide_acceptance
from exprec.recorder.experiment.config import AcceptanceConfig

COSTS = st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62)), min_size=1, max_size=20)


def test_a_lower_cost_is_accepted() -> None:
    decision = decide_acceptance([5000], [2500])
    assert decision.accepted
    assert (decision.old_cost, decision.new_cost, decision.deltas) == (5000, 2500, (2500,))
    assert decision.reason == "lowers the agent's cost by 2500 cents"


def test_a_higher_cost_is_not() -> None:
    decision = decide_acceptance([2500], [5000])
    assert not decision.accepted
    assert decision.deltas == (-2500,)
    assert decision.reason == "raises the agent's cost by 2500 cents"


def test_the_same_cost_is_not() -> None:
    decision = decide_acceptance([0], [0])
    assert not decision.accepted
    assert decision.reason == "does not change the agent's cost"


def test_one_cent_is_enough() -> None:
    assert decide_acceptance([1], [0]).accepted
    assert decide_acceptance([-1], [-2]).accepted


def test_samples_count_by_their_sum_and_not_by_their_number() -> None:
    mostly_worse = decide_acceptance([10, 10, 110], [20, 20, 10])
    assert mostly_worse.accepted
    assert mostly_worse.deltas == (-10, -10, 100)
    assert mostly_worse.reason == "lowers the agent's cost by 80 cents in total over 3 samples, 1 of which are better"
    mostly_better = decide_acceptance([10, 10, 10], [9, 9, 13])
    assert not mostly_better.accepted
    assert mostly_better.reason == "raises the agent's cost by 1 cents in total over 3 samples, 2 of which are better"
    even = decide_acceptance([10, 10], [9, 11])
    assert not even.accepted
    assert even.reason == "does not change the agent's cost in total over 2 samples, 1 of which are better"


def test_it_is_decided_by_the_exact_sum_where_the_truncated_means_are_equal() -> None:
    decision = decide_acceptance([1, 2], [1, 1])
    assert (decision.old_cost, decision.new_cost) == (1, 1)
    assert decision.accepted


def test_costs_that_are_no_pairs_are_refused() -> None:
    for compare in (decide_acceptance, accept_as_proposed):
        with pytest.raises(ValueError, match="argument 2 is shorter"):
            compare([1, 2], [1])


@given(COSTS)
def test_what_holds_of_every_decision(pairs: list[tuple[int, int]]) -> None:
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    decision = decide_acceptance(old, new)
    assert decision.accepted == (sum(old) > sum(new))
    assert decision.deltas == tuple(a - b for a, b in pairs)
    assert decision.old_cost == math.trunc(Fraction(sum(old), len(old)))
    assert decision.new_cost == math.trunc(Fraction(sum(new), len(new)))
    assert not (decision.accepted and decide_acceptance(new, old).accepted)


CHANGE = "lowers the agent's cost by {} cents in total over {} samples, {} of which are better"
SIGNIFICANT = AcceptanceConfig(require_statistical_significance=True)


def saving(deltas: list[int], limits: AcceptanceConfig = SIGNIFICANT) -> Decision:
    """The decision on a policy that saves these cents of a cost of 1000."""
    return decide_acceptance([1000] * len(deltas), [1000 - delta for delta in deltas], limits)


class TestSignificance:
    def test_an_interval_above_0_is_accepted(self) -> None:
        # Mean 25, sample deviation √(500/3), t 3.1824: 25 ± 20.54.
        decision = saving([10, 20, 30, 40])
        assert decision.accepted
        assert decision.reason == (
            f"{CHANGE.format(100, 4, 4)}; significant: "
            "the 95 % confidence interval of the mean saving is 4.46 to 45.54 cents"
        )

    def test_an_interval_that_reaches_below_0_is_not(self) -> None:
        # Mean 15, sample deviation √(500/3): 15 ± 20.54. Without the demand the saving is enough.
        decision = saving([0, 10, 20, 30])
        assert not decision.accepted
        assert decision.reason == (
            f"{CHANGE.format(60, 4, 3)}; but not significant: "
            "the 95 % confidence interval of the mean saving is -5.54 to 35.54 cents"
        )
        assert saving([0, 10, 20, 30], AcceptanceConfig()).accepted

    def test_it_is_the_savings_that_are_paired_and_not_the_costs(self) -> None:
        # The costs differ by orders of magnitude, the savings by nothing.
        decision = decide_acceptance([10, 1000, 100000], [9, 999, 99999], SIGNIFICANT)
        assert decision.accepted
        assert decision.reason.endswith("the mean saving is 1.00 to 1.00 cents")

    def test_two_samples_show_little(self) -> None:
        # The interval of 0 and 2 is 1 ± 12.71.
        assert not saving([0, 2]).accepted
        assert saving([0, 2]).reason.endswith("is -11.71 to 13.71 cents")

    def test_one_sample_shows_nothing(self) -> None:
        decision = saving([500])
        assert not decision.accepted
        assert decision.reason == (
            "lowers the agent's cost by 500 cents; but one sample cannot show that this is significant"
        )

    def test_what_is_significantly_worse_is_not_accepted(self) -> None:
        decision = saving([-10, -20, -30])
        assert not decision.accepted
        assert decision.reason == ("raises the agent's cost by 60 cents in total over 3 samples, 0 of which are better")


class TestVariation:
    COSTS = (100, 200, 300)
    """Their mean is 200 and their sample deviation 100; that of a population would be 81.6."""

    def decision(self, limit: float, costs: tuple[int, ...] = COSTS, old: int = 1000) -> Decision:
        limits = AcceptanceConfig(max_coefficient_of_variation=limit)
        return decide_acceptance([old] * len(costs), costs, limits)

    def test_the_limit_itself_is_allowed(self) -> None:
        decision = self.decision(0.5)
        assert decision.accepted
        assert decision.reason == (
            f"{CHANGE.format(2400, 3, 3)}; the new costs vary by 0.5 of their mean, and at most 0.5 is allowed"
        )

    def test_more_is_not(self) -> None:
        decision = self.decision(0.4999)
        assert not decision.accepted
        assert decision.reason.endswith("; but the new costs vary by 0.5 of their mean, and at most 0.4999 is allowed")

    def test_costs_of_0_do_not_vary(self) -> None:
        decision = self.decision(0.001, (0, 0, 0))
        assert decision.accepted
        assert "vary by 0 of their mean" in decision.reason

    def test_around_a_mean_of_0_everything_is_too_much(self) -> None:
        decision = self.decision(1e9, (-1, 1))
        assert not decision.accepted
        assert decision.reason.endswith(
            "but the new costs vary around a mean of 0, and at most 1000000000.0 of the mean is allowed"
        )

    def test_one_sample_shows_nothing(self) -> None:
        decision = self.decision(0.5, (100,))
        assert not decision.accepted
        assert decision.reason == (
            "lowers the agent's cost by 900 cents; but one sample cannot show how much the new costs vary"
        )


class TestSettlement:
    def decision(self, settled: int, arrived: int, floor: float = 0.95) -> Decision:
        limits = AcceptanceConfig(min_settlement_rate=floor)
        return decide_acceptance([1000], [900], limits, settled=settled, arrived=arrived)

    def test_the_floor_itself_is_enough(self) -> None:
        decision = self.decision(19, 20)
        assert decision.accepted
        assert decision.reason == (
            "lowers the agent's cost by 100 cents; 19 of 20 payments settle (0.95), and at least 0.95 is demanded"
        )

    @pytest.mark.parametrize("hundredths", range(101))
    def test_also_where_it_is_no_binary_fraction(self, hundredths: int) -> None:
        assert self.decision(3 * hundredths, 300, hundredths / 100).accepted
        if hundredths:
            assert not self.decision(3 * hundredths - 1, 300, hundredths / 100).accepted

    def test_less_is_not(self) -> None:
        decision = self.decision(18, 20)
        assert not decision.accepted
        assert decision.reason == (
            "lowers the agent's cost by 100 cents; but 18 of 20 payments settle (0.9), and at least 0.95 is demanded"
        )

    def test_where_nothing_arrives_everything_settles(self) -> None:
        assert self.decision(0, 0, 1.0).accepted


def test_all_limits_are_looked_at_and_all_of_them_must_be_kept() -> None:
    limits = AcceptanceConfig(
        require_statistical_significance=True, max_coefficient_of_variation=0.1, min_settlement_rate=0.9
    )
    decision = decide_acceptance([100, 500], [90, 100], limits, settled=19, arrived=20)
    assert not decision.accepted
    change, significance, variation, settlement = decision.reason.split("; ")
    assert change == CHANGE.format(410, 2, 2)
    assert significance.startswith("but not significant: ")
    assert variation == "the new costs vary by 0.074432 of their mean, and at most 0.1 is allowed"
    assert settlement == "19 of 20 payments settle (0.95), and at least 0.9 is demanded"


def test_no_limit_makes_up_for_a_cost_that_is_not_lower() -> None:
    limits = AcceptanceConfig(max_coefficient_of_variation=9.0, min_settlement_rate=0.0)
    decision = decide_acceptance([10, 10], [10, 10], limits, settled=1, arrived=1)
    assert not decision.accepted
    assert decision.reason == "does not change the agent's cost in total over 2 samples, 0 of which are better"


@given(COSTS)
def test_limits_only_ever_refuse(pairs: list[tuple[int, int]]) -> None:
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    limits = AcceptanceConfig(True, 0.5, 0.5)
    decision, unlimited = decide_acceptance(old, new, limits, settled=1, arrived=2), decide_acceptance(old, new)
    assert unlimited.accepted or not decision.accepted
    assert decision.accepted == (unlimited.accepted and "; but " not in decision.reason)
    assert decision.reason.startswith(unlimited.reason)


@pytest.mark.parametrize(
    ("new", "change"),
    [
        (900, "lowers the agent's cost by 100 cents"),
        (1000, "does not change the agent's cost"),
        (1100, "raises the agent's cost by 100 cents"),
    ],
)
def test_as_proposed_everything_is_accepted_and_its_figures_are_told(new: int, change: str) -> None:
    decision = accept_as_proposed([1000], [new])
    assert decision == Decision(True, f"accepted as proposed: {change}", 1000, new, (1000 - new,))


def test_costs_that_are_numbers_have_their_unit_in_the_reason() -> None:
    decision = decide_acceptance([0.5, 0.5], [0.25, 0.3], unit="ms")
    assert decision.accepted
    assert (decision.old_cost, decision.new_cost, decision.deltas) == (0.5, 0.275, (0.25, 0.2))
    assert decision.reason == "lowers the agent's cost by 0.45 ms in total over 2 samples, 2 of which are better"
    strict = AcceptanceConfig(require_statistical_significance=True)
    assert decide_acceptance([0.5, 0.5], [0.25, 0.3], strict, unit="ms").reason.endswith(
        "; but not significant: the 95 % confidence interval of the mean saving is -0.0926551 to 0.542655 ms"
    )
