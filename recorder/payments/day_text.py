"""A simulated day as one bank observes it, as text for a proposer of policies.

The text is part of prompts, which are recorded: a change of one byte changes run ids. It contains only what the bank
itself can know: its payments and decisions, what it receives, its balance and costs. It does not depend on anything
else: payments are numbered for each bank, and what happens within a tick is in an order of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exprec.recorder.payments.observation import DayEvent

_MAX_EVENTS = 80
"""The maximum number of lines about payments."""

_MAX_BALANCES = 24
"""The maximum number of ticks with a balance, without that of the lowest balance."""

_SETTLED_VIA = {"queue": "settled from the queue", "offset": "settled by offsetting"}
_PENALTIES = {"deadline": "overdue", "end_of_day": "unsettled at the end of the day"}

_Key = tuple[int, int, str, int, int]
"""Sorts lines: tick, own payments before others, counterparty, number or amount, part or repetition."""


class _TickEnd(NamedTuple):
    """The end of a tick: the bank's balance, its waiting payments, its costs since the start of the day."""

    tick: int
    balance: int
    held: int
    queued: int
    cost: int


@dataclass(slots=True)
class _Line:
    """What happens to one payment in one tick."""

    subject: str
    amount: int
    is_costly: bool = False
    clauses: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"- {self.subject}: {', '.join(self.clauses)}"


