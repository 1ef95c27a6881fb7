"""The rules of a day, one at a time: events, deadlines, order, penalties, splits, offsetting."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.errors import SimulationError
from exprec.recorder.payments import PaymentSimulator, SimulationResult
from exprec.recorder.payments.scenario.scenario import compile_scenario
from tests.fixtures.payments import Json, agent, branch, compare, leaf, pay, policy, scenario, split


def _run(day: Json, **policies: Json) -> SimulationResult:
    return PaymentSimulator(day).simulate(policies)


def _balances(outcome: SimulationResult) -> list[int]:
    return [result.balance for result in outcome.agents.values()]


def _once(tick: int) -> Json:
    return {"type": "OneTime", "tick": tick}


def _every(start: int, interval: int) -> Json:
    return {"type": "Repeating", "start_tick": start, "interval": interval}


def _move(kind: str, schedule: Json, sender: str, receiver: str, amount: int) -> Json:
    return {"type": kind, "from_agent": sender, "to_agent": receiver, "amount": amount, "schedule": schedule}


def _adjust(tick: int, agent_id: str, delta: int) -> Json:
    return {"type": "CollateralAdjustment", "agent": agent_id, "delta": delta, "schedule": _once(tick)}


# --- Deadlines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ticks", "tick", "given", "capped", "deadline"),
    [
        (10, 3, 4, False, 7),
        (10, 3, 9, False, 10),
        (10, 3, 9, True, 9),
        (10, 9, 1, True, 10),
        (10, 3, None, False, 8),
        (80, 3, None, False, 11),
        (2, 1, 2, True, 2),
        (2, 0, 2, True, 1),
    ],
)
def test_the_deadline_of_a_listed_payment(
    ticks: int, tick: int, given: int | None, capped: bool, deadline: int
) -> None:
    event = pay(tick, "A", "B", 100)
    del event["deadline"]
    if given is not None:
        event["deadline"] = given
    day = scenario(ticks, [agent("A"), agent("B")], [event], deadline_cap_at_eod=capped)
    (payment,) = compile_scenario(day).schedule.payments[tick]
    assert payment.deadline == deadline


def test_absent_keys_have_the_defaults_that_the_schema_states() -> None:
    simulation = {"ticks_per_day": 3, "num_days": 1, "rng_seed": 1}
    compiled = compile_scenario({"simulation": simulation, "agents": [agent("A"), agent("B")]})
    rules = compiled.lsm
    assert (rules.bilateral, rules.cycles, rules.max_length, rules.max_cycles) == (True, True, 4, 10)
    rates = compiled.rates
    assert (rates.deadline_penalty(1), rates.end_of_day_penalty(1), rates.split_friction) == (50000, 10000, 1000)
    assert (rates.delay_per_cent, rates.overdraft_bps, rates.opportunity(10**9)) == (0.0001, 0.001, 0)
    assert (set(rates.on_time), set(rates.late)) == ({1000}, {5000})
    assert not compiled.deferred_crediting


def test_penalties_fall_due_after_the_deadline_and_only_once() -> None:
    rates = {"deadline_penalty": 7, "eod_penalty_per_transaction": 1000}
    by_length = {}
    for ticks in range(1, 7):
        day = scenario(ticks, [agent("A"), agent("B")], [pay(0, "A", "B", 5, 2)], rates=rates)
        by_length[ticks] = _run(day).agents["A"].penalty
    # Late from tick 3; the end of the day fines what was due before the last tick, so already at 4 ticks.
    assert by_length == {1: 0, 2: 0, 3: 0, 4: 1007, 5: 1007, 6: 1007}


@pytest.mark.parametrize(("deadline", "penalty"), [(3, 1000), (4, 0), (5, 0)])
def test_the_end_of_the_day_spares_what_is_due_at_its_last_tick(deadline: int, penalty: int) -> None:
    rates = {"eod_penalty_per_transaction": 1000}
    day = scenario(5, [agent("A"), agent("B")], [pay(0, "A", "B", 5, deadline)], rates=rates)
    assert _run(day).agents["A"].penalty == penalty


def test_a_payment_held_by_its_policy_is_late_as_well() -> None:
    rates = {"deadline_penalty": 7, "delay_cost_per_tick_per_cent": 1, "overdue_delay_multiplier": 3.0}
    day = scenario(4, [agent("A", 100), agent("B")], [pay(0, "A", "B", 5, 1)], rates=rates)
    held = _run(day, A=policy(leaf("Hold"))).agents["A"]
    assert (held.penalty, held.delay) == (7, 5 + 5 + 15 + 15)


def test_settling_in_the_first_late_tick_avoids_the_penalty() -> None:
    rates = {"deadline_penalty": 7}
    events = [pay(0, "A", "B", 5, 1), pay(2, "B", "A", 5)]
    day = scenario(4, [agent("A"), agent("B", 5)], events, rates=rates)
    outcome = _run(day)
    assert (outcome.settled, outcome.agents["A"].penalty) == (2, 0)


# --- Events -------------------------------------------------------------------------------------------


def test_repeating_events_and_those_after_the_end() -> None:
    events = [
        _move("DirectTransfer", _every(1, 2), "A", "B", 1),
        _move("DirectTransfer", _once(6), "A", "B", 100),
        _move("DirectTransfer", _every(9, 1), "A", "B", 1000),
    ]
    outcome = _run(scenario(6, [agent("A"), agent("B")], events))
    assert _balances(outcome) == [-3, 3]
    assert (outcome.arrivals, outcome.settled, outcome.total) == (0, 0, 0)


def test_a_transfer_is_unchecked_and_a_scheduled_settlement_is_not() -> None:
    agents = [agent("A", 10, 5), agent("B")]
    assert _balances(_run(scenario(1, agents, [_move("DirectTransfer", _once(0), "A", "B", 99)]))) == [-89, 99]
    assert _balances(_run(scenario(1, agents, [_move("ScheduledSettlement", _once(0), "A", "B", 15)]))) == [-5, 15]
    assert _balances(_run(scenario(1, agents, [_move("ScheduledSettlement", _once(0), "A", "B", 16)]))) == [10, 0]


def test_events_of_a_tick_happen_in_the_order_of_the_list() -> None:
    funding = _move("DirectTransfer", _once(0), "B", "A", 50)
    settlement = _move("ScheduledSettlement", _once(0), "A", "C", 50)
    agents = [agent("A"), agent("B", 50), agent("C")]
    assert _balances(_run(scenario(1, agents, [funding, settlement]))) == [0, 0, 50]
    assert _balances(_run(scenario(1, agents, [settlement, funding]))) == [50, 0, 0]


def test_scheduled_settlements_are_credited_at_once_even_where_crediting_is_deferred() -> None:
    events = [_move("ScheduledSettlement", _once(0), "A", "B", 50), pay(0, "B", "C", 50)]
    day = scenario(1, [agent("A", 50), agent("B"), agent("C")], events, deferred_crediting=True)
    assert _balances(_run(day)) == [0, 0, 50]


def test_a_collateral_adjustment_changes_the_cap() -> None:
    events = [_adjust(1, "A", 70), pay(0, "A", "B", 70)]
    day = scenario(3, [agent("A"), agent("B")], events, rates={"delay_cost_per_tick_per_cent": 1})
    outcome = _run(day)
    assert (_balances(outcome), outcome.agents["A"].delay) == ([-70, 70], 70)


def test_a_negative_cap_stops_the_run_naming_agent_and_tick() -> None:
    day = scenario(3, [agent("A", cap=50), agent("B")], [_adjust(1, "A", -51)])
    with pytest.raises(SimulationError, match=r"agent 'A', tick 1: .*-51.*unsecured_cap negative") as raised:
        _run(day)
    assert raised.value.agent == "A"


# --- Order and crediting ------------------------------------------------------------------------------


def test_deferred_credits_are_usable_from_the_next_tick_but_in_the_balance_at_once() -> None:
    events = [pay(0, "A", "B", 100), pay(0, "B", "C", 100)]
    agents = [agent("A", 100), agent("B"), agent("C")]
    rates = {"delay_cost_per_tick_per_cent": 1, "overdraft_bps_per_tick": 10000}
    at_once = _run(scenario(2, agents, events, rates=rates))
    deferred = _run(scenario(2, agents, events, rates=rates, deferred_crediting=True))
    assert _balances(at_once) == _balances(deferred) == [0, 0, 100]
    assert (at_once.agents["B"].delay, deferred.agents["B"].delay) == (0, 100)
    chain = [agent("A", 100), agent("B", -100, 100), agent("C")]
    repaid = _run(scenario(1, chain, [pay(0, "A", "B", 100)], rates=rates, deferred_crediting=True))
    assert repaid.agents["B"].liquidity == 0


def test_submissions_go_by_agent_id_whatever_the_order_of_the_file() -> None:
    events = [pay(0, "B", "A", 100), pay(0, "A", "C", 100)]
    rates = {"delay_cost_per_tick_per_cent": 1}
    for agents in ([agent("A"), agent("B", 100), agent("C")], [agent("C"), agent("B", 100), agent("A")]):
        outcome = _run(scenario(1, agents, events, rates=rates))
        # A's payment is tried before B's funds it, and settles only in the pass through the queue.
        assert outcome.settled == 2
    events = [pay(0, "A", "C", 100), pay(0, "A", "B", 60)]
    outcome = _run(scenario(1, [agent("C"), agent("B"), agent("A", 120)], events))
    assert list(outcome.agents) == ["C", "B", "A"]
    assert _balances(outcome) == [100, 0, 20]


def test_ids_are_ordered_by_code_points() -> None:
    events = [pay(0, "b", "Z", 10), pay(0, "Z", "b", 10), pay(0, "Ä", "b", 10)]
    compiled = compile_scenario(scenario(1, [agent("Ä"), agent("b"), agent("Z")], events))
    assert [bank.id for bank in compiled.agents] == ["Z", "b", "Ä"]


def test_new_payments_go_before_older_ones_that_wait() -> None:
    events = [pay(0, "A", "B", 100), _move("DirectTransfer", _once(1), "B", "A", 100), pay(1, "A", "B", 60)]
    outcome = _run(scenario(2, [agent("A"), agent("B", 100)], events))
    assert _balances(outcome) == [40, 60]


def test_priorities_change_no_order() -> None:
    events = [pay(0, "A", "B", 100, priority=0), pay(0, "A", "C", 100, priority=10)]
    assert _balances(_run(scenario(1, [agent("A", 100), agent("B"), agent("C")], events))) == [0, 100, 0]


def test_more_liquidity_may_settle_less() -> None:
    """A large payment that becomes affordable takes what several small ones behind it would have used."""
    events = [pay(0, "A", "B", 150), pay(0, "A", "B", 60), pay(0, "A", "B", 40)]
    settled = {opening: _run(scenario(1, [agent("A", opening), agent("B")], events)).settled for opening in (100, 150)}
    assert settled == {100: 2, 150: 1}


# --- Costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("penalty", "amount", "cost"),
    [
        (120, 999, 120),
        ({"mode": "fixed", "amount": 120}, 999, 120),
        ({"mode": "rate", "bps_per_event": 10}, 999, 0),
        ({"mode": "rate", "bps_per_event": 10}, 1000, 1),
        ({"mode": "rate", "bps_per_event": 10}, 1999, 1),
        ({"mode": "rate", "bps_per_event": 0.0000019}, 10**10, 1),
    ],
)
@pytest.mark.parametrize("key", ["deadline_penalty", "eod_penalty", "eod_penalty_per_transaction"])
def test_the_forms_of_a_penalty(key: str, penalty: Any, amount: int, cost: int) -> None:
    day = scenario(5, [agent("A"), agent("B")], [pay(0, "A", "B", amount, 1)], rates={key: penalty})
    assert _run(day).agents["A"].penalty == cost


@pytest.mark.parametrize(("priority", "delay"), [(0, 30), (3, 30), (4, 20), (7, 20), (8, 5), (10, 5)])
def test_delay_by_priority(priority: int, delay: int) -> None:
    multipliers = {"urgent_multiplier": 0.5, "normal_multiplier": 2.0, "low_multiplier": 3.0}
    rates = {"delay_cost_per_tick_per_cent": 0.1, "priority_delay_multipliers": multipliers}
    day = scenario(1, [agent("A"), agent("B")], [pay(0, "A", "B", 100, priority=priority)], rates=rates)
    assert _run(day).agents["A"].delay == delay


def test_delay_is_rounded_once_for_all_payments_of_an_agent() -> None:
    rates = {"delay_cost_per_tick_per_cent": 0.1}
    events = [pay(0, "A", "B", 3), pay(0, "A", "B", 3), pay(0, "A", "B", 9)]
    day = scenario(1, [agent("A"), agent("B")], events, rates=rates)
    assert _run(day).agents["A"].delay == 2  # 1.5, and not 0 + 0 + 1


def test_overdraft_and_opportunity_costs_round_halves_up() -> None:
    rates = {"overdraft_bps_per_tick": 100, "liquidity_cost_per_tick_bps": 100}
    agents = [agent("A", -50, 100), agent("B", liquidity_pool=50), agent("C", liquidity_pool=49), agent("D", -49, 100)]
    outcome = _run(scenario(3, agents, rates=rates))
    assert [result.liquidity for result in outcome.agents.values()] == [3, 0, 0, 0]
    assert [result.opportunity for result in outcome.agents.values()] == [0, 3, 0, 0]


def test_the_allocation_is_rounded_down_and_taken_back() -> None:
    day = scenario(1, [agent("A", liquidity_pool=99), agent("B")], [pay(0, "A", "B", 49)])
    for fraction, balance in ((0.5, -49), (0.49, 0)):
        assert _run(day, A=policy(fraction=fraction)).agents["A"].balance == balance


@pytest.mark.parametrize(
    ("document", "allocated"),
    [
        (policy(), 50),
        (policy(fraction=0.25), 25),
        ({**policy(), "initial_liquidity_fraction": 0.75}, 75),
        ({**policy(fraction=0.25), "initial_liquidity_fraction": 0.75}, 25),
        (None, 10),
    ],
)
def test_where_the_fraction_is_taken_from(document: Json | None, allocated: int) -> None:
    bank = agent("A", liquidity_pool=100, liquidity_allocation_fraction=0.1)
    outcome = PaymentSimulator(scenario(1, [bank], rates={"liquidity_cost_per_tick_bps": 10000})).simulate(
        {} if document is None else {"A": document}
    )
    assert outcome.agents["A"].opportunity == allocated


# --- Splits -------------------------------------------------------------------------------------------


def test_a_split_payment_counts_once_all_its_parts_have_settled() -> None:
    events = [pay(0, "A", "B", 100), pay(1, "B", "A", 40)]
    day = scenario(2, [agent("A", 60), agent("B")], events, rates={"split_friction_cost": 5})
    outcome = _run(day, A=policy(split(4.9)))
    assert (outcome.arrivals, outcome.settled, outcome.total) == (2, 2, 6)
    assert (outcome.agents["A"].split, _balances(outcome)) == (15, [0, 60])


def test_parts_of_a_late_payment_are_marked_anew_and_fined_each() -> None:
    late = compare({"field": "is_past_deadline"}, "==", {"value": 1})
    tree = branch(late, split(2), leaf("Hold", "wait"))
    rates = {"deadline_penalty": 100, "delay_cost_per_tick_per_cent": 1, "overdue_delay_multiplier": 2.0}
    day = scenario(4, [agent("A", 1), agent("B")], [pay(0, "A", "B", 11, 1)], rates=rates)
    result = _run(day, A=policy(tree)).agents["A"]
    # Whole for two ticks; in tick 2 it is late, splits into 5 and 6, and both parts are marked at once.
    assert (result.penalty, result.delay) == (200, 11 + 11 + 22 + 22)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        ({"value": 1}, "num_splits is 1; a payment splits into at least 2 parts"),
        ({"value": 1.99}, "num_splits is 1.99"),
        ({"value": -3}, "num_splits is -3"),
        ({"value": 6}, "num_splits is 6, but the payment has only 5 cents"),
        ({"compute": {"op": "*", "left": {"value": 1e300}, "right": {"value": 1e300}}}, "num_splits is inf"),
    ],
)
def test_an_impossible_split_stops_the_run_naming_agent_and_node(count: Json, message: str) -> None:
    tree = leaf("PaceAndRelease", "pace", num_splits=count)
    with pytest.raises(SimulationError, match=f"agent 'A', tick 0, node 'pace': {message}"):
        _run(scenario(1, [agent("A"), agent("B")], [pay(0, "A", "B", 5)]), A=policy(tree))


def test_as_many_parts_as_cents_are_possible() -> None:
    outcome = _run(scenario(1, [agent("A", 5), agent("B")], [pay(0, "A", "B", 5)]), A=policy(split(5)))
    assert (outcome.settled, outcome.total) == (1, 6)


# --- Offsetting ---------------------------------------------------------------------------------------

_BILATERAL = {"enable_bilateral": True, "enable_cycles": False}


def _cycles(length: int = 4, tried: int = 10) -> Json:
    return {
        "enable_bilateral": False,
        "enable_cycles": True,
        "max_cycle_length": length,
        "max_cycles_per_tick": tried,
    }


def test_a_payer_below_its_limit_covers_nothing_not_even_an_even_exchange() -> None:
    events = [pay(0, "A", "B", 50), pay(0, "B", "A", 50)]
    settled = {
        opening: _run(scenario(1, [agent("A"), agent("B", opening)], events, lsm_config=_BILATERAL)).settled
        for opening in (0, -1)
    }
    assert settled == {0: 2, -1: 0}


def test_a_cycle_asks_only_those_who_pay_on_balance() -> None:
    events = [pay(0, "A", "B", 50), pay(0, "B", "C", 50), pay(0, "C", "A", 50)]
    day = scenario(1, [agent("A", -1), agent("B", -1), agent("C", -1)], events, lsm_config=_cycles(3))
    assert _run(day).settled == 3


def test_a_part_that_is_offset_never_completes_its_payment() -> None:
    events = [pay(0, "A", "B", 100), pay(0, "B", "A", 100)]
    day = scenario(1, [agent("A"), agent("B")], events, lsm_config=_BILATERAL)
    outcome = _run(day, A=policy(split(2)))
    assert (_balances(outcome), outcome.settled, outcome.total) == ([0, 0], 1, 4)


def test_long_cycles_up_to_the_length_that_is_allowed() -> None:
    ring = "ABCDE"
    for size in (4, 5):
        events = [pay(0, ring[i], ring[(i + 1) % size], 50) for i in range(size)]
        agents = [agent(agent_id) for agent_id in ring]
        settled = {
            length: _run(scenario(1, agents, events, lsm_config=_cycles(length))).settled for length in (3, 4, 5)
        }
        assert settled == {length: size if length >= size else 0 for length in (3, 4, 5)}


def test_candidates_count_whether_or_not_they_settle() -> None:
    # The more valuable triangle lacks cover for its net outflow; it takes the only place there is.
    blocked = [pay(0, "A", "B", 500), pay(0, "B", "C", 530), pay(0, "C", "A", 500)]
    possible = [pay(0, "A", "D", 50), pay(0, "D", "E", 50), pay(0, "E", "A", 50)]
    agents = [agent(agent_id) for agent_id in "ABCDE"]
    settled = {
        tried: _run(scenario(1, agents, blocked + possible, lsm_config=_cycles(3, tried))).settled for tried in (1, 2)
    }
    assert settled == {1: 0, 2: 3}


def test_a_queue_of_more_than_a_hundred_payments_is_searched_for_triangles_only() -> None:
    ring = [pay(0, payer, payee, 50) for payer, payee in ("AB", "BC", "CD", "DA")]
    agents = [agent(agent_id) for agent_id in "ABCDE"]
    settled = {
        others: _run(scenario(1, agents, ring + [pay(0, "E", "A", 9)] * others, lsm_config=_cycles())).settled
        for others in (96, 97)
    }
    assert settled == {96: 4, 97: 0}
