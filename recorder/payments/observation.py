"""Observed days: what happens in each tick of a simulated day, event by event.

Nothing here is part of an unobserved simulation, which therefore does not become slower. An observed day has the same
result: its classes add reports to the steps of the engine and change none of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.recorder.payments.engine import Day
from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.policy import Policy
from exprec.recorder.payments.rtgs import SettlementSystem
from exprec.recorder.payments.scenario import Adjustment, Scenario, Transfer

_PAIR = 2


@dataclass(frozen=True, slots=True)
class DayEvent:
    """Something that happens in a tick.

    Attributes:
        event_type: `opening`, `transfer`, `cap_change`, `arrival`, `release`, `hold`, `split`, `settlement`, `queued`,
            `offset`, `credit`, `penalty`, `tick_end` or `closing`.
        tick: The tick, from 0.
        agents: Ids of the agents that take part.
        payments: The payments that take part: `7` is the seventh that arrived, `7.2` the second part of it.
        values: The values of the event by name, in plain JSON types; money in cents.
    """

    event_type: str
    tick: int
    agents: tuple[str, ...]
    payments: tuple[str, ...]
    values: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the event as plain JSON types."""
        return {"event_type": self.event_type, "tick": self.tick, **self.values}


Observer = Callable[[DayEvent], None]
"""Receives the events of a day, in order."""


class ObservedDay(Day):
    """A day that reports its events to an observer."""

    def __init__(self, scenario: Scenario, policies: Sequence[Policy], observer: Observer) -> None:
        """Start the day and report the opening balance of each agent."""
        super().__init__(scenario, policies)
        self._observer = observer
        self._tick = 0
        self._ids = [agent.id for agent in scenario.agents]
        self._numbers: dict[Payment, str] = {}
        self._arrived = 0
        system = self.system
        self.system = _ObservedSystem(system.balances, system.caps, scenario.deferred_crediting, self)
        for agent, balance in enumerate(system.balances):
            self.report_agent("opening", agent, balance=balance, allocated=self._allocated[agent])

    def report_agent(self, event_type: str, agent: int, **values: int) -> None:
        """Report an event of one agent."""
        self._report(event_type, (agent,), (), agent=self._ids[agent], **values)

    def report_payment(self, event_type: str, payment: Payment, *parts: Payment, **values: Any) -> None:
        """Report an event of one payment, which may have parts."""
        sender, receiver = payment.sender, payment.receiver
        names = {"sender": self._ids[sender], "receiver": self._ids[receiver]}
        self._report(
            event_type,
            (sender, receiver),
            (payment, *parts),
            tx=self._numbers[payment],
            amount=payment.amount,
            **names,
            **values,
        )

    def report_offset(self, agents: Sequence[int], payments: Sequence[Payment]) -> None:
        """Report that payments between some agents settle against each other."""
        form = "bilateral" if len(agents) == _PAIR else "cycle"
        amount = sum(payment.amount for payment in payments)
        names, txs = [self._ids[agent] for agent in agents], self._numbers_of(payments)
        self._report("offset", agents, payments, form=form, agents=names, txs=txs, amount=amount)

    def apply_adjustments(self, tick: int) -> None:
        """Begin a tick; each transfer and cap change is reported."""
        self._tick = tick
        super().apply_adjustments(tick)

    def receive(self, arriving: Sequence[Payment]) -> None:
        """Number arriving payments and report them."""
        super().receive(arriving)
        for payment in arriving:
            self._arrived += 1
            self._numbers[payment] = str(self._arrived)
            self.report_payment("arrival", payment, deadline=payment.deadline, priority=payment.priority)

    def decide(self, tick: int) -> list[Payment]:
        """Report the decision on each payment, by agent, then in queue order."""
        before = [tuple(queue) for queue in self._queues]
        released = super().decide(tick)
        parts: dict[Payment, list[Payment]] = defaultdict(list)
        for payment in released:
            if payment.parent is not None:
                parts[payment.parent].append(payment)
        for agent, queue in enumerate(before):
            held = set(self._queues[agent])
            for payment in queue:
                if payment in parts:
                    self._report_split(payment, parts[payment])
                else:
                    self.report_payment("hold" if payment in held else "release", payment)
        return released

    def charge(self, tick: int) -> None:
        """Report the penalties of a tick, then the balance, the waiting payments and the costs of each agent."""
        delays, overdrafts = list(self._delay), list(self._overdraft)
        super().charge(tick)
        rates = self._scenario.rates
        for payment in self._waiting():
            if tick == payment.late_from:
                self.report_payment("penalty", payment, reason="deadline", cost=rates.deadline_penalty(payment.amount))
        queued = Counter(payment.sender for payment in self.system.queue)
        for agent, balance in enumerate(self.system.balances):
            self.report_agent(
                "tick_end",
                agent,
                balance=balance,
                held=len(self._queues[agent]),
                queued=queued[agent],
                delay=self._delay[agent] - delays[agent],
                liquidity=self._overdraft[agent] - overdrafts[agent],
                opportunity=rates.opportunity(self._allocated[agent]),
            )

    def close(self) -> None:
        """Report the end-of-day penalties, then the balance of each agent."""
        super().close()
        rates = self._scenario.rates
        for payment in self._unsettled_at_close():
            cost = rates.end_of_day_penalty(payment.amount)
            self.report_payment("penalty", payment, reason="end_of_day", cost=cost)
        for agent, balance in enumerate(self.system.balances):
            self.report_agent("closing", agent, balance=balance, returned=self._allocated[agent])

    def _apply_adjustment(self, event: Adjustment, tick: int) -> None:
        if not isinstance(event, Transfer):
            super()._apply_adjustment(event, tick)
            self.report_agent("cap_change", event.agent, delta=event.delta, cap=self.system.caps[event.agent])
            return
        applied = not event.covered or self.system.covers(event.sender, event.amount)
        super()._apply_adjustment(event, tick)
        names = {"sender": self._ids[event.sender], "receiver": self._ids[event.receiver]}
        self._report("transfer", (event.sender, event.receiver), (), amount=event.amount, applied=applied, **names)

    def _report(self, event_type: str, agents: Iterable[int], payments: Iterable[Payment], /, **values: Any) -> None:
        names = tuple(self._ids[agent] for agent in agents)
        self._observer(DayEvent(event_type, self._tick, names, tuple(self._numbers_of(payments)), values))

    def _numbers_of(self, payments: Iterable[Payment]) -> list[str]:
        return [self._numbers[payment] for payment in payments]

    def _report_split(self, payment: Payment, parts: Sequence[Payment]) -> None:
        for number, part in enumerate(parts, 1):
            self._numbers[part] = f"{self._numbers[payment]}.{number}"
        cost = self._scenario.rates.split_friction * (len(parts) - 1)
        self.report_payment("split", payment, *parts, part_txs=self._numbers_of(parts), cost=cost)


