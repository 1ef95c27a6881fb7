"""The language of policies: every field, operator and way to fail."""

from __future__ import annotations

from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.errors import SimulationError
from exprec.recorder.payments import PaymentSimulator
from exprec.recorder.payments.costs import CostRates
from exprec.recorder.payments.payment import Payment, new_payment
from exprec.recorder.payments.policy.expressions import UndefinedError, compile_test, compile_value
from exprec.recorder.payments.policy.fields import FIELDS, DecisionContext
from tests.fixtures.payments import Json, agent, branch, compare, leaf, pay, policy, scenario, split

_ONE = dict.fromkeys(("urgent_multiplier", "normal_multiplier", "low_multiplier"), 1.0)
_RATES = CostRates(
    {
        "delay_cost_per_tick_per_cent": 0.25,
        "overdraft_bps_per_tick": 40.0,
        "liquidity_cost_per_tick_bps": 0,
        "split_friction_cost": 11,
        "overdue_delay_multiplier": 5.0,
        "deadline_penalty": {"mode": "rate", "bps_per_event": 100},
        "eod_penalty_per_transaction": 700,
    },
    _ONE,
)


def _context(
    tick: int = 9, balance: int = -100, cap: int = 500, queue: tuple[int, ...] = (), central_queue: tuple[int, ...] = ()
) -> DecisionContext:
    return DecisionContext(
        agent="A",
        tick=tick,
        balance=balance,
        cap=cap,
        queue=[_payment(amount) for amount in queue],
        central_queue=[_payment(amount) for amount in central_queue],
        rates=_RATES,
        ticks_per_day=10,
        agent_count=3,
    )


def _payment(amount: int = 400, deadline: int = 7) -> Payment:
    return new_payment(sender=0, receiver=1, amount=amount, arrival=2, deadline=deadline, priority=6)


_SEEN: dict[str, float] = {
    "amount": 400,
    "remaining_amount": 400,
    "settled_amount": 0,
    "arrival_tick": 2,
    "deadline_tick": 7,
    "priority": 6,
    "ticks_to_deadline": -2,
    "queue_age": 7,
    "is_past_deadline": 1,
    "is_overdue": 1,
    "overdue_duration": 1,
    "is_split": 0,
    "balance": -100,
    "credit_limit": 500,
    "unsecured_cap": 500,
    "credit_used": 100,
    "credit_headroom": 400,
    "available_liquidity": 400,
    "effective_liquidity": 300,
    "is_using_credit": 1,
    "is_overdraft_capped": 1,
    "liquidity_pressure": 1,
    "outgoing_queue_size": 2,
    "queue1_total_value": 450,
    "queue1_liquidity_gap": 50,
    "headroom": -50,
    "rtgs_queue_size": 3,
    "queue2_size": 3,
    "rtgs_queue_value": 60,
    "current_tick": 9,
    "total_agents": 3,
    "system_ticks_per_day": 10,
    "system_current_day": 0,
    "system_tick_in_day": 9,
    "ticks_remaining_in_day": 0,
    "day_progress_fraction": 0.9,
    "is_eod_rush": 1,
    "cost_delay_per_tick_per_cent": 0.25,
    "cost_overdraft_bps_per_tick": 40,
    "cost_split_friction": 11,
    "cost_deadline_penalty": 4,
    "cost_eod_penalty": 700,
    "cost_delay_this_tx_one_tick": 100,
    "cost_overdraft_this_amount_one_tick": 1.6,
}


@pytest.mark.parametrize("name", sorted(_SEEN))
def test_the_value_of_a_field(name: str) -> None:
    value = compile_value({"field": name}, {})(_context(queue=(400, 50), central_queue=(10, 20, 30)), _payment())
    assert (value, type(value)) == (_SEEN[name], float)


def test_the_schema_and_the_simulator_know_the_same_fields() -> None:
    known = schemas.load("policy.v1")["$defs"]["value"]["then"]["properties"]["field"]["enum"]
    assert sorted(known) == sorted(FIELDS) == sorted(_SEEN)


@pytest.mark.parametrize(("tick", "overdue", "duration"), [(7, 0, 0), (8, 0, 0), (9, 1, 1), (11, 1, 3)])
def test_a_payment_is_overdue_from_the_second_late_tick_on(tick: int, overdue: int, duration: int) -> None:
    view = _context(tick=tick)
    assert FIELDS["is_overdue"](view, _payment()) == overdue
    assert FIELDS["overdue_duration"](view, _payment()) == duration
    assert FIELDS["is_past_deadline"](view, _payment()) == (tick > 7)


