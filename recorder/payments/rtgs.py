"""The real-time gross settlement (RTGS) system: balances, overdraft caps and the central queue (Q2)."""

from __future__ import annotations

from collections.abc import Iterable

from exprec.recorder.payments.payment import Payment


class SettlementSystem:
    """Settles payments, each in full or not at all. Agents are given by index, amounts in cents.

    Attributes:
        balances: Balance of each agent.
        caps: Overdraft limit of each agent (`unsecured_cap`).
        queue: Payments that could not settle yet, in order of entry.
        settled: Number of payments that settled in full; a split payment counts once, with its last part.
    """

    __slots__ = ("_credited", "_open_parts", "balances", "caps", "queue", "settled")

    def __init__(self, balances: list[int], caps: list[int], deferred: bool) -> None:
        """Start with empty queues; if `deferred`, receivers are credited at the end of each tick."""
        self.balances, self.caps = balances, caps
        self.queue: list[Payment] = []
        self.settled = 0
        # Where receivers are credited: the balances themselves or, if deferred, the credits of this tick.
        self._credited = [0] * len(balances) if deferred else balances
        self._open_parts: dict[Payment, int] = {}

    def submit(self, payments: Iterable[Payment]) -> None:
        """Settle each payment that its sender can afford, in order; append the others to the queue."""
        for payment in payments:
            if not self._try_to_settle(payment):
                self.queue.append(payment)

    def retry(self) -> None:
        """Pass once through the queue, in order, and settle every payment that has become affordable."""
        if self.queue:
            self.queue = [payment for payment in self.queue if not self._try_to_settle(payment)]

    def expect_parts(self, payment: Payment, count: int) -> None:
        """Count a split payment as settled as soon as its `count` parts have settled."""
        self._open_parts[payment] = count

    def covers(self, agent: int, outflow: int) -> bool:
        """Return whether the balance stays within the overdraft cap after an outflow of 0 or more cents."""
        return self.balances[agent] + self.caps[agent] >= outflow

    def offset(self, payments: Iterable[Payment]) -> None:
        """Settle payments against each other, whether or not each sender could afford its payment alone."""
        for payment in payments:
            self.balances[payment.sender] -= payment.amount
            self._credited[payment.receiver] += payment.amount
            # As in SimCash, a part that settles here does not count for its parent, which then never counts as settled.
            if payment.parent is None:
                self.settled += 1

    def credit(self) -> None:
        """Add the deferred credits of this tick to the balances."""
        if self._credited is not self.balances:
            for agent, amount in enumerate(self._credited):
                self.balances[agent] += amount
                self._credited[agent] = 0

    def _try_to_settle(self, payment: Payment) -> bool:
        sender, amount = payment.sender, payment.amount
        rest = self.balances[sender] - amount
        if rest + self.caps[sender] < 0:
            return False
        self.balances[sender] = rest
        self._credited[payment.receiver] += amount
        if payment.parent is None:
            self.settled += 1
        else:
            self._count_part(payment.parent)
        return True

    def _count_part(self, parent: Payment) -> None:
        self._open_parts[parent] -= 1
        if not self._open_parts[parent]:
            self.settled += 1
