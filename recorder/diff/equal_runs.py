"""The logs of two runs, read side by side: what both have alike is passed over, all else becomes records.

Every line is proven to be an event, as reading it alone would, whether it is passed over or not. Which records belong
together is told in `pairing`, how events differ in `logs`.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import compress, count
from operator import ne
from types import NoneType
from typing import NoReturn

from exprec.recorder.diff.align import Stretch
from exprec.recorder.diff.unmatched import Record
from exprec.recorder.errors import Damaged
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.store.run_directory import RunDirectory

CHUNK_BYTES = 64 * 1024
"""Read at a time; so much of both logs stays in the cache of a processor while it is compared."""
_LONG_BYTES = 16 * 1024 * 1024
"""A line may be longer, but is hardly ever."""


_NO_EVENT = (ValueError, TypeError, KeyError)
"""Raised by taking what is no event for one."""


class SideBySide:
    """Two logs as streams of records, and as the lines that both have next.

    All of it raises Damaged, naming file and line, where reading the logs record by record would, and StorageFailure.
    """

    def __init__(self, old: RunDirectory, new: RunDirectory) -> None:
        """Raises Damaged when the log of a sealed run is not of its size or ends in a torn line."""
        self._old, self._new = _Lines(old), _Lines(new)

    def old(self) -> Iterator[Record]:
        """The records of the old log that are not passed over."""
        return self._old.records()

    def new(self) -> Iterator[Record]:
        """The records of the new log that are not passed over."""
        return self._new.records()

    def equal(self, most: int, least: int = 1) -> Stretch | None:
        """The lines that come next in both logs and are equal but for `seq`, at most so many; None for no line.

        If so many are equal, they are at least `least`, although that may take reading on. None too where one of the
        lines is no event.
        """
        old, new = self._old, self._new
        _fill(old, new, least)
        left, right = old.ahead(most), new.ahead(most)
        if old.seq == new.seq:
            equal = next(compress(count(), map(ne, left, right)), None)
        else:
            shifted = map(_is_shifted, left, right, count(old.seq), count(new.seq))
            equal = next((place for place, is_equal in enumerate(shifted) if not is_equal), None)
        number = min(len(left), len(right)) if equal is None else equal
        return old.stretch(left[:number]) if number else None

    def pass_over(self, number: int) -> None:
        """Go on behind so many of the lines that come next in both."""
        self._old.skip(number)
        self._new.skip(number)

    def give_back(self, side: int, records: Sequence[Record]) -> None:
        """Let the last records of the old log (0) or the new one (1) come next again."""
        (self._new if side else self._old).give_back([record.line for record in records])


class _Lines:
    """The lines of one log that were not taken yet; those of a chunk are at hand."""

    def __init__(self, run: RunDirectory) -> None:
        self._reader = run.reader()
        self._path = run.path / layout.EVENTS_FILE
        self._offset = 0
        self._lines: list[bytes] = []
        self._next = 0
        self._has_ended = False
        self._is_proven = False
        self.torn = b""
        """The beginning of the line behind those at hand."""
        self.seq = 0
        """Of the next line."""

    def has_less(self, number: int) -> bool:
        """Whether less than so many lines are at hand of those that there are."""
        return len(self._lines) - self._next < number and not self._has_ended

    def read(self) -> bytes:
        """The next chunk; empty at the end."""
        # Twice as much each time, lest a line much longer than a chunk be copied with each.
        chunk = self._reader.source.read(self._offset, max(CHUNK_BYTES, len(self.torn)))
        self._offset += len(chunk)
        return chunk

    def take(self, chunk: bytes) -> None:
        """Have the lines at hand that end in this chunk too."""
        if len(self.torn) > _LONG_BYTES and not self._is_proven:
            # Before more of it is held: reading the log alone refuses a line that is too long.
            self._prove()
            self._is_proven = True
        data = self.torn + chunk
        end = data.rfind(b"\n") + 1
        lines = io.BytesIO(data[:end]).readlines()
        self._have(self._lines[self._next :] + lines, data[end:], has_ended=not chunk)

    def take_as(self, other: _Lines) -> None:
        """Have the lines at hand that the other log has, and not a copy of them."""
        self._have(other._lines, other.torn, has_ended=other._has_ended)

    def _have(self, lines: list[bytes], torn: bytes, *, has_ended: bool) -> None:
        self._lines, self._next, self.torn, self._has_ended = lines, 0, torn, has_ended

    def ahead(self, most: int) -> list[bytes]:
        """The next lines at hand, at most so many."""
        return self._lines[self._next : self._next + most]

    def skip(self, number: int) -> None:
        self._next += number
        self.seq += number

    def give_back(self, lines: list[bytes]) -> None:
        self._lines, self._next = lines + self._lines[self._next :], 0
        self.seq -= len(lines)

    def stretch(self, lines: list[bytes]) -> Stretch | None:
        """The next lines, decoded as far as it takes to pass over them; None where one of them is no event."""
        try:
            rows = [
                (event["seq"], event["iteration"], event["event_type"], event.get("agent_id"))
                for event in map(canonical_json.decode, lines)
            ]
        except _NO_EVENT:
            return None
        seqs, iterations, types, agents = zip(*rows, strict=True)
        are_typed = set(map(type, seqs)) == set(map(type, iterations)) == {int} and set(map(type, types)) == {str}
        if not are_typed or seqs != tuple(range(self.seq, self.seq + len(lines))):
            return None
        if not set(map(type, agents)) <= {str, NoneType}:
            agents = tuple(map(_agent, agents))
        return Stretch(iterations, list(zip(types, agents, strict=True)), lines)

    def records(self) -> Iterator[Record]:
        """The next lines, each taken when it is asked for."""
        while True:
            while self.has_less(1):
                self.take(self.read())
            if self._next == len(self._lines):
                return
            line = self._lines[self._next]
            yield record(self._event(line), line)

    def _event(self, line: bytes) -> Event:
        """Take the next line."""
        try:
            event: Event = canonical_json.decode(line)
            is_typed = type(event["seq"]) is type(event["iteration"]) is int and type(event["event_type"]) is str
            is_next = is_typed and event["seq"] == self.seq
        except _NO_EVENT:
            is_next = False
        if not is_next:
            self._refuse()
        self.skip(1)
        return event

    def _refuse(self) -> NoReturn:
        """Raise what is wrong with the next line, in the words in which reading the log alone tells it."""
        self._prove()
        raise Damaged(self._path, "changed while it was read", self.seq + 1)

    def _prove(self) -> None:
        deque(self._reader.entries(), 0)


def record(event: Event, line: bytes) -> Record:
    """An event of a log as a record; it goes by its type and its agent."""
    key = event["event_type"], _agent(event.get("agent_id"))
    return Record(event["iteration"], key, event["seq"], event, len(line), line)


def _agent(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _fill(old: _Lines, new: _Lines, number: int) -> None:
    """Have so many lines of both at hand, as far as there are any."""
    while (needs_old := old.has_less(number)) | (needs_new := new.has_less(number)):
        if needs_old and needs_new and number == 1 and old.torn == new.torn:
            left, right = old.read(), new.read()
            old.take(left)
            if left == right:
                new.take_as(old)
            else:
                new.take(right)
        else:
            behind = old if needs_old else new
            behind.take(behind.read())


def _is_shifted(old: bytes, new: bytes, old_seq: int, new_seq: int) -> bool:
    """Whether a line that is an event at one place is the same event at another. Not all that are, are found."""
    moved = old.replace(b'"seq":%d' % old_seq, b'"seq":%d' % new_seq, 1)
    # Where nothing is escaped, a name that occurs once is that of the position and no part of a value.
    return moved == new != old and old.count(b'"seq"') == 1 and b"\\" not in old
