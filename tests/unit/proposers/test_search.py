"""The pattern search: it follows the decisions so far and nothing else, and stays where it may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.payments import check_policy
from exprec.recorder.proposers.protocol import Parameter, Policy
from exprec.recorder.proposers.search import LIQUIDITY, SearchProposer
from tests.fixtures.experiments import asking, policy

URGENCY = Parameter("urgency", "int", 0, 20)
LEVEL = Parameter("level", "enum", values=(1, 2, 5))


def start_policy(**parameters: Any) -> dict[str, Any]:
    return {**policy(0.5), "parameters": parameters}


def ask(
    start: Policy,
    decisions: tuple[bool, ...] = (),
    parameters: tuple[Parameter, ...] = (LIQUIDITY,),
    current: Policy | None = None,
) -> dict[str, Any]:
    request = asking(start=start, current=current, decisions=decisions, parameters=parameters)
    proposed: dict[str, Any] = json.loads(asyncio.run(SearchProposer().propose(request)).text or "")
    return proposed


def searched(
    start: dict[str, Any],
    parameters: tuple[Parameter, ...],
    cost: Callable[[Mapping[str, Any]], float],
    rounds: int,
) -> list[dict[str, Any]]:
    """The parameters proposed in a search for the lowest cost; the current policy is what was accepted last."""
    current = start
    decisions: list[bool] = []
    proposed: list[dict[str, Any]] = []
    for _ in range(rounds):
        trial = ask(start, tuple(decisions), parameters, current)
        proposed.append(trial["parameters"])
        better = cost(trial["parameters"]) < cost(current["parameters"])
        decisions.append(better)
        current = trial if better else current
    return proposed


def one_by_one(decisions: str, **start: Any) -> list[float]:
    """The fractions proposed while decisions (+ accepted, - rejected) come in, the last one still open."""
    first = start_policy(**(start or {"initial_liquidity_fraction": 0.5}))
    taken = [decision == "+" for decision in decisions]
    return [
        ask(first, tuple(taken[:count]))["parameters"]["initial_liquidity_fraction"] for count in range(len(taken) + 1)
    ]


class TestSteps:
    @pytest.mark.parametrize("first", "+-")
    def test_it_first_tries_a_quarter_of_the_range_in_both_directions(self, first: str) -> None:
        assert one_by_one(first) == [0.25, 0.75]

    def test_at_a_bound_it_explores_up_to_it(self) -> None:
        assert one_by_one("-", initial_liquidity_fraction=0.9) == [0.65, 1.0]

    def test_then_it_halves_the_steps_down_to_a_hundredth(self) -> None:
        assert one_by_one("-" * 9) == [0.25, 0.75, 0.38, 0.62, 0.44, 0.56, 0.47, 0.53, 0.49, 0.51]

    def test_it_steps_on_while_that_helps(self) -> None:
        assert one_by_one("+-+++") == [0.25, 0.75, 0.13, 0.01, 0.0, 0.12]

    def test_when_nothing_helps_it_begins_again(self) -> None:
        assert one_by_one("-" * 10)[10] == 0.25

    def test_it_explores_until_the_finest_steps_were_tried(self) -> None:
        request = [
            asking(start=start_policy(initial_liquidity_fraction=0.5), decisions=(False,) * n) for n in range(12)
        ]
        answers = [asyncio.run(SearchProposer().propose(each)) for each in request]
        assert [each.is_exploring for each in answers] == [True] * 10 + [False] * 2

    def test_each_parameter_is_explored_in_both_directions_whatever_is_decided(self) -> None:
        start = start_policy(urgency=10, initial_liquidity_fraction=0.5, level=1)
        parameters = (URGENCY, LIQUIDITY, LEVEL)
        for number in range(2**5):
            decisions = tuple(bool(number >> bit & 1) for bit in range(5))
            seen = [ask(start, decisions[:count], parameters)["parameters"] for count in range(6)]
            assert {each["urgency"] for each in seen} >= {5, 15}
            assert {each["initial_liquidity_fraction"] for each in seen} >= {0.25, 0.75}
            assert {each["level"] for each in seen} >= {2, 5}

    def test_a_range_over_orders_of_magnitude_is_searched_by_factors(self) -> None:
        wide = Parameter("timeout", "float", 0.01, 100.0)
        proposed = searched(start_policy(timeout=10.0), (wide,), lambda values: abs(values["timeout"] - 0.05), 30)
        assert [values["timeout"] for values in proposed][:2] == [1.0, 100.0]
        assert min(abs(values["timeout"] - 0.05) for values in proposed) < 0.005

    def test_integers_over_orders_of_magnitude_are_searched_by_factors(self) -> None:
        wide = Parameter("size", "int", 1, 10000)
        proposed = searched(start_policy(size=100), (wide,), lambda values: abs(values["size"] - 7), 40)
        assert [values["size"] for values in proposed][:2] == [10, 1000]
        assert 7 in [values["size"] for values in proposed]

    @pytest.mark.parametrize("goal", [0.0, 0.13, 0.2, 0.5, 0.77, 1.0])
    def test_it_finds_the_minimum_of_a_simple_cost_on_its_finest_grid(self, goal: float) -> None:
        name = "initial_liquidity_fraction"
        proposed = searched(start_policy(**{name: 0.5}), (LIQUIDITY,), lambda values: abs(values[name] - goal), 40)
        assert min(abs(values[name] - goal) for values in [{name: 0.5}, *proposed]) < 0.011


class TestState:
    def test_the_same_request_has_the_same_answer(self) -> None:
        proposer = SearchProposer()
        request = asking("A", decisions=(True, False, True))
        other = asking("B", decisions=(False,))

        async def answers() -> list[str | None]:
            asked = (request, other, request, other, request)
            return [(await proposer.propose(each)).text for each in asked]

        first, second, third, fourth, fifth = asyncio.run(answers())
        assert first == third == fifth
        assert second == fourth
        assert first != second

    def test_another_decision_leads_elsewhere(self) -> None:
        assert one_by_one("+--") != one_by_one("---")

    def test_it_is_a_computation_and_no_model(self) -> None:
        assert SearchProposer.is_model is False


class TestPolicies:
    def test_all_but_the_parameters_stays_as_it_is(self) -> None:
        current = start_policy(initial_liquidity_fraction=0.4, other=7)
        current["description"] = "kept"
        proposed = ask(policy(0.5), (), (LIQUIDITY,), current)
        assert proposed == {**current, "parameters": {"initial_liquidity_fraction": 0.25, "other": 7}}

    def test_a_parameter_that_the_policy_lacks_is_not_touched(self) -> None:
        start = start_policy(initial_liquidity_fraction=0.5)
        seen = set()
        decisions: tuple[bool, ...] = ()
        for _ in range(30):
            seen |= set(ask(start, decisions, (URGENCY, LIQUIDITY, LEVEL))["parameters"])
            decisions += (False,)
        assert seen == {"initial_liquidity_fraction"}

    def test_the_fraction_is_searched_even_if_the_policy_leaves_it_to_its_default(self) -> None:
        assert ask(start_policy())["parameters"] == {"initial_liquidity_fraction": 0.25}
        without = start_policy()
        del without["parameters"]
        assert ask(without)["parameters"] == {"initial_liquidity_fraction": 0.25}

    def test_a_fraction_beside_the_parameters_is_where_the_search_starts(self) -> None:
        start = {**start_policy(), "initial_liquidity_fraction": 0.9}
        assert ask(start)["parameters"] == {"initial_liquidity_fraction": 0.65}

    @pytest.mark.parametrize(
        "parameters",
        [
            (),
            (URGENCY,),
            (Parameter("initial_liquidity_fraction", "float", 0.5, 0.5),),
            (Parameter("initial_liquidity_fraction", "enum", values=(0.5,)),),
        ],
    )
    def test_where_nothing_can_be_varied_the_policy_stays(self, parameters: tuple[Parameter, ...]) -> None:
        start = policy(0.5)
        for decisions in ((), (False,), (False, True)):
            assert ask(start, decisions, parameters) == start


class TestKinds:
    def test_an_int_stays_one(self) -> None:
        start = start_policy(urgency=10)
        proposed = searched(start, (URGENCY,), lambda values: abs(values["urgency"] - 3), 20)
        assert [values["urgency"] for values in proposed][:4] == [5, 15, 3, 1]
        assert all(type(values["urgency"]) is int for values in proposed)

    def test_a_small_int_range_is_walked_one_by_one(self) -> None:
        small = Parameter("urgency", "int", 0, 2)
        proposed = searched(start_policy(urgency=1), (small,), lambda values: 0, 4)
        assert [values["urgency"] for values in proposed] == [0, 2, 0, 2]

    def test_an_enum_is_tried_value_by_value(self) -> None:
        proposed = searched(start_policy(level=2), (LEVEL,), lambda values: abs(values["level"] - 5), 5)
        assert [values["level"] for values in proposed] == [1, 5, 1, 2, 1]

    def test_several_parameters_are_searched_in_turn(self) -> None:
        start = start_policy(urgency=10, initial_liquidity_fraction=0.5, level=1)

        def cost(values: Mapping[str, Any]) -> float:
            fraction, urgency, level = (float(values[name]) for name in (LIQUIDITY.name, "urgency", "level"))
            return abs(urgency - 4) + 40 * abs(fraction - 0.2) + abs(level - 5)

        parameters = (URGENCY, LIQUIDITY, LEVEL)
        proposed = searched(start, parameters, cost, 60)
        assert min(map(cost, proposed)) < 0.5
        before = start["parameters"]
        # One parameter a proposal, each against the best values so far.
        for values in proposed:
            assert sum(values[name] != before[name] for name in before) == 1
            before = values if cost(values) < cost(before) else before

    def test_without_bounds_the_stride_follows_the_value(self) -> None:
        free = Parameter("threshold", "float")
        proposed = searched(start_policy(threshold=1000.0), (free,), lambda values: abs(values["threshold"] - 3000), 40)
        assert any(abs(values["threshold"] - 3000) < 50 for values in proposed)


class TestBounds:
    def test_a_bound_of_many_digits_is_not_rounded_over(self) -> None:
        for bound in (2 / 3, 1 / 3, 0.1 + 0.2):
            parameter = Parameter("initial_liquidity_fraction", "float", 0.0, bound)
            proposed = searched(
                start_policy(initial_liquidity_fraction=0.1),
                (parameter,),
                lambda values: -values["initial_liquidity_fraction"],
                20,
            )
            assert max(values["initial_liquidity_fraction"] for values in proposed) == bound

    def test_a_start_out_of_bounds_is_brought_within_them(self) -> None:
        parameters = (Parameter("initial_liquidity_fraction", "float", 0.6, 0.9), URGENCY, LEVEL)
        start = start_policy(initial_liquidity_fraction=0.5, urgency=99, level=7)
        for values in searched(start, parameters, lambda values: 0, 30):
            assert 0.6 <= values["initial_liquidity_fraction"] <= 0.9
            assert 0 <= values["urgency"] <= 20
            assert values["level"] in (1, 2, 5)

    def test_the_other_parameters_keep_their_every_digit(self) -> None:
        start = start_policy(initial_liquidity_fraction=1 / 3, urgency=10)
        assert ask(start, (), (URGENCY, LIQUIDITY))["parameters"]["initial_liquidity_fraction"] == 1 / 3


@st.composite
def parameter_and_start(draw: st.DrawFn, name: str) -> tuple[Parameter, Any]:
    kind = draw(st.sampled_from(["int", "float", "enum"]))
    number = st.integers(-1000, 1000) if kind == "int" else st.floats(-1000, 1000, allow_subnormal=False)
    if kind == "enum":
        values = tuple(draw(st.lists(st.integers(-5, 5), min_size=1, max_size=5, unique=True)))
        return Parameter(name, kind, values=values), draw(st.integers(-5, 5))
    bounds = sorted((draw(number), draw(number)))
    low = draw(st.sampled_from([bounds[0], None]))
    high = draw(st.sampled_from([bounds[1], None]))
    return Parameter(name, kind, low, high), draw(number)


@given(
    parameter_and_start("x"),
    parameter_and_start("y"),
    st.lists(st.booleans(), max_size=40),
)
def test_whatever_is_decided_every_proposal_is_valid_and_within_bounds(
    x: tuple[Parameter, Any], y: tuple[Parameter, Any], decisions: list[bool]
) -> None:
    parameters = (x[0], y[0], LIQUIDITY)
    start = start_policy(x=x[1], y=y[1], initial_liquidity_fraction=0.5)
    proposed = ask(start, tuple(decisions), parameters)
    assert check_policy(proposed) == []
    for parameter in parameters:
        value = proposed["parameters"][parameter.name]
        if parameter.kind == "enum":
            assert value in parameter.values
        else:
            assert parameter.minimum is None or value >= parameter.minimum
            assert parameter.maximum is None or value <= parameter.maximum
            assert isinstance(value, int if parameter.kind == "int" else float)
