"""Alignment of two streams of records: which record of the old stream belongs to which of the new one.

The algorithm is a full outer join by iteration, key and ordinal; the ordinal numbers the records with the same
iteration and key in each stream. Across iterations it is a merge join: both streams are read in step, the lower
iteration first. Within an iteration, and among the records outside iterations, it is a symmetric hash join with a
bounded buffer. Positions do not matter, so a record that one stream alone has shifts nothing.

Runs of equal records, which a stream may recognize without decoding, are not joined one by one but skipped. What
they would have changed is the ordinals of later records, so they are counted.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice
from operator import not_
from typing import Any, NamedTuple, Protocol

NO_ITERATION = 0
"""The iteration of records outside iterations; their partner may be anywhere in the other stream."""

OLD, NEW = 0, 1
"""The two sides."""

MAX_BUFFERED_BYTES = 4 * 1024 * 1024
"""Limit of the unmatched records of one stream; above it, the oldest are taken to have no partner."""

LAG_MATCHES = 16
"""After this many matches in a row at the same lag, one stream is taken to stay that far ahead."""

Key = tuple[str | int | None, ...]
Name = tuple[Key, int]
"""A key and an ordinal: unique in one iteration of one stream."""


class Record(NamedTuple):
    """An event or an exchange, with what it is aligned by: iteration and key. `size` is in bytes."""

    iteration: int
    key: Key
    position: int
    value: dict[str, Any]
    size: int
    line: bytes = b""


class Pair(NamedTuple):
    """Two records that belong together, equal or not."""

    old: Record
    new: Record
    ordinal: int


class Unmatched(NamedTuple):
    """A record without a partner; `side` is the stream that has it.

    `lacks_iteration` tells that the other stream has no record at all in this iteration.
    """

    side: int
    record: Record
    ordinal: int
    lacks_iteration: bool


class FirstDivergence(NamedTuple):
    """The first records at the same position whose iteration or key differs; None for a stream that ends there."""

    old: Record | None
    new: Record | None


class EqualRun(NamedTuple):
    """Consecutive records of both streams that are equal apart from their positions: iteration, key, line of each."""

    iterations: Sequence[int]
    keys: Sequence[Key]
    lines: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.keys)

    def first(self, length: int) -> EqualRun:
        """Return the run of the first `length` records."""
        if length == len(self):
            return self
        return EqualRun(self.iterations[:length], self.keys[:length], self.lines[:length])


Aligned = Pair | Unmatched | EqualRun | FirstDivergence


class Cursor(Protocol):
    """A position in a stream of records."""

    def peek(self) -> Record | None:
        """Return the next record, None at the end."""
        ...

    def advance(self, length: int = 1) -> None:
        """Move behind the next `length` records."""
        ...

    def rewind(self, records: Sequence[Record]) -> None:
        """Move back to the first of these records, which are the last ones that were passed."""
        ...


class Streams(Protocol):
    """Two streams of records, and the runs of equal records in both."""

    @property
    def cursors(self) -> tuple[Cursor, Cursor]:
        """The positions in the old and the new stream."""
        ...

    def equal_run(self, limit: int, minimum: int = 1) -> EqualRun | None:
        """Return the equal records that come next, at most `limit`; None where there are none.

        If at least `minimum` are equal, at least as many are returned, however far that is to read ahead. The cursors
        do not move.
        """
        ...


class RecordCursor:
    """A position among records that are read one by one."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = iter(records)
        self._next: deque[Record] = deque()

    def peek(self) -> Record | None:
        """Return the next record without consuming it; None at the end."""
        if not self._next:
            self._next.extend(islice(self._records, 1))
        return self._next[0] if self._next else None

    def advance(self, length: int = 1) -> None:
        """Consume `length` records."""
        for _ in range(length):
            self.peek()
            self._next.popleft()

    def rewind(self, records: Sequence[Record]) -> None:
        """Put records back in front of the next one."""
        self._next.extendleft(reversed(records))


