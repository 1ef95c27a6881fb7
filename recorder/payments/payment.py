"""The payment, and the rule for its deadline.

It holds no state: where a payment waits and whether it settled is known to the queues it stands in.
"""

from __future__ import annotations

from dataclasses import dataclass

NORMAL_PRIORITY = 5


@dataclass(frozen=True, slots=True, eq=False)
class Payment:
    """A payment order between two agents, given by their indices. Amount in cents, the rest in ticks.

    It never changes, so that one drawn for a seed serves every simulation of that seed; two payments
    are equal only if they are the same one. `late_from` is the first tick in which it counts as overdue
    where it still waits. That is known in advance, because every late payment is marked in every tick,
    wherever it waits: the tick after the deadline or, for the part of a split payment, no earlier than
    the split, since a part does not inherit the mark.
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
    """A payment as it arrives; `arrival` and `deadline` are ticks."""
    return Payment(sender, receiver, amount, arrival, deadline, priority, late_from=deadline + 1)


def split_payment(payment: Payment, count: int, tick: int) -> list[Payment]:
    """`count` parts of a payment, equal but for the last, which also takes the remainder."""
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
    """The deadline of a payment: `offset` ticks after its arrival, at most `latest`, at least the next tick."""
    return max(min(arrival + offset, latest), arrival + 1)
