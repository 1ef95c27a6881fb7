"""Acceptance: a proposal is taken if the agent itself pays less in total, and the reason has the figures."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.optimize.acceptance import decide

COSTS = st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62)), min_size=1, max_size=20)


def test_a_lower_cost_is_accepted() -> None:
    decision = decide([5000], [2500])
    assert decision.accepted
    assert (decision.old_cost, decision.new_cost, decision.deltas) == (5000, 2500, (2500,))
    assert decision.reason == "lowers the agent's cost by 2500 cents"


def test_a_higher_cost_is_not() -> None:
    decision = decide([2500], [5000])
    assert not decision.accepted
    assert decision.deltas == (-2500,)
    assert decision.reason == "raises the agent's cost by 2500 cents"


def test_the_same_cost_is_not() -> None:
    decision = decide([0], [0])
    assert not decision.accepted
    assert decision.reason == "does not change the agent's cost"


def test_one_cent_is_enough() -> None:
    assert decide([1], [0]).accepted
    assert decide([-1], [-2]).accepted


def test_samples_count_by_their_sum_and_not_by_their_number() -> None:
    mostly_worse = decide([10, 10, 110], [20, 20, 10])
    assert mostly_worse.accepted
    assert mostly_worse.deltas == (-10, -10, 100)
    assert mostly_worse.reason == "lowers the agent's cost by 80 cents in total over 3 samples, 1 of which are better"
    mostly_better = decide([10, 10, 10], [9, 9, 13])
    assert not mostly_better.accepted
    assert mostly_better.reason == "raises the agent's cost by 1 cents in total over 3 samples, 2 of which are better"
    even = decide([10, 10], [9, 11])
    assert not even.accepted
    assert even.reason == "does not change the agent's cost in total over 2 samples, 1 of which are better"


def test_it_is_decided_by_the_exact_sum_where_the_truncated_means_are_equal() -> None:
    decision = decide([1, 2], [1, 1])
    assert (decision.old_cost, decision.new_cost) == (1, 1)
    assert decision.accepted


def test_costs_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        decide([1, 2], [1])


@given(COSTS)
def test_what_holds_of_every_decision(pairs: list[tuple[int, int]]) -> None:
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    decision = decide(old, new)
    assert decision.accepted == (sum(old) > sum(new))
    assert decision.deltas == tuple(a - b for a, b in pairs)
    assert decision.old_cost == math.trunc(Fraction(sum(old), len(old)))
    assert decision.new_cost == math.trunc(Fraction(sum(new), len(new)))
    assert not (decision.accepted and decide(new, old).accepted)
