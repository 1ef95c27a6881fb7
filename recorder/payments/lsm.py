"""Liquidity saving: payments of the central queue that settle against each other.

It looks only at that queue; the rules are those of the reference engine (SimCash, MIT), its omissions
included, so that every outcome is the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.rtgs import SettlementSystem

_ROUNDS = 3
# Beyond this many payments only triangles are looked for: the number of longer cycles explodes.
_LONGEST_SEARCHED_QUEUE = 100
_SHORTEST_LONG_CYCLE = 4

Directions = Mapping[tuple[int, int], Sequence[Payment]]
"""The queued payments by sender and receiver."""


@dataclass(frozen=True, slots=True)
class OffsettingRules:
    """What is offset. `max_length` is in payments, `max_cycles` the number of candidates tried in a round."""

    bilateral: bool
    cycles: bool
    max_length: int
    max_cycles: int


def offset_queue(system: SettlementSystem, rules: OffsettingRules) -> None:
    """Offset what can be offset, in rounds, until one settles nothing."""
    for _ in range(_ROUNDS):
        waiting = len(system.queue)
        if rules.bilateral and system.queue:
            _offset_pairs(system)
        if rules.cycles and system.queue:
            _offset_cycles(system, rules)
        if len(system.queue) in (0, waiting):
            return


def _offset_pairs(system: SettlementSystem) -> None:
    """Settle all payments between two agents where the one who owes more can cover the difference."""
    directions = _directions(system.queue)
    pairs = []
    for (sender, receiver), payments in directions.items():
        if sender < receiver and (receiver, sender) in directions:
            there, back = _value(payments), _value(directions[receiver, sender])
            pairs.append((-min(there, back), sender, receiver, there - back))
    settled: list[Payment] = []
    for _, first, second, difference in sorted(pairs):
        payer = first if difference > 0 else second
        if system.covers(payer, abs(difference)):
            settled += directions[first, second]
            settled += directions[second, first]
            system.offset((*directions[first, second], *directions[second, first]))
    if settled:
        _remove(system, settled)
        system.retry()


def _offset_cycles(system: SettlementSystem, rules: OffsettingRules) -> None:
    """Settle cycles, the most valuable first, in which every agent that pays on balance can cover it."""
    candidates = list(_triangles(_directions(system.queue)))
    if rules.max_length >= _SHORTEST_LONG_CYCLE and len(system.queue) <= _LONGEST_SEARCHED_QUEUE:
        candidates += _long_cycles(system.queue, rules.max_length)
    if not candidates:
        return
    candidates.sort(key=_value, reverse=True)
    settled: set[Payment] = set()
    for candidate in candidates[: rules.max_cycles]:
        if settled.isdisjoint(candidate) and _is_covered(system, candidate):
            system.offset(candidate)
            settled.update(candidate)
    _remove(system, settled)
    system.retry()


def _triangles(directions: Directions) -> Iterator[Sequence[Payment]]:
    """For three agents in the order of their ids: all payments from each to the next, and from the last to the first.

    The opposite orientation is never looked for.
    """
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


def _long_cycles(queue: Iterable[Payment], max_length: int) -> Iterator[Sequence[Payment]]:
    """Cycles of four or more single payments, depth first; each comes once for every agent in it."""
    outgoing: dict[int, list[Payment]] = defaultdict(list)
    for payment in queue:
        outgoing[payment.sender].append(payment)

    def extend(path: list[Payment], agents: list[int]) -> Iterator[Sequence[Payment]]:
        for payment in outgoing.get(agents[-1], ()):
            longer = [*path, payment]
            if payment.receiver == agents[0]:
                if len(longer) >= _SHORTEST_LONG_CYCLE:
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


def _directions(queue: Iterable[Payment]) -> Directions:
    directions: dict[tuple[int, int], list[Payment]] = defaultdict(list)
    for payment in queue:
        directions[payment.sender, payment.receiver].append(payment)
    # A plain dict, so that asking for a direction without payments does not create it.
    return dict(directions)


def _value(payments: Iterable[Payment]) -> int:
    return sum(payment.amount for payment in payments)


def _remove(system: SettlementSystem, settled: Iterable[Payment]) -> None:
    gone = set(settled)
    system.queue = [payment for payment in system.queue if payment not in gone]
