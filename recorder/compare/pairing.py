"""Two streams of records, each read once, to the pairs that belong together.

Records belong together by iteration, key and their ordinal among those with the same key in the iteration,
never by their position. What differs between the two of a pair is not looked at here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

MOST_WAITING_BYTES = 4 * 1024 * 1024
"""Of each stream; what waits longer for its partner is taken to have none."""

OUTSIDE = 0
"""The iteration of records outside of iterations; they may meet their partner anywhere in the other stream."""

Key = tuple[str | int | None, ...]
_Name = tuple[Key, int]


class Record(NamedTuple):
    """An event or an exchange: the iteration it is in, its name there, its position and its weight in bytes."""

    iteration: int
    key: Key
    position: int
    value: dict[str, Any]
    size: int
    line: bytes = b""


class Pair(NamedTuple):
    """Two records that belong together, or one without a partner.

    `is_alone` says that the other stream has nothing at all in this iteration.
    """

    old: Record | None
    new: Record | None
    ordinal: int
    is_alone: bool = False


class Parting(NamedTuple):
    """The first two records at one position that do not belong together; a stream that ends there has none."""

    old: Record | None
    new: Record | None


class _Iteration:
    """The records of an iteration that wait for their partner, and how many of each key there were so far."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts: tuple[Counter[Key], Counter[Key]] = (Counter(), Counter())
        self._waiting: tuple[dict[_Name, Record], dict[_Name, Record]] = ({}, {})
        self._sizes = [0, 0]

    def named(self, side: int, record: Record) -> _Name:
        """The key of the next record with its ordinal."""
        counts = self.counts[side]
        ordinal = counts[record.key]
        counts[record.key] = ordinal + 1
        return record.key, ordinal

    def both(self, old: Record, new: Record) -> Iterator[Pair]:
        """What comes of two records that came at the same time."""
        old_name, new_name = self.named(0, old), self.named(1, new)
        if old_name == new_name:
            yield Pair(old, new, old_name[1])
            return
        # Both wait before either is matched: swapping the streams shall change nothing.
        self._wait(0, old_name, old)
        self._wait(1, new_name, new)
        met = [pair for name in (old_name, new_name) if (pair := self._met(name)) is not None]
        yield from sorted(met, key=_order)
        yield from self._evicted()

    def one(self, side: int, record: Record, *, is_last_chance: bool) -> Iterator[Pair]:
        """What comes of a record that came by itself; it waits unless this is the last chance."""
        name = self.named(side, record)
        self._wait(side, name, record)
        pair = self._met(name)
        if pair is not None:
            yield pair
        elif is_last_chance:
            yield self._without_partner(side, name)
        else:
            yield from self._evicted()

    def rest(self) -> Iterator[Pair]:
        """All that still wait, in the order in which they came, whichever stream they are of."""
        left = [self._without_partner(side, name) for side in (0, 1) for name in list(self._waiting[side])]
        yield from sorted(left, key=_order)

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting[0] or self._waiting[1])

    def _wait(self, side: int, name: _Name, record: Record) -> None:
        self._waiting[side][name] = record
        self._sizes[side] += record.size

    def _met(self, name: _Name) -> Pair | None:
        if name not in self._waiting[0] or name not in self._waiting[1]:
            return None
        return Pair(self._taken(0, name), self._taken(1, name), name[1])

    def _taken(self, side: int, name: _Name) -> Record:
        record = self._waiting[side].pop(name)
        self._sizes[side] -= record.size
        return record

    def _without_partner(self, side: int, name: _Name) -> Pair:
        record = self._taken(side, name)
        is_alone = not self.counts[1 - side]
        return Pair(None, record, name[1], is_alone) if side else Pair(record, None, name[1], is_alone)

    def _evicted(self) -> Iterator[Pair]:
        """Those that have waited longest, as far as more wait than there is room for."""
        if max(self._sizes) <= MOST_WAITING_BYTES:
            return
        found = []
        for side in (0, 1):
            while self._sizes[side] > MOST_WAITING_BYTES:
                found.append(self._without_partner(side, next(iter(self._waiting[side]))))
        yield from sorted(found, key=_order)


def paired(old: Iterator[Record], new: Iterator[Record]) -> Iterator[Pair | Parting]:
    """Every record of both streams once, in pairs, in an order that does not depend on which stream is which.

    The streams are read in step, and no more is kept than the records of one iteration that have not met their
    partner yet. Where the streams stop to have the same records at the same position, a Parting comes first.
    """
    outside, inside = _Iteration(OUTSIDE), _Iteration(OUTSIDE)
    is_in_step = True
    left, right = next(old, None), next(new, None)
    while left is not None or right is not None:
        if is_in_step and (left is None or right is None or left[:2] != right[:2]):
            is_in_step = False
            yield Parting(left, right)
        takes_left = right is None or (left is not None and _is_due(left, right))
        takes_right = left is None or (right is not None and _is_due(right, left))
        first = left if takes_left else right
        assert first is not None
        if first.iteration not in (OUTSIDE, inside.number):
            yield from inside.rest()
            inside = _Iteration(first.iteration)
        place = outside if first.iteration == OUTSIDE else inside
        if takes_left and takes_right:
            assert left is not None
            assert right is not None
            yield from place.both(left, right)
        else:
            # In an iteration, what comes by itself is what only one stream still has.
            other_has_ended = (right if takes_left else left) is None
            yield from place.one(0 if takes_left else 1, first, is_last_chance=place is inside or other_has_ended)
        left = next(old, None) if takes_left else left
        right = next(new, None) if takes_right else right
    yield from inside.rest()
    yield from outside.rest()


def _is_due(record: Record, other: Record) -> bool:
    """Whether a record is to be taken now: those outside of iterations first, then those of the lower iteration."""
    if record.iteration == OUTSIDE or other.iteration == OUTSIDE:
        return record.iteration == OUTSIDE
    return record.iteration <= other.iteration


def _order(pair: Pair) -> tuple[int, str]:
    positions = [record.position for record in (pair.old, pair.new) if record is not None]
    record = pair.old or pair.new
    assert record is not None
    return min(positions), repr(record.key)
