"""The logs of two runs as streams of records in which equal runs are recognized by their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, count
from operator import ne
from types import NoneType

from exprec.recorder.diff.align import EqualRun, Record
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json
from exprec.recorder.store import RunDirectory

_NOT_AN_EVENT = (ValueError, TypeError, KeyError)
"""Raised where a line is read as an event and is not one."""


class LogStreams:
    """Two logs. Every line is checked to be an event, whether it is skipped or becomes a record.

    Raises Damaged, naming file and line, wherever reading the logs alone would, and StorageFailure.
    """

    def __init__(self, old: RunDirectory, new: RunDirectory) -> None:
        self.cursors = LogCursor(old), LogCursor(new)

    def equal_run(self, limit: int, minimum: int = 1) -> EqualRun | None:
        """Return the lines that come next in both logs and are equal apart from `seq`; see `align.Streams`.

        None too where one of the lines is not an event.
        """
        old, new = self.cursors
        left, right = old.next_lines(limit, minimum), new.next_lines(limit, minimum)
        if old.seq == new.seq:
            differing = next(compress(count(), map(ne, left, right)), None)
        else:
            equal = map(_differ_in_seq_only, left, right, count(old.seq), count(new.seq))
            differing = next((index for index, is_equal in enumerate(equal) if not is_equal), None)
        length = min(len(left), len(right)) if differing is None else differing
        return _equal_run(left[:length], old.seq) if length else None


class LogCursor:
    """A position in a log."""

    def __init__(self, run: RunDirectory) -> None:
        """Raises Damaged when the log of a sealed run is not of its size or ends in a torn line."""
        self._reader = run.reader()
        self._batches = self._reader.line_batches()
        self._lines: list[bytes] = []
        """What was read; the next line is at `_index`."""
        self._index = 0
        self._head: Record | None = None
        self.seq = 0
        """The number of the next event."""

    def peek(self) -> Record | None:
        """Return the next record without consuming it; None at the end."""
        if self._head is None and (lines := self.next_lines(1)):
            self._head = self._record(lines[0])
        return self._head

    def advance(self, length: int = 1) -> None:
        """Consume `length` records."""
        self._index += length
        self.seq += length
        self._head = None

    def rewind(self, records: Sequence[Record]) -> None:
        """Put records back in front of the next one."""
        self._lines = [*(record.line for record in records), *self._lines[self._index :]]
        self._index = 0
        self.seq -= len(records)
        self._head = None

    def next_lines(self, limit: int, minimum: int = 1) -> list[bytes]:
        """Return the next lines: at most `limit`, and at least `minimum` if the log has as many."""
        while len(self._lines) - self._index < minimum and (batch := next(self._batches, None)) is not None:
            self._lines = self._lines[self._index :] + batch
            self._index = 0
        return self._lines[self._index : self._index + limit]

    def _record(self, line: bytes) -> Record:
        try:
            event: Event = canonical_json.decode(line)
            is_typed = type(event["seq"]) is type(event["iteration"]) is int and type(event["event_type"]) is str
            is_event = is_typed and event["seq"] == self.seq
        except _NOT_AN_EVENT:
            is_event = False
        if not is_event:
            raise self._reader.damage(line, self.seq)
        return event_record(self._reader.restored(event, line), line)


def event_record(event: Event, line: bytes) -> Record:
    """Return an event of a log as a record, whose key is the type and the agent."""
    key = event["event_type"], _agent(event.get("agent_id"))
    return Record(event["iteration"], key, event["seq"], event, len(line), line)


def _agent(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _equal_run(lines: list[bytes], seq: int) -> EqualRun | None:
    """Decode lines that both logs have, the first with this number; None where one of them is not an event."""
    try:
        rows = [
            (event["seq"], event["iteration"], event["event_type"], event.get("agent_id"))
            for event in map(canonical_json.decode, lines)
        ]
    except _NOT_AN_EVENT:
        return None
    seqs, iterations, types, agents = zip(*rows, strict=True)
    are_typed = set(map(type, seqs)) == set(map(type, iterations)) == {int} and set(map(type, types)) == {str}
    if not are_typed or seqs != tuple(range(seq, seq + len(lines))):
        return None
    if not set(map(type, agents)) <= {str, NoneType}:
        agents = tuple(map(_agent, agents))
    return EqualRun(iterations, list(zip(types, agents, strict=True)), lines)


def _differ_in_seq_only(old: bytes, new: bytes, old_seq: int, new_seq: int) -> bool:
    """Tell whether two lines with different numbers are the same event. It may say no although they are."""
    moved = old.replace(b'"seq":%d' % old_seq, b'"seq":%d' % new_seq, 1)
    # In a line without escapes, a name that occurs once is that of the field and not a part of a value.
    return moved == new != old and old.count(b'"seq"') == 1 and b"\\" not in old