@pytest.mark.parametrize(
    ("balance", "cap", "available", "pressure"),
    [(0, 0, 0, 1.0), (-5, 5, 0, 1.0), (30, 10, 40, 0.25), (-700, 500, 0, 1.0), (40, 0, 40, 0.0)],
)
def test_liquidity_and_pressure(balance: int, cap: int, available: int, pressure: float) -> None:
    view = _context(balance=balance, cap=cap)
    assert FIELDS["available_liquidity"](view, _payment()) == available
    assert FIELDS["liquidity_pressure"](view, _payment()) == pressure


@pytest.mark.parametrize(("tick", "rush"), [(7, False), (8, True)])
def test_the_rush_starts_at_four_fifths_of_the_day(tick: int, rush: bool) -> None:
    assert FIELDS["is_eod_rush"](_context(tick=tick), _payment()) == rush


def _number(number: Any) -> Json:
    return {"value": number}


def _calculate(op: str, *operands: Any, **named: Any) -> float:
    given: Json = {"op": op, **{key: _number(operand) for key, operand in named.items()}}
    if op in ("max", "min"):
        given["values"] = [_number(operand) for operand in operands]
    elif operands:
        given.update(zip(("left", "right") if len(operands) == 2 else ("value",), map(_number, operands), strict=True))
    return compile_value({"compute": given}, {})(_context(), _payment())


@pytest.mark.parametrize(
    ("op", "operands", "result"),
    [
        ("+", (1, 2.5), 3.5),
        ("+", (True, True), 2.0),
        ("-", (1, 2.5), -1.5),
        ("*", (4, 2.5), 10.0),
        ("/", (5, 2), 2.5),
        ("max", (1, 3, 2), 3.0),
        ("min", (3,), 3.0),
        ("ceil", (1.2,), 2.0),
        ("ceil", (-1.2,), -1.0),
        ("floor", (-1.2,), -2.0),
        ("round", (2.5,), 3.0),
        ("round", (-2.5,), -3.0),
        ("abs", (-2.5,), 2.5),
    ],
)
def test_calculations(op: str, operands: tuple[Any, ...], result: float) -> None:
    assert _calculate(op, *operands) == result


@pytest.mark.parametrize("op", ["ceil", "floor", "round"])
def test_what_is_not_finite_stays_so_when_rounded(op: str) -> None:
    infinite = {"compute": {"op": "*", "left": _number(1e300), "right": _number(1e300)}}
    value = compile_value({"compute": {"op": op, "value": infinite}}, {})(_context(), _payment())
    assert value == float("inf")


@pytest.mark.parametrize(("value", "low", "high", "result"), [(5, 1, 3, 3), (0, 1, 3, 1), (2, 1, 3, 2), (2, 5, 3, 3)])
def test_clamping(value: float, low: float, high: float, result: float) -> None:
    assert _calculate("clamp", value=value, min=low, max=high) == result


@pytest.mark.parametrize(("denominator", "result"), [(2, 3.0), (1e-10, 7.0), (0, 7.0), (-1e-9, -6e9)])
def test_division_with_a_default(denominator: float, result: float) -> None:
    assert _calculate("div0", numerator=6, denominator=denominator, default=7) == pytest.approx(result)


@pytest.mark.parametrize("divisor", [1e-16, -1e-16, 2.2e-16])
def test_division_by_almost_nothing_has_no_result(divisor: float) -> None:
    with pytest.raises(UndefinedError, match="division by zero"):
        _calculate("/", 1, divisor)
    assert _calculate("/", 1, 2.220446049250313e-16) == 2.0**52


@pytest.mark.parametrize(
    ("left", "op", "right", "holds"),
    [
        (1, "==", 1 + 9e-10, True),
        (1, "==", 1 + 2e-9, False),
        (1, "!=", 1 + 9e-10, False),
        (1, "!=", 1 + 2e-9, True),
        (1, "<", 1 + 9e-10, True),
        (1, ">", 1 - 9e-10, True),
        (1, "<", 1, False),
        (1, ">", 1, False),
        (1 + 9e-10, "<=", 1, True),
        (1 + 2e-9, "<=", 1, False),
        (1 - 9e-10, ">=", 1, True),
        (1 - 2e-9, ">=", 1, False),
        (0, "<=", 1, True),
        (2, ">=", 1, True),
    ],
)
def test_comparisons(left: float, op: str, right: float, holds: bool) -> None:
    assert compile_test(compare(_number(left), op, _number(right)), {})(_context(), _payment()) == holds