class BankDay:
    """Collects the events of a day that one bank observes."""

    def __init__(self, bank: str) -> None:
        """Collect for `bank`, the id of an agent of the scenario."""
        self._bank = bank
        self._numbers: dict[str, int] = {}
        """The number of each outgoing payment, from 1, by its number among all payments."""
        self._details: dict[str, str] = {}
        self._held: set[str] = set()
        self._lines: dict[_Key, _Line] = {}
        self._repeated: Counter[str] = Counter()
        self._ticks: list[_TickEnd] = []
        self._opening, self._closing = "", ""
        self._cost = self._arrived = self._settled = self._received = self._receipts = 0
        self._handlers: Mapping[str, Callable[[DayEvent], None]] = {
            "opening": self._open,
            "transfer": self._transfer,
            "cap_change": self._change_cap,
            "arrival": self._arrive,
            "release": self._release,
            "hold": self._hold,
            "split": self._split,
            "settlement": self._settle,
            "queued": self._queue,
            "penalty": self._penalize,
            "tick_end": self._end_tick,
            "closing": self._close,
        }

    def observe(self, event: DayEvent) -> None:
        """Take an event of the day, if the bank observes it."""
        if self._bank not in event.agents:
            return
        handler = self._handlers.get(event.event_type)
        is_incoming = event.values.get("sender", self._bank) != self._bank
        # Until a payment settles, only its sender knows what becomes of it.
        if handler is not None and (not is_incoming or event.event_type in ("settlement", "transfer")):
            handler(event)

    def describe(self) -> str:
        """Return the day as text of bounded length."""
        return "\n".join([self._summary(), *self._described_events(), *self._described_balances()])

    def _summary(self) -> str:
        return (
            f"Payments to make: {len(self._numbers)}, {self._arrived} cents, of which {self._settled} cents settled. "
            f"Payments received: {self._receipts}, {self._received} cents."
        )

    def _described_events(self) -> Iterable[str]:
        keys = sorted(self._lines)
        if len(keys) > _MAX_EVENTS:
            weights = {key: (not self._lines[key].is_costly, -self._lines[key].amount, key) for key in keys}
            keys = sorted(sorted(keys, key=weights.__getitem__)[:_MAX_EVENTS])
        yield from (str(self._lines[key]) for key in keys)
        if left_out := len(self._lines) - len(keys):
            yield f"{left_out} more events left out, of smaller amounts"

    def _described_balances(self) -> Iterable[str]:
        yield f"Balance at the start: {self._opening}. At the end of a tick:"
        for end in _thin(self._ticks):
            yield (
                f"- tick {end.tick}: balance {end.balance} cents; {end.held} held, {end.queued} queued; "
                f"costs so far {end.cost} cents"
            )
        yield f"- end of the day: {self._closing}"

    def _line(self, event: DayEvent) -> _Line:
        """The line of an own payment in the tick of the event."""
        values = event.values
        tx, _, part = values["tx"].partition(".")
        key = (event.tick, 0, "", self._numbers[tx], int(part or 0))
        name = f"{self._numbers[tx]}.{part}" if part else str(self._numbers[tx])
        subject = f"tick {event.tick}, payment {name} to {values['receiver']}, {values['amount']} cents"
        return self._lines.setdefault(key, _Line(f"{subject}, {self._details[tx]}", values["amount"]))

    def _other_line(self, event: DayEvent, kind: str, counterparty: str, amount: int, clause: str) -> None:
        """Add a line about something other than a payment of the bank; equal ones have a line each."""
        subject = f"tick {event.tick}, {kind}{counterparty}, {amount} cents"
        self._repeated[subject] += 1
        key = (event.tick, 1, kind + counterparty, amount, self._repeated[subject])
        self._lines[key] = _Line(subject, abs(amount), clauses=[clause])

    def _arrive(self, event: DayEvent) -> None:
        values = event.values
        self._numbers[values["tx"]] = len(self._numbers) + 1
        self._details[values["tx"]] = f"deadline tick {values['deadline']}, priority {values['priority']}"
        self._arrived += values["amount"]
        self._line(event).clauses.append("arrived")

    def _release(self, event: DayEvent) -> None:
        self._line(event).clauses.append("released")

    def _hold(self, event: DayEvent) -> None:
        # Once, because a payment may be held in every tick.
        if event.values["tx"] not in self._held:
            self._held.add(event.values["tx"])
            self._line(event).clauses.append("held")

    def _split(self, event: DayEvent) -> None:
        cost = event.values["cost"]
        self._cost += cost
        self._line(event).clauses.append(f"split into {len(event.values['part_txs'])} parts at a cost of {cost} cents")

    def _queue(self, event: DayEvent) -> None:
        self._line(event).clauses.append("queued")

    def _settle(self, event: DayEvent) -> None:
        values = event.values
        if values["sender"] == self._bank:
            self._settled += values["amount"]
            self._line(event).clauses.append(_SETTLED_VIA.get(values["via"], "settled"))
            return
        self._received += values["amount"]
        self._receipts += 1
        # Not whether it came from the queue, which tells of the sender's liquidity.
        self._other_line(event, "from ", values["sender"], values["amount"], "received")

    def _penalize(self, event: DayEvent) -> None:
        cost = event.values["cost"]
        self._cost += cost
        line = self._line(event)
        line.is_costly = line.is_costly or cost > 0
        line.clauses.append(f"{_PENALTIES[event.values['reason']]} (penalty {cost} cents)")

    def _transfer(self, event: DayEvent) -> None:
        values = event.values
        if values["sender"] == self._bank:
            clause = "made" if values["applied"] else "not made, because it was not covered"
            self._other_line(event, "scheduled transfer to ", values["receiver"], values["amount"], clause)
        elif values["applied"]:
            self._other_line(event, "scheduled transfer from ", values["sender"], values["amount"], "received")

    def _change_cap(self, event: DayEvent) -> None:
        clause = f"now {event.values['cap']} cents"
        self._other_line(event, "change of the overdraft limit", "", event.values["delta"], clause)

    def _open(self, event: DayEvent) -> None:
        values = event.values
        self._opening = f"{values['balance']} cents, {values['allocated']} of them committed from the pool"

    def _end_tick(self, event: DayEvent) -> None:
        values = event.values
        self._cost += sum(values[name] for name in ("delay", "liquidity", "opportunity"))
        self._ticks.append(_TickEnd(event.tick, values["balance"], values["held"], values["queued"], self._cost))

    def _close(self, event: DayEvent) -> None:
        values = event.values
        self._closing = (
            f"balance {values['balance']} cents, after {values['returned']} cents were returned to the pool; "
            f"costs {self._cost} cents"
        )


def _thin(ends: list[_TickEnd]) -> list[_TickEnd]:
    """The first and the last tick, evenly spaced ones between them, and the first one with the lowest balance."""
    if len(ends) <= _MAX_BALANCES:
        return ends
    spaced = {step * (len(ends) - 1) // (_MAX_BALANCES - 1) for step in range(_MAX_BALANCES)}
    lowest = min(range(len(ends)), key=lambda index: ends[index].balance)
    return [ends[index] for index in sorted(spaced | {lowest})]
