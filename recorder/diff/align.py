"""Two streams of records, each read once, to the pairs that belong together.

Records belong together by iteration, key and their ordinal among those with the same key in the iteration,
never by their position. What differs between the two of a pair is not looked at here; where the streams know of
what they have alike, it is passed over and only counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from operator import not_
from typing import NamedTuple, Protocol

from exprec.recorder.diff.unmatched import OUTSIDE, Iteration, Key, Pair, Record

LAGGING = 16
"""After so many meetings at the same distance two streams are taken to stay at it."""


class Parting(NamedTuple):
    """The first two records at one position that do not belong together; a stream that ends there has none."""

    old: Record | None
    new: Record | None


class Stretch(NamedTuple):
    """Records that come one after the other in both streams, and are equal but for their positions: the iteration,
    the key and the line of each."""

    iterations: Sequence[int]
    keys: Sequence[Key]
    lines: Sequence[bytes]

    def first(self, number: int) -> Stretch:
        """The first of them, so many."""
        return Stretch(self.iterations[:number], self.keys[:number], self.lines[:number])


class Equals(Protocol):
    """Knows of two streams what both have next, without any of it being taken."""

    def equal(self, most: int, least: int = 1) -> Stretch | None:
        """What comes next in both and is equal, at most so many, and at least so many if there are; None for none."""
        ...

    def pass_over(self, number: int) -> None:
        """Go on behind so many in both."""
        ...

    def give_back(self, side: int, records: Sequence[Record]) -> None:
        """Let the last records of a stream, 0 or 1, come next in it again."""
        ...


def paired(
    old: Iterator[Record], new: Iterator[Record], equals: Equals | None = None
) -> Iterator[Pair | Parting | Stretch]:
    """Every record of both streams once, in pairs, in an order that does not depend on which stream is which.

    The streams are read in step, and no more is kept than the records of one iteration that have not met their
    partner yet. Where the streams stop to have the same records at the same position, a Parting comes first.
    With `equals`, what stands in a Stretch comes in no pair: it would be one of equal records.
    """
    return _Pairing(old, new).run(equals)


class _Pairing:
    """Where the pairing of two streams has come to."""

    def __init__(self, old: Iterator[Record], new: Iterator[Record]) -> None:
        self._old, self._new = old, new
        self._outside, self._inside = Iteration(OUTSIDE), Iteration(OUTSIDE)
        self._is_in_step = True
        self._lag = 0
        """How many records the old stream, or below 0 the new one, lately was ahead when partners met."""
        self._met_at_lag = 0

    def run(self, equals: Equals | None) -> Iterator[Pair | Parting | Stretch]:
        left: Record | None = None
        right: Record | None = None
        while True:
            if left is None and right is None and equals is not None:
                yield from self._stretches(equals)
            left, right = left or next(self._old, None), right or next(self._new, None)
            if left is None and right is None:
                break
            if self._is_in_step and (left is None or right is None or left[:2] != right[:2]):
                self._is_in_step = False
                yield Parting(left, right)
            if left is not None and right is not None and equals is not None and self._is_lagging(left, right):
                yield from self._lagging_stretches(equals, left, right)
                left = right = None
                continue
            takes_left = right is None or (left is not None and _is_due(left, right))
            takes_right = left is None or (right is not None and _is_due(right, left))
            yield from self._taken(
                left if takes_left else None,
                right if takes_right else None,
                other_has_ended=left is None or right is None,
            )
            left, right = None if takes_left else left, None if takes_right else right
        yield from self._inside.rest()
        yield from self._outside.rest()

    def _taken(self, left: Record | None, right: Record | None, *, other_has_ended: bool) -> Iterator[Pair]:
        """What comes of the records that are due, one of each stream or of one alone."""
        first = left or right
        assert first is not None
        if first.iteration not in (OUTSIDE, self._inside.number):
            yield from self._inside.rest()
            self._inside = Iteration(first.iteration)
        place = self._outside if first.iteration == OUTSIDE else self._inside
        if left is not None and right is not None:
            yield from place.both(left, right)
        else:
            # In an iteration, what comes by itself is what only one stream still has.
            is_last_chance = place is self._inside or other_has_ended
            yield from place.one(1 if left is None else 0, first, is_last_chance=is_last_chance)

    def _stretches(self, equals: Equals) -> Iterator[Stretch]:
        """What both streams have next, as far as taking it record by record would come to nothing but equal pairs."""
        most = 1
        while (stretch := equals.equal(most)) is not None:
            number = self._without_effect(stretch)
            if number:
                passed = stretch.first(number)
                self._count(passed)
                equals.pass_over(number)
                yield passed
            if number < len(stretch.keys):
                return
            # Whatever is decoded for nothing is no more than what was passed over before.
            most *= 2

    def _is_lagging(self, left: Record, right: Record) -> bool:
        """Whether one stream now for a while was as many records ahead of the other, so that all had to wait."""
        lag = 0
        if self._outside.is_waiting and left.iteration == right.iteration == OUTSIDE:
            for side, record, other in ((1, right, left), (0, left, right)):
                partner = self._outside.partner(side, record)
                if partner is not None:
                    lag = (other.position - partner.position) * (1 if side else -1)
                    break
        self._met_at_lag = self._met_at_lag + 1 if lag == self._lag else 0
        self._lag = lag
        if not lag or self._met_at_lag < LAGGING:
            return False
        # Before it is tried again, at least one pair is taken.
        self._met_at_lag = -1
        return True

    def _lagging_stretches(self, equals: Equals, left: Record, right: Record) -> Iterator[Stretch]:
        """What both streams have next when those that wait are given back to the one that is ahead.

        Where that comes to its end the same number waits again, of records that came later.
        """
        outside, lag, side = self._outside, abs(self._lag), 0 if self._lag > 0 else 1
        heads = left, right
        waiting = outside.last(side, lag)
        expected = range(heads[side].position - lag, heads[side].position)
        if [record.position for record in waiting] != list(expected):
            waiting = []
        outside.give_back(side, waiting)
        equals.give_back(side, [*waiting, heads[side]])
        equals.give_back(1 - side, [heads[1 - side]])
        least = most = 4 * lag + 1
        while waiting and (stretch := equals.equal(most, least)) is not None:
            # Of these the last are those that would wait; no more may wait than there is room for.
            passable = self._outside_without_effect(stretch)
            if passable <= lag or lag * max(map(len, stretch.lines)) > outside.room(side):
                break
            passed = stretch.first(passable - lag)
            self._count(passed)
            equals.pass_over(passable - lag)
            yield passed
            most *= 2
        for _ in waiting:
            record = next(self._new if side else self._old)
            outside.wait(side, outside.named(side, record), record)

    def _outside_without_effect(self, stretch: Stretch) -> int:
        """How many of these are outside of iterations, and belong together in pairs as they come."""
        odd = self._outside.odd
        rows = enumerate(zip(stretch.iterations, stretch.keys, strict=True))
        return next((place for place, (number, key) in rows if number != OUTSIDE or key in odd), len(stretch.keys))

    def _without_effect(self, stretch: Stretch) -> int:
        """How many of these belong together in pairs as they come, before any that waits is told to have no partner."""
        inside, outside = self._inside, self._outside
        is_open = inside.is_waiting or bool(inside.odd)
        if not (is_open or outside.odd):
            return len(stretch.keys)
        for number, (iteration, key) in enumerate(zip(stretch.iterations, stretch.keys, strict=True)):
            if iteration == OUTSIDE:
                has_effect = key in outside.odd
            else:
                has_effect = is_open and (iteration != inside.number or key in inside.odd)
            if has_effect:
                return number
        return len(stretch.keys)

    def _count(self, stretch: Stretch) -> None:
        """Let the ordinals of later records be what they would be had these come in pairs."""
        iterations, keys = stretch.iterations, stretch.keys
        numbers = set(iterations)
        if OUTSIDE in numbers:
            self._outside.add(compress(keys, map(not_, iterations)))
        first = 0
        if numbers - {OUTSIDE, self._inside.number}:
            number, first = _last_iteration(iterations)
            self._inside = Iteration(number)
        if numbers != {OUTSIDE}:
            self._inside.add(compress(keys[first:], iterations[first:]))


def _last_iteration(iterations: Sequence[int]) -> tuple[int, int]:
    """The last of these that is one, and from where on there is no other."""
    number = next(each for each in reversed(iterations) if each != OUTSIDE)
    others = (place for place in reversed(range(len(iterations))) if iterations[place] not in (OUTSIDE, number))
    return number, next(others, -1) + 1


def _is_due(record: Record, other: Record) -> bool:
    """Whether a record is to be taken now: those outside of iterations first, then those of the lower iteration."""
    if record.iteration == OUTSIDE or other.iteration == OUTSIDE:
        return record.iteration == OUTSIDE
    return record.iteration <= other.iteration
