"""The liquidity-saving mechanism (LSM): payments of the central queue settle against each other.

The rules, omissions included, are those of SimCash: bilateral offsetting, then multilateral cycles, in rounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.rtgs import SettlementSystem

_ROUNDS = 3
# In a longer queue only triangles are searched: the number of longer cycles grows exponentially.
_MAX_SEARCHED_QUEUE = 100
_MIN_LONG_CYCLE = 4

Directions = Mapping[tuple[int, int], Sequence[Payment]]
"""The queued payments by sender and receiver."""


@dataclass(frozen=True, slots=True)
class LsmRules:
    """The `lsm_config` of a scenario.

    Attributes:
        bilateral: Whether pairs of agents are offset.
        cycles: Whether cycles of agents are offset.
        max_length: Maximum number of payments of a cycle.
        max_cycles: Maximum number of candidates that are tried in a round.
    """

    bilateral: bool
    cycles: bool
    max_length: int
    max_cycles: int


def offset_queue(system: SettlementSystem, rules: LsmRules) -> None:
    """Offset queued payments in at most three rounds; stop after a round that settles nothing."""
    for _ in range(_ROUNDS):
        waiting = len(system.queue)
        if rules.bilateral and system.queue:
            _offset_pairs(system)
        if rules.cycles and system.queue:
            _offset_cycles(system, rules)
        if len(system.queue) in (0, waiting):
            return


def _offset_pairs(system: SettlementSystem) -> None:
    """Settle all payments between two agents if the net payer can cover the difference; largest offset first."""
    directions = _by_direction(system.queue)
    pairs = []
    for (sender, receiver), payments in directions.items():
        if sender < receiver and (receiver, sender) in directions:
            forward, backward = _total_amount(payments), _total_amount(directions[receiver, sender])
            pairs.append((-min(forward, backward), sender, receiver, forward - backward))
    settled: list[Payment] = []
    for _, first, second, difference in sorted(pairs):
        payer = first if difference > 0 else second
        if system.covers(payer, abs(difference)):
            settled += directions[first, second]
            settled += directions[second, first]
            system.offset((*directions[first, second], *directions[second, first]))
    if settled:
        _remove_settled(system, settled)
        system.retry()


def _offset_cycles(system: SettlementSystem, rules: LsmRules) -> None:
    """Settle cycles in which every net payer can cover its net outflow; largest total amount first."""
    candidates = list(_find_triangles(_by_direction(system.queue)))
    if rules.max_length >= _MIN_LONG_CYCLE and len(system.queue) <= _MAX_SEARCHED_QUEUE:
        candidates += _find_long_cycles(system.queue, rules.max_length)
    if not candidates:
        return
    candidates.sort(key=_total_amount, reverse=True)
    settled: set[Payment] = set()
    for candidate in candidates[: rules.max_cycles]:
        if settled.isdisjoint(candidate) and _is_covered(system, candidate):
            system.offset(candidate)
            settled.update(candidate)
    _remove_settled(system, settled)
    system.retry()


def _find_triangles(directions: Directions) -> Iterator[Sequence[Payment]]:
    """Yield, for agents u < v < w in id order, all payments u→v, v→w and w→u; SimCash never tries u→w→v→u."""
    onward: dict[int, list[int]] = defaultdict(list)
    for sender, receiver in sorted(directions):
        if sender < receiver:
            onward[sender].append(receiver)
    for first in tuple(onward):
        for second in onward[first]:
            for third in onward.get(second, ()):
                if (third, first) in directions:
                    sides = ((first, second), (second, third), (third, first))
                    yield [payment for side in sides for payment in directions[side]]


def _find_long_cycles(queue: Iterable[Payment], max_length: int) -> Iterator[Sequence[Payment]]:
    """Yield cycles of four or more single payments, depth first; each cycle once per starting agent."""
    outgoing: dict[int, list[Payment]] = defaultdict(list)
    for payment in queue:
        outgoing[payment.sender].append(payment)

    def extend(path: list[Payment], agents: list[int]) -> Iterator[Sequence[Payment]]:
        for payment in outgoing.get(agents[-1], ()):
            longer = [*path, payment]
            if payment.receiver == agents[0]:
                if len(longer) >= _MIN_LONG_CYCLE:
                    yield longer
            elif payment.receiver not in agents and len(longer) < max_length:
                yield from extend(longer, [*agents, payment.receiver])

    for start in sorted(outgoing):
        yield from extend([], [start])


def _is_covered(system: SettlementSystem, payments: Iterable[Payment]) -> bool:
    outflow: dict[int, int] = defaultdict(int)
    for payment in payments:
        outflow[payment.sender] += payment.amount
        outflow[payment.receiver] -= payment.amount
    return all(system.covers(agent, net) for agent, net in outflow.items() if net > 0)


def _by_direction(queue: Iterable[Payment]) -> Directions:
    directions: dict[tuple[int, int], list[Payment]] = defaultdict(list)
    for payment in queue:
        directions[payment.sender, payment.receiver].append(payment)
    # A plain dict, so that reading an absent direction does not create it.
    return dict(directions)


def _total_amount(payments: Iterable[Payment]) -> int:
    return sum(payment.amount for payment in payments)


def _remove_settled(system: SettlementSystem, settled: Iterable[Payment]) -> None:
    removed = set(settled)
    system.queue = [payment for payment in system.queue if payment not in removed]