class RecordStreams:
    """Two streams of records that are aligned one by one: no run of equal ones is recognized."""

    def __init__(self, old: Iterable[Record], new: Iterable[Record]) -> None:
        self.cursors = RecordCursor(old), RecordCursor(new)

    def equal_run(self, limit: int, minimum: int = 1) -> EqualRun | None:
        """Return no equal stretch: records are compared one by one."""
        return None


def align(streams: Streams) -> Iterator[Aligned]:
    """Yield every record of both streams once: in a Pair, as Unmatched, or in an EqualRun.

    A FirstDivergence comes at most once, before the records that it names. The order does not depend on which of
    the streams is the old one. At most MAX_BUFFERED_BYTES of either stream are held in memory, beside what one
    iteration has. Raises what reading the streams raises.
    """
    return _Alignment(streams).run()


class _UnmatchedBuffer:
    """Records of one stream without a partner so far, oldest first."""

    def __init__(self) -> None:
        self.records: dict[Name, Record] = {}
        self.size = 0

    def add(self, name: Name, record: Record) -> None:
        self.records[name] = record
        self.size += record.size

    def pop(self, name: Name) -> Record:
        record = self.records.pop(name)
        self.size -= record.size
        return record

    def last(self, length: int) -> list[Record]:
        return list(islice(reversed(self.records.values()), length))[::-1]