_TRUE, _FALSE = compare(_number(1), "<", _number(2)), compare(_number(2), "<", _number(1))
_UNDEFINED = compare(
    {"compute": {"op": "/", "left": _number(1), "right": {"field": "settled_amount"}}}, "<", _number(1)
)


@pytest.mark.parametrize(
    ("op", "conditions", "holds"),
    [
        ("and", [], True),
        ("or", [], False),
        ("and", [_TRUE, _TRUE], True),
        ("and", [_FALSE, _UNDEFINED], False),
        ("or", [_TRUE, _UNDEFINED], True),
        ("or", [_FALSE, _FALSE], False),
    ],
)
def test_conditions_are_read_up_to_the_one_that_decides(op: str, conditions: list[Json], holds: bool) -> None:
    assert compile_test({"op": op, "conditions": conditions}, {})(_context(), _payment()) == holds
    assert compile_test({"op": "not", "condition": {"op": op, "conditions": conditions}}, {})(
        _context(), _payment()
    ) == (not holds)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"value": 1, "param": "p", "field": "amount"}, 400.0),
        ({"value": 1, "param": "p", "compute": {}}, 5.0),
        ({"compute": {}, "value": 1}, 1.0),
    ],
)
def test_of_several_keys_the_first_counts(value: Json, result: float) -> None:
    assert compile_value(value, {"p": 5})(_context(), _payment()) == result


def test_division_by_zero_stops_the_run_naming_agent_tick_and_node() -> None:
    tree = branch(_UNDEFINED, leaf(node_id="a"), leaf("Hold", "b"), "ratio")
    simulator = PaymentSimulator(scenario(3, [agent("A"), agent("B")], [pay(1, "A", "B", 5)]))
    with pytest.raises(SimulationError, match="agent 'A', tick 1, node 'ratio': division by zero") as raised:
        simulator.simulate({"A": policy(tree)})
    assert raised.value.agent == "A"
    # A branch that is never taken stops nothing.
    assert simulator.simulate({"A": policy(branch(_TRUE, leaf(node_id="x"), tree, "first"))}).arrivals == 1


def test_decisions_of_a_tick_do_not_see_each_other() -> None:
    """With two payments queued both see a queue of two, whatever is decided on the first."""
    alone = compare({"field": "outgoing_queue_size"}, "==", _number(1))
    tree = branch(alone, leaf("Hold", "keep"), leaf(node_id="send"))
    events = [pay(0, "A", "B", 5), pay(0, "A", "B", 6)]
    outcome = PaymentSimulator(scenario(1, [agent("A", 11), agent("B")], events)).simulate({"A": policy(tree)})
    assert outcome.settled == 2


def test_policies_see_the_queue_of_the_system_as_it_was_before_the_tick() -> None:
    crowded = compare({"field": "rtgs_queue_value"}, ">=", _number(100))
    tree = branch(crowded, leaf(node_id="send"), leaf("Hold", "keep"))
    events = [pay(0, "A", "B", 100), pay(0, "B", "A", 5)]
    delays = {}
    for ticks in (1, 2):
        rates = {"delay_cost_per_tick_per_cent": 1}
        day = scenario(ticks, [agent("A"), agent("B", 5)], events, rates=rates)
        delays[ticks] = PaymentSimulator(day).simulate({"B": policy(tree)}).agents["B"].delay
    assert delays == {1: 5, 2: 5}


def test_a_deep_tree_and_deep_calculations_are_evaluated() -> None:
    deep: Json = _number(1)
    for _ in range(70):
        deep = {"compute": {"op": "+", "left": deep, "right": _number(1)}}
    tree: Json = branch(compare(deep, "==", _number(71)), split(2), leaf("Hold", "no"), "n0")
    for depth in range(1, 100):
        tree = branch(_TRUE, tree, leaf("Hold", f"no{depth}"), f"n{depth}")
    simulator = PaymentSimulator(scenario(1, [agent("A", 8), agent("B")], [pay(0, "A", "B", 8)]))
    assert simulator.simulate({"A": policy(tree)}).total == 3
