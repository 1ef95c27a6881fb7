"""Payments and their deadlines."""

from __future__ import annotations

from dataclasses import dataclass

NORMAL_PRIORITY = 5


@dataclass(frozen=True, slots=True, eq=False)
class Payment:
    """An immutable payment order between two agents, which are given by index. Payments are compared by identity.

    Immutability lets all simulations of a seed share the payments that were drawn for it; which queue a payment is in
    and whether it has settled is the state of the queues.

    Attributes:
        amount: In cents.
        arrival: Tick of arrival.
        deadline: Last tick in which the payment is on time.
        late_from: First tick in which an unsettled payment counts as overdue. It is known in advance, because each
            late payment is marked in every tick in either queue: the tick after the deadline or, for a part of a split
            payment, the tick of the split if that is later, as parts do not inherit the mark.
        parent: The split payment that this is a part of.
    """

    sender: int
    receiver: int
    amount: int
    arrival: int
    deadline: int
    priority: int
    late_from: int
    parent: Payment | None = None


def new_payment(sender: int, receiver: int, amount: int, arrival: int, deadline: int, priority: int) -> Payment:
    """Create a payment that is not a part of another; `amount` in cents, `arrival` and `deadline` in ticks."""
    return Payment(sender, receiver, amount, arrival, deadline, priority, late_from=deadline + 1)


def split_payment(payment: Payment, count: int, tick: int) -> list[Payment]:
    """Split a payment into `count` parts of equal amounts; the last part also gets the remainder."""
    share, remainder = divmod(payment.amount, count)
    amounts = [share] * (count - 1) + [share + remainder]
    late_from = max(payment.late_from, tick)
    return [
        Payment(
            payment.sender,
            payment.receiver,
            amount,
            payment.arrival,
            payment.deadline,
            payment.priority,
            late_from,
            parent=payment,
        )
        for amount in amounts
    ]


def deadline_tick(arrival: int, offset: int, latest: int) -> int:
    """Return the deadline `offset` ticks after the arrival: at most `latest`, at least the tick after the arrival."""
    return max(min(arrival + offset, latest), arrival + 1)