class _Group:
    """The hash join of the records of one iteration, or of those outside iterations."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration
        self.unbalanced: set[Key] = set()
        """The keys of which one stream has had more records than the other."""
        self._counts: tuple[Counter[Key], Counter[Key]] = (Counter(), Counter())
        self._buffers = _UnmatchedBuffer(), _UnmatchedBuffer()

    @property
    def has_unmatched(self) -> bool:
        return bool(self._buffers[OLD].records or self._buffers[NEW].records)

    def count(self, keys: Iterable[Key]) -> None:
        """Count records that both streams have."""
        added = Counter(keys)
        for counts in self._counts:
            counts.update(added)

    def join(self, old: Record, new: Record) -> Iterator[Pair | Unmatched]:
        """Take the next record of either stream."""
        old_name, new_name = self._number(OLD, old), self._number(NEW, new)
        if old_name == new_name:
            yield Pair(old, new, old_name[1])
            return
        # Both are buffered before either is matched, so that exchanging the streams changes nothing.
        self._buffers[OLD].add(old_name, old)
        self._buffers[NEW].add(new_name, new)
        pairs = [pair for name in (old_name, new_name) if (pair := self._match(name)) is not None]
        yield from sorted(pairs, key=_pair_order)
        yield from self._evict()

    def join_one(self, side: int, record: Record, *, is_final: bool) -> Iterator[Pair | Unmatched]:
        """Take the next record of one stream; with `is_final` its partner has come or never will."""
        name = self._number(side, record)
        self._buffers[side].add(name, record)
        pair = self._match(name)
        if pair is not None:
            yield pair
        elif is_final:
            yield self._give_up(side, name)
        else:
            yield from self._evict()

    def flush(self) -> Iterator[Unmatched]:
        """Take the other stream to have no partners for what is buffered."""
        rest = [self._give_up(side, name) for side in (OLD, NEW) for name in list(self._buffers[side].records)]
        yield from sorted(rest, key=_unmatched_order)

    def find_partner(self, side: int, record: Record) -> Record | None:
        """Return the buffered record of the other stream that the next one of this stream belongs to."""
        key = record.key
        return self._buffers[1 - side].records.get((key, self._counts[side][key]))

    def last_unmatched(self, side: int, length: int) -> list[Record]:
        """Return the records of a stream that were buffered last, at most `length`."""
        return self._buffers[side].last(length)

    def buffer(self, side: int, record: Record) -> None:
        """Buffer the next record of a stream without looking for its partner."""
        self._buffers[side].add(self._number(side, record), record)

    def unbuffer(self, side: int, records: Sequence[Record]) -> None:
        """Undo `buffer` of these records, the last ones of the stream."""
        counts = self._counts[side]
        for record in reversed(records):
            counts[record.key] -= 1
            self._buffers[side].pop((record.key, counts[record.key]))
            self._check_balance(record.key)

    def free_bytes(self, side: int) -> int:
        """Return how many more bytes of a stream can be buffered."""
        return MAX_BUFFERED_BYTES - self._buffers[side].size

    def _number(self, side: int, record: Record) -> Name:
        key, counts = record.key, self._counts[side]
        ordinal = counts[key]
        counts[key] = ordinal + 1
        self._check_balance(key)
        return key, ordinal

    def _check_balance(self, key: Key) -> None:
        if self._counts[OLD][key] == self._counts[NEW][key]:
            self.unbalanced.discard(key)
        else:
            self.unbalanced.add(key)

    def _match(self, name: Name) -> Pair | None:
        old, new = self._buffers
        if name not in old.records or name not in new.records:
            return None
        return Pair(old.pop(name), new.pop(name), name[1])

    def _give_up(self, side: int, name: Name) -> Unmatched:
        return Unmatched(side, self._buffers[side].pop(name), name[1], not self._counts[1 - side])

    def _evict(self) -> Iterator[Unmatched]:
        evicted = []
        for side, buffer in enumerate(self._buffers):
            while buffer.size > MAX_BUFFERED_BYTES:
                evicted.append(self._give_up(side, next(iter(buffer.records))))
        if evicted:
            yield from sorted(evicted, key=_unmatched_order)


class _Alignment:
    """The state of `align`."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._cursors = streams.cursors
        self._outside, self._inside = _Group(NO_ITERATION), _Group(NO_ITERATION)
        self._lag = _Lag()

    def run(self) -> Iterator[Aligned]:
        is_in_step = True
        while True:
            yield from self._skip_equal_runs()
            old, new = (cursor.peek() for cursor in self._cursors)
            if old is None and new is None:
                break
            if is_in_step and (old is None or new is None or old[:2] != new[:2]):
                is_in_step = False
                yield FirstDivergence(old, new)
            if old is not None and new is not None and self._lag.is_steady(self._find_lag(old, new)):
                yield from self._skip_lagging_runs()
            else:
                yield from self._join_next(old, new)
        yield from self._inside.flush()
        yield from self._outside.flush()

    def _join_next(self, old: Record | None, new: Record | None) -> Iterator[Pair | Unmatched]:
        """Take the next record of the stream whose iteration is the lower one, of both if it is the same."""
        takes_old = new is None or (old is not None and _rank(old) <= _rank(new))
        takes_new = old is None or (new is not None and _rank(new) <= _rank(old))
        first = old if takes_old else new
        assert first is not None
        if first.iteration not in (NO_ITERATION, self._inside.iteration):
            yield from self._inside.flush()
            self._inside = _Group(first.iteration)
        group = self._outside if first.iteration == NO_ITERATION else self._inside
        for cursor in compress(self._cursors, (takes_old, takes_new)):
            cursor.advance()
        if takes_old and takes_new and old is not None and new is not None:
            yield from group.join(old, new)
        else:
            # Within an iteration, the other stream has reached its end or a later iteration.
            is_final = group is self._inside or old is None or new is None
            yield from group.join_one(OLD if takes_old else NEW, first, is_final=is_final)

    def _skip_equal_runs(self) -> Iterator[EqualRun]:
        """Skip what comes next as long as joining it would yield only pairs of equal records."""
        limit = 1
        while (run := self._streams.equal_run(limit)) is not None:
            length = self._skippable(run)
            if length:
                yield self._skip(run.first(length))
            if length < len(run):
                return
            # At most as much is decoded in vain as was skipped before.
            limit *= 2

    def _skippable(self, run: EqualRun) -> int:
        """Count the leading records of a run that would be paired in order, before any buffered record is dropped."""
        inside, outside = self._inside, self._outside
        is_open = inside.has_unmatched or bool(inside.unbalanced)
        if not (is_open or outside.unbalanced):
            return len(run)
        for length, (iteration, key) in enumerate(zip(run.iterations, run.keys, strict=True)):
            if iteration == NO_ITERATION:
                has_effect = key in outside.unbalanced
            else:
                has_effect = is_open and (iteration != inside.iteration or key in inside.unbalanced)
            if has_effect:
                return length
        return len(run)

    def _skip(self, run: EqualRun) -> EqualRun:
        iterations, keys = run.iterations, run.keys
        numbers = set(iterations)
        if NO_ITERATION in numbers:
            self._outside.count(compress(keys, map(not_, iterations)))
        start = 0
        if numbers - {NO_ITERATION, self._inside.iteration}:
            iteration, start = _last_iteration(iterations)
            self._inside = _Group(iteration)
        if numbers != {NO_ITERATION}:
            self._inside.count(compress(keys[start:], iterations[start:]))
        for cursor in self._cursors:
            cursor.advance(len(run))
        return run

    def _find_lag(self, old: Record, new: Record) -> int:
        """Return by how many records the old stream is ahead of the new one, less than 0 if it is behind.

        It is 0 unless the partner of either record, outside iterations, is buffered.
        """
        outside = self._outside
        if not (outside.has_unmatched and old.iteration == new.iteration == NO_ITERATION):
            return 0
        if (partner := outside.find_partner(NEW, new)) is not None:
            return old.position - partner.position
        if (partner := outside.find_partner(OLD, old)) is not None:
            return partner.position - new.position
        return 0

    def _skip_lagging_runs(self) -> Iterator[EqualRun]:
        """Skip the equal runs that appear when the stream ahead is read again from its buffered records on.

        The same number of records is buffered afterwards, so that the state is that of joining all of them.
        """
        outside, lag, side = self._outside, abs(self._lag.lag), OLD if self._lag.lag > 0 else NEW
        cursor = self._cursors[side]
        head, buffered = cursor.peek(), outside.last_unmatched(side, lag)
        assert head is not None
        if [record.position for record in buffered] != list(range(head.position - lag, head.position)):
            return
        outside.unbuffer(side, buffered)
        cursor.rewind(buffered)
        limit = minimum = 4 * lag + 1
        while (run := self._streams.equal_run(limit, minimum)) is not None:
            # The last of these are those to be buffered, for which there must be room.
            length = self._skippable_outside(run) - lag
            if length <= 0 or lag * max(map(len, run.lines)) > outside.free_bytes(side):
                break
            yield self._skip(run.first(length))
            limit *= 2
        for _ in buffered:
            record = cursor.peek()
            assert record is not None
            outside.buffer(side, record)
            cursor.advance()

    def _skippable_outside(self, run: EqualRun) -> int:
        """Count the records at the beginning of a run that are outside iterations and joined in pairs as they come."""
        unbalanced = self._outside.unbalanced
        for length, (iteration, key) in enumerate(zip(run.iterations, run.keys, strict=True)):
            if iteration != NO_ITERATION or key in unbalanced:
                return length
        return len(run)