class _ObservedSystem(SettlementSystem):
    """A settlement system that reports each settlement, and each payment that has to wait."""

    __slots__ = ("_day", "_via")

    def __init__(self, balances: list[int], caps: list[int], deferred: bool, day: ObservedDay) -> None:
        super().__init__(balances, caps, deferred)
        self._day = day
        self._via = ""

    def submit(self, payments: Iterable[Payment]) -> None:
        self._via = "release"
        super().submit(payments)

    def retry(self) -> None:
        self._via = "queue"
        super().retry()

    def offset(self, payments: Iterable[Payment]) -> None:
        together = tuple(payments)
        super().offset(together)
        agents = sorted({agent for payment in together for agent in (payment.sender, payment.receiver)})
        self._day.report_offset(agents, together)
        for payment in together:
            self._report_settlement(payment, "offset")

    def credit(self) -> None:
        if self._credited is not self.balances:
            credited = list(self._credited)
            super().credit()
            for agent, amount in enumerate(credited):
                if amount:
                    self._day.report_agent("credit", agent, amount=amount, balance=self.balances[agent])

    def _try_to_settle(self, payment: Payment) -> bool:
        is_settled = super()._try_to_settle(payment)
        if is_settled:
            self._report_settlement(payment, self._via)
        elif self._via == "release":
            self._day.report_payment("queued", payment)
        return is_settled

    def _report_settlement(self, payment: Payment, via: str) -> None:
        sender, receiver = self.balances[payment.sender], self.balances[payment.receiver]
        self._day.report_payment("settlement", payment, via=via, sender_balance=sender, receiver_balance=receiver)
