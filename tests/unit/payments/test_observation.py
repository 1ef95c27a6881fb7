"""Observed days: the events of each tick, and that they account for the result, which does not depend on them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from exprec.recorder.errors import SimulationError
from exprec.recorder.payments import DayEvent, PaymentSimulator, SimulationResult
from tests.fixtures.payments import Json, agent, branch, compare, leaf, pay, policy, scenario, split, vectors

CASES = [(name, number) for name in ("engine", "engine_more") for number in range(0, len(vectors(name)), 10)]


def _observe(
    day: Json, policies: Json | None = None, seed: int | None = None
) -> tuple[list[DayEvent], SimulationResult]:
    events: list[DayEvent] = []
    return events, PaymentSimulator(day).simulate(policies or {}, seed, events.append)


def _of_type(events: list[DayEvent], *event_types: str) -> list[Json]:
    return [dict(event.values) for event in events if event.event_type in event_types]


def _shown(events: list[DayEvent], *without: str) -> list[str]:
    """Return each event as `tick event_type payments`."""
    return [
        " ".join([str(event.tick), event.event_type, *event.payments])
        for event in events
        if event.event_type not in ("opening", "tick_end", "closing", *without)
    ]


@pytest.mark.parametrize(("name", "start"), CASES)
def test_the_events_of_the_recorded_cases_account_for_their_results(name: str, start: int) -> None:
    for case in vectors(name)[start : start + 10]:
        events, result = _observe(case["scenario"], case["policies"], case["seed"])
        assert result.as_dict() == case["expected"]
        _assert_accounted(events, result)


def _assert_accounted(events: list[DayEvent], result: SimulationResult) -> None:
    costs: Counter[tuple[str, str]] = Counter()
    for event in events:
        values = event.values
        for name in ("delay", "liquidity", "opportunity"):
            costs[values.get("agent", ""), name] += values.get(name, 0)
        if event.event_type in ("penalty", "split"):
            costs[values["sender"], event.event_type] += values["cost"]
    for agent_id, expected in result.agents.items():
        for name in ("delay", "liquidity", "opportunity", "penalty", "split"):
            assert costs[agent_id, name] == getattr(expected, name), (agent_id, name)
    assert {event.values["agent"]: event.values["balance"] for event in events if event.event_type == "closing"} == {
        agent_id: expected.balance for agent_id, expected in result.agents.items()
    }
    assert len(_of_type(events, "arrival")) == result.arrivals
    assert result.arrivals + sum(len(each["part_txs"]) for each in _of_type(events, "split")) == result.total
    settled = [event.payments[0] for event in events if event.event_type == "settlement"]
    assert len(settled) == len(set(settled))
    assert [event.tick for event in events] == sorted(event.tick for event in events)


def test_a_payment_that_is_held_released_queued_and_settled() -> None:
    rates = {"delay_cost_per_tick_per_cent": 1, "liquidity_cost_per_tick_bps": 1000}
    banks = [agent("B", 1), agent("A", liquidity_pool=10)]
    day = scenario(3, banks, [pay(0, "A", "B", 6), pay(2, "B", "A", 5)], rates=rates)
    wait = branch(compare({"field": "current_tick"}, "<", {"value": 1}), leaf("Hold", "wait"), leaf())
    events, _ = _observe(day, {"A": policy(wait, 0.5)})
    assert _shown(events) == [
        "0 arrival 1",
        "0 hold 1",
        "1 release 1",
        "1 queued 1",
        "2 arrival 2",
        "2 release 2",
        "2 queued 2",
    ]
    assert events[0].as_dict() == {
        "event_type": "opening", "tick": 0, "agent": "A", "balance": 5, "allocated": 5,
    }  # fmt: skip
    assert events[2].as_dict() == {
        "event_type": "arrival", "tick": 0, "tx": "1", "sender": "A", "receiver": "B", "amount": 6, "deadline": 3,
        "priority": 5,
    }  # fmt: skip
    assert events[2].agents == ("A", "B")
    assert [each for each in _of_type(events, "tick_end") if each["agent"] == "A"] == [
        {"agent": "A", "balance": 5, "held": 1, "queued": 0, "delay": 6, "liquidity": 0, "opportunity": 1},
        {"agent": "A", "balance": 5, "held": 0, "queued": 1, "delay": 6, "liquidity": 0, "opportunity": 1},
        {"agent": "A", "balance": 5, "held": 0, "queued": 1, "delay": 6, "liquidity": 0, "opportunity": 1},
    ]
    assert _of_type(events, "closing")[0] == {"agent": "A", "balance": 0, "returned": 5}


def test_a_settlement_has_the_balances_after_it_and_credits_may_be_deferred() -> None:
    day = scenario(1, [agent("A", 9), agent("B")], [pay(0, "A", "B", 4), pay(0, "B", "A", 3)])
    events, _ = _observe(day)
    first, second = _of_type(events, "settlement")
    assert (first["via"], first["sender_balance"], first["receiver_balance"]) == ("release", 5, 4)
    assert (second["sender_balance"], second["receiver_balance"]) == (1, 8)
    assert _of_type(events, "credit") == []
    events, _ = _observe({**day, "deferred_crediting": True})
    (only,) = _of_type(events, "settlement")
    assert (only["sender_balance"], only["receiver_balance"]) == (5, 0)
    assert _of_type(events, "credit") == [{"agent": "B", "amount": 4, "balance": 4}]


def test_a_queued_payment_that_settles_and_its_penalty() -> None:
    rates = {"deadline_penalty": 7, "eod_penalty_per_transaction": 11}
    events = [pay(0, "A", "B", 5, 1), pay(0, "A", "B", 9, 1), pay(3, "B", "A", 5)]
    observed, _ = _observe(scenario(4, [agent("A"), agent("B", 5)], events, rates=rates))
    assert _shown(observed, "arrival", "release", "queued") == [
        "2 penalty 1", "2 penalty 2", "3 settlement 3", "3 settlement 1", "3 penalty 2",
    ]  # fmt: skip
    assert [(each["reason"], each["cost"]) for each in _of_type(observed, "penalty")] == [
        ("deadline", 7), ("deadline", 7), ("end_of_day", 11),
    ]  # fmt: skip
    assert [each["via"] for each in _of_type(observed, "settlement")] == ["release", "queue"]


def test_parts_are_numbered_after_their_payment() -> None:
    day = scenario(1, [agent("A", 700), agent("B")], [pay(0, "A", "B", 1000)], rates={"split_friction_cost": 25})
    events, _ = _observe(day, {"A": policy(split(3))})
    assert _shown(events) == [
        "0 arrival 1", "0 split 1 1.1 1.2 1.3", "0 settlement 1.1", "0 settlement 1.2", "0 queued 1.3",
    ]  # fmt: skip
    (divided,) = _of_type(events, "split")
    assert (divided["part_txs"], divided["cost"], divided["amount"]) == (["1.1", "1.2", "1.3"], 50, 1000)


@pytest.mark.parametrize(("ring", "form"), [("AB", "bilateral"), ("ABC", "cycle"), ("ABCD", "cycle")])
def test_offsets_name_their_payments(ring: str, form: str) -> None:
    events = [pay(0, sender, receiver, 5) for sender, receiver in zip(ring, ring[1:] + ring[0], strict=True)]
    events += [pay(0, "Z", "A", 1)]
    day = scenario(1, [*map(agent, ring), agent("Z")], events, lsm_config={})
    observed, _ = _observe(day)
    numbers = [str(number) for number, _ in enumerate(ring, 1)]
    (together,) = _of_type(observed, "offset")
    assert together == {"form": form, "agents": list(ring), "txs": numbers, "amount": 5 * len(ring)}
    (event,) = (event for event in observed if event.event_type == "offset")
    assert (event.agents, event.payments) == (tuple(ring), tuple(numbers))
    settled = _of_type(observed, "settlement")
    assert [(each["tx"], each["via"]) for each in settled] == [(number, "offset") for number in numbers]
    # All payments of an offset settle at once: no balance in between is reported.
    assert {each[f"{side}_balance"] for each in settled for side in ("sender", "receiver")} == {0}


def _adjusted(kind: str, **values: Any) -> Json:
    return {"type": kind, "schedule": {"type": "OneTime", "tick": 0}, **values}


def test_transfers_and_changes_of_caps() -> None:
    between = {"from_agent": "A", "to_agent": "B", "amount": 3}
    events = [
        _adjusted("ScheduledSettlement", **between),
        _adjusted("CollateralAdjustment", agent="A", delta=4),
        _adjusted("DirectTransfer", **between),
    ]
    observed, _ = _observe(scenario(1, [agent("A"), agent("B")], events))
    assert [event.as_dict() for event in observed[2:5]] == [
        {"event_type": "transfer", "tick": 0, "sender": "A", "receiver": "B", "amount": 3, "applied": False},
        {"event_type": "cap_change", "tick": 0, "agent": "A", "delta": 4, "cap": 4},
        {"event_type": "transfer", "tick": 0, "sender": "A", "receiver": "B", "amount": 3, "applied": True},
    ]


def test_a_simulation_that_cannot_continue_has_reported_what_happened_before() -> None:
    day = scenario(3, [agent("A"), agent("B")], [pay(1, "A", "B", 5)])
    events: list[DayEvent] = []
    with pytest.raises(SimulationError, match="tick 1"):
        PaymentSimulator(day).simulate({"A": policy(split(9))}, observer=events.append)
    assert [event.event_type for event in events[-1:]] == ["arrival"]


def test_an_observed_day_starts_anew_each_time() -> None:
    day = scenario(2, [agent("A", 5), agent("B")], [pay(0, "A", "B", 5)])
    simulator = PaymentSimulator(day)
    first: list[DayEvent] = []
    second: list[DayEvent] = []
    simulator.simulate({}, observer=first.append)
    simulator.simulate({})
    simulator.simulate({}, observer=second.append)
    assert first == second
