"""The text of a day as one bank observes it."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.payments import PaymentSimulator
from tests.fixtures.payments import Json, agent, branch, compare, leaf, pay, policy, scenario, split


def _lines(day: Json, policies: Json | None = None, bank: str = "A") -> list[str]:
    return PaymentSimulator(day).describe_day(policies or {}, 1, bank).splitlines()


def _events(*arguments: Any, **more: Any) -> list[str]:
    """Return the lines about payments."""
    lines = _lines(*arguments, **more)
    (start,) = [index for index, line in enumerate(lines) if line.startswith("Balance at the start")]
    return lines[1:start]


def test_a_day_has_a_summary_events_and_balances() -> None:
    rates = {"delay_cost_per_tick_per_cent": 1, "liquidity_cost_per_tick_bps": 1000, "eod_penalty": 9}
    banks = [agent("B", 5), agent("A", 2, liquidity_pool=10)]
    day = scenario(3, banks, [pay(0, "A", "B", 6), pay(1, "A", "B", 5, 3), pay(2, "B", "A", 5)], rates=rates)
    wait = branch(compare({"field": "current_tick"}, "<", {"value": 2}), leaf("Hold", "wait"), leaf())
    assert _lines(day, {"A": policy(wait, 0.5)}) == [
        "Payments to make: 2, 11 cents, of which 11 cents settled. Payments received: 1, 5 cents.",
        "- tick 0, payment 1 to B, 6 cents, deadline tick 3, priority 5: arrived, held",
        "- tick 1, payment 2 to B, 5 cents, deadline tick 3, priority 5: arrived, held",
        "- tick 2, payment 1 to B, 6 cents, deadline tick 3, priority 5: released, settled",
        "- tick 2, payment 2 to B, 5 cents, deadline tick 3, priority 5: released, queued, settled from the queue",
        "- tick 2, from B, 5 cents: received",
        "Balance at the start: 7 cents, 5 of them committed from the pool. At the end of a tick:",
        "- tick 0: balance 7 cents; 1 held, 0 queued; costs so far 7 cents",
        "- tick 1: balance 7 cents; 2 held, 0 queued; costs so far 19 cents",
        "- tick 2: balance 1 cents; 0 held, 0 queued; costs so far 20 cents",
        "- end of the day: balance -4 cents, after 5 cents were returned to the pool; costs 20 cents",
    ]


def test_penalties_are_of_the_payer() -> None:
    day = scenario(
        4, [agent("A"), agent("B")], [pay(0, "A", "B", 5, 1)], rates={"deadline_penalty": 7, "eod_penalty": 9}
    )
    assert _events(day) == [
        "- tick 0, payment 1 to B, 5 cents, deadline tick 1, priority 5: arrived, released, queued",
        "- tick 2, payment 1 to B, 5 cents, deadline tick 1, priority 5: overdue (penalty 7 cents)",
        "- tick 3, payment 1 to B, 5 cents, deadline tick 1, priority 5: unsettled at the end of the day "
        "(penalty 9 cents)",
    ]
    assert _lines(day)[-1].endswith("costs 16 cents")
    assert _events(day, bank="B") == []
    assert _lines(day, bank="B")[-1].endswith("costs 0 cents")


def test_payments_are_numbered_for_each_bank_and_parts_after_their_payment() -> None:
    day = scenario(
        1,
        [agent("A", 700), agent("B", 9)],
        [pay(0, "B", "A", 1), pay(0, "A", "B", 10)],
        rates={"split_friction_cost": 25},
    )
    details = "deadline tick 1, priority 5"
    assert _events(day, {"A": policy(split(2))}) == [
        f"- tick 0, payment 1 to B, 10 cents, {details}: arrived, split into 2 parts at a cost of 25 cents",
        f"- tick 0, payment 1.1 to B, 5 cents, {details}: settled",
        f"- tick 0, payment 1.2 to B, 5 cents, {details}: settled",
        "- tick 0, from B, 1 cents: received",
    ]
    # The receiver does not know that these are parts.
    assert _events(day, {"A": policy(split(2))}, "B")[1:] == ["- tick 0, from A, 5 cents: received"] * 2


def test_offsetting_names_no_other_bank_of_a_cycle() -> None:
    events = [pay(0, "A", "B", 5), pay(0, "B", "C", 5), pay(0, "C", "A", 5)]
    day = scenario(1, [*map(agent, "ABC")], events, lsm_config={"enable_cycles": True})
    assert _events(day) == [
        "- tick 0, payment 1 to B, 5 cents, deadline tick 1, priority 5: "
        "arrived, released, queued, settled by offsetting",
        "- tick 0, from C, 5 cents: received",
    ]
    assert "C" not in "".join(_lines(scenario(1, [*map(agent, "ABC")], events[:1])))


def test_transfers_and_changes_of_the_overdraft_limit() -> None:
    def adjusted(kind: str, **values: Any) -> Json:
        return {"type": kind, "schedule": {"type": "OneTime", "tick": 0}, **values}

    events = [
        adjusted("ScheduledSettlement", from_agent="A", to_agent="B", amount=3),
        adjusted("ScheduledSettlement", from_agent="B", to_agent="A", amount=4),
        adjusted("CollateralAdjustment", agent="A", delta=4),
        adjusted("DirectTransfer", from_agent="A", to_agent="B", amount=2),
    ]
    day = scenario(1, [agent("A"), agent("B")], events)
    assert _events(day) == [
        "- tick 0, change of the overdraft limit, 4 cents: now 4 cents",
        "- tick 0, scheduled transfer to B, 2 cents: made",
        "- tick 0, scheduled transfer to B, 3 cents: not made, because it was not covered",
    ]
    # Whether another bank could not pay is its own matter.
    assert _events(day, bank="B") == [
        "- tick 0, scheduled transfer from A, 2 cents: received",
        "- tick 0, scheduled transfer to A, 4 cents: not made, because it was not covered",
    ]


@pytest.mark.parametrize("count", [80, 81, 10_000])
def test_its_size_is_bounded(count: int) -> None:
    """Penalties and large amounts stay, in order."""
    amounts = [1 + number * 7 % count for number in range(count)]
    events = [pay(1 + number % 198, "B", "A", amount) for number, amount in enumerate(amounts)]
    events[-1] = pay(0, "A", "B", 1, 1)
    day = scenario(200, [agent("A"), agent("B", 10**9)], events, rates={"deadline_penalty": 1, "eod_penalty": 1})
    wait = {"A": policy(leaf("Hold"))}
    lines = _lines(day, wait)
    assert len(lines) <= 110
    assert len("\n".join(lines)) < 12_000
    told = _events(day, wait)
    assert any("overdue (penalty 1 cents)" in line for line in told)
    left_out = count + 2 - 80
    assert told[-1] == f"{left_out} more events left out, of smaller amounts"
    received = [int(line.split()[5]) for line in told if ", from B, " in line]
    assert sorted(received) == sorted(amounts[:-1])[-len(received) :]
    ticks = [int(line.split()[2].strip(",")) for line in told[:-1]]
    assert ticks == sorted(ticks)


def test_balances_are_thinned_and_the_lowest_stays() -> None:
    events = [pay(37, "A", "B", 900), pay(38, "B", "A", 900)]
    lines = _lines(scenario(100, [agent("A", 1000), agent("B")], events))
    balances = [line for line in lines if line.startswith("- tick") and ": balance" in line]
    assert len(balances) == 25
    assert balances[0].startswith("- tick 0:")
    assert balances[-1].startswith("- tick 99:")
    assert "- tick 37: balance 100 cents; 0 held, 0 queued; costs so far 0 cents" in balances