class _Lag:
    """Recognizes that one stream stays ahead of the other by the same number of records.

    It does so after a record that one stream alone has outside iterations: from there on, each record of that stream
    is buffered until the other stream has its partner, however long the streams are.
    """

    def __init__(self) -> None:
        self.lag = 0
        self._matches = 0

    def is_steady(self, lag: int) -> bool:
        """Observe the lag at the next records; tell whether it has been the same for LAG_MATCHES matches."""
        self._matches = self._matches + 1 if lag == self.lag else 0
        self.lag = lag
        if not lag or self._matches < LAG_MATCHES:
            return False
        # Before the next attempt at least one pair is joined.
        self._matches = -1
        return True


def _rank(record: Record) -> float:
    """Order records by when they are due: those outside iterations first."""
    return -math.inf if record.iteration == NO_ITERATION else record.iteration


def _last_iteration(iterations: Sequence[int]) -> tuple[int, int]:
    """Return the last of these that is an iteration, and the index behind the last record of any other."""
    last = next(number for number in reversed(iterations) if number != NO_ITERATION)
    others = (index for index in reversed(range(len(iterations))) if iterations[index] not in (NO_ITERATION, last))
    return last, next(others, -1) + 1


def _pair_order(pair: Pair) -> tuple[int, str]:
    return min(pair.old.position, pair.new.position), repr(pair.old.key)


def _unmatched_order(unmatched: Unmatched) -> tuple[int, str]:
    return unmatched.record.position, repr(unmatched.record.key)
