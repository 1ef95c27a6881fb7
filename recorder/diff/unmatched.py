"""Records of two streams that wait for the one they belong to, and the ordinals by which they find it.

In which order records are taken from the streams is told in `pairing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
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


class Iteration:
    """The records of an iteration that wait for their partner, and how many of each key there were so far."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts: tuple[Counter[Key], Counter[Key]] = (Counter(), Counter())
        self.odd: set[Key] = set()
        """The keys of which one stream has had more than the other."""
        self._waiting: tuple[dict[_Name, Record], dict[_Name, Record]] = ({}, {})
        self._sizes = [0, 0]

    def named(self, side: int, record: Record) -> _Name:
        """The key of the next record with its ordinal."""
        key, counts = record.key, self.counts[side]
        ordinal = counts[key]
        counts[key] = ordinal + 1
        self._mark(key)
        return key, ordinal

    def _mark(self, key: Key) -> None:
        if self.counts[0][key] == self.counts[1][key]:
            self.odd.discard(key)
        else:
            self.odd.add(key)

    def add(self, keys: Iterable[Key]) -> None:
        """Count records that both streams have."""
        added = Counter(keys)
        for counts in self.counts:
            counts.update(added)

    def partner(self, side: int, record: Record) -> Record | None:
        """The waiting record that the next one of this stream belongs to."""
        return self._waiting[1 - side].get((record.key, self.counts[side][record.key]))

    def last(self, side: int, number: int) -> list[Record]:
        """The records of a stream that began to wait last, at most so many."""
        return list(islice(reversed(self._waiting[side].values()), number))[::-1]

    def give_back(self, side: int, records: Sequence[Record]) -> None:
        """Be as before these came, which are the last of their stream and wait."""
        counts = self.counts[side]
        for record in reversed(records):
            key = record.key
            counts[key] -= 1
            self._taken(side, (key, counts[key]))
            self._mark(key)

    def room(self, side: int) -> int:
        """How many bytes of a stream can wait in addition to those that do."""
        return MOST_WAITING_BYTES - self._sizes[side]

    def both(self, old: Record, new: Record) -> Iterator[Pair]:
        """What comes of two records that came at the same time."""
        old_name, new_name = self.named(0, old), self.named(1, new)
        if old_name == new_name:
            yield Pair(old, new, old_name[1])
            return
        # Both wait before either is matched: swapping the streams shall change nothing.
        self.wait(0, old_name, old)
        self.wait(1, new_name, new)
        met = [pair for name in (old_name, new_name) if (pair := self._met(name)) is not None]
        yield from sorted(met, key=_order)
        yield from self._evicted()

    def one(self, side: int, record: Record, *, is_last_chance: bool) -> Iterator[Pair]:
        """What comes of a record that came by itself; it waits unless this is the last chance."""
        name = self.named(side, record)
        self.wait(side, name, record)
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

    def wait(self, side: int, name: _Name, record: Record) -> None:
        """Keep a record until its partner comes."""
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


def _order(pair: Pair) -> tuple[int, str]:
    positions = [record.position for record in (pair.old, pair.new) if record is not None]
    record = pair.old or pair.new
    assert record is not None
    return min(positions), repr(record.key)
