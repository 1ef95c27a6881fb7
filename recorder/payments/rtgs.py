"""The settlement system: balances, overdraft caps and the central queue of what could not settle yet.

Which payments come to it, and what they cost, is the engine's business; offsetting is in `offsetting`.
"""

from __future__ import annotations

from collections.abc import Iterable

from exprec.recorder.payments.payment import Payment


class SettlementSystem:
    """Settles payments in full or not at all. Amounts in cents, agents by index, `queue` in order of entry.

    What a settled payment brings is added to `_credited`: the balances themselves or, where crediting is
    deferred, what `credit` adds to them later.
    """

    __slots__ = ("_credited", "_open_parts", "balances", "caps", "queue", "settled")

    def __init__(self, balances: list[int], caps: list[int], deferred: bool) -> None:
        self.balances, self.caps = balances, caps
        self.queue: list[Payment] = []
        self.settled = 0
        self._credited = [0] * len(balances) if deferred else balances
        self._open_parts: dict[Payment, int] = {}

    def submit(self, payments: Iterable[Payment]) -> None:
        """Settle each payment that its sender can afford, in order; the others go to the end of the queue."""
        for payment in payments:
            if not self._try_to_settle(payment):
                self.queue.append(payment)

    def retry(self) -> None:
        """Go once through the queue, in order, and settle what has become affordable."""
        if self.queue:
            self.queue = [payment for payment in self.queue if not self._try_to_settle(payment)]

    def expect_parts(self, payment: Payment, count: int) -> None:
        """Count a split payment as settled once `count` parts of it have settled."""
        self._open_parts[payment] = count

    def covers(self, agent: int, outflow: int) -> bool:
        """Whether the agent's balance stays within its cap after an outflow of that many cents, 0 included."""
        return self.balances[agent] + self.caps[agent] >= outflow

    def offset(self, payments: Iterable[Payment]) -> None:
        """Settle payments against each other, whatever each of their senders could afford alone."""
        for payment in payments:
            self.balances[payment.sender] -= payment.amount
            self._credited[payment.receiver] += payment.amount
            # A part settled here never completes its whole: the reference engine does not look for it.
            if payment.parent is None:
                self.settled += 1

    def credit(self) -> None:
        """Add the deferred credits of the tick to the balances."""
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

    def _count_part(self, whole: Payment) -> None:
        self._open_parts[whole] -= 1
        if not self._open_parts[whole]:
            self.settled += 1
