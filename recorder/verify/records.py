"""The lines of a log and of its exchanges: canonical, numbered, valid by their schemas, and of one another.

What the events come to is the listener's business.
"""

from __future__ import annotations

import io
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import NotEncodable, Problem
from exprec.recorder.events import Event, exchange_index
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.store import log
from exprec.recorder.verify.documents import why_not_canonical
from exprec.recorder.verify.messages import at, to_restore, unreadable
from exprec.recorder.verify.schemas import EXCHANGE, EmbeddedSchemas, Schema, explained

_PIECE_BYTES = 64 * 1024
_MOST_TOLD = 1000
"""So many problems of a file are told. With more it is the file that is lost, and telling them has no end."""

Listener = Callable[[Event, bool], Iterable[Problem]]
"""Given the events in order, up to the first line that is none; tells what is wrong with each beyond its schema.

The second argument says whether this version of exprec knows the schema, and so what the event means.
"""

Check = Callable[[log.Entry, int], list[Problem]]
"""Given the record of a line, {} when it has none, and the number of the line; tells what is wrong with it."""


def problems_in_lines(path: Path, check: Check) -> Iterator[Problem]:
    """What is wrong with every line of a file of records; a problem without a source is of this file."""
    start = number = told = 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(_lines(stream), 1):
                problem, record = read_line(line)
                found = check(log.new_entry((record, line, start)), number)
                start += len(line)
                if problem is not None:
                    found = [problem, *found]
                if found:
                    yield from (each if each.source else replace(to_restore(each), line=number) for each in found)
                    if not line.endswith(b"\n"):
                        return
                    told += len(found)
                    if told > _MOST_TOLD:
                        check(log.Entry({}, b"", start), 0)
                        message = f"more than {_MOST_TOLD} problems up to here; no line after this one was looked at"
                        yield Problem((), message, line=number)
                        return
    except _TooLong as error:
        check(log.Entry({}, b"", start), 0)
        yield replace(to_restore(Problem((), str(error))), line=number + 1)
    except OSError as error:
        # The rest is lost, as after a torn line.
        check(log.Entry({}, b"", start), 0)
        yield Problem((), unreadable(error))


class _TooLong(Exception):
    """A line is longer than any may be."""


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. Raises _TooLong, of which hardly more is held than a line may have."""
    begun: list[bytes] = []
    size = 0
    while piece := stream.read(_PIECE_BYTES):
        end = piece.rfind(b"\n") + 1
        size += piece.find(b"\n") + 1 if end else len(piece)
        if size > layout.MAX_LINE_BYTES + 1:
            raise _TooLong(f"a line of more than {layout.MAX_LINE_BYTES} bytes")
        if end:
            yield from io.BytesIO(b"".join((*begun, piece[:end]))).readlines()
            begun.clear()
            size = len(piece) - end
        begun.append(piece[end:])
    if size:
        yield b"".join(begun)


def read_line(line: bytes) -> tuple[Problem | None, dict[str, Any]]:
    """What is wrong with the bytes of a line, whatever it says, and its record; {} when it has none."""
    if not line.endswith(b"\n"):
        if len(line) > layout.MAX_LINE_BYTES:
            return Problem((), f"a line of more than {layout.MAX_LINE_BYTES} bytes"), {}
        return Problem((), f"the last line is torn: {len(line)} bytes without a newline"), {}
    try:
        value = canonical_json.decode(line)
    except ValueError as error:
        return Problem((), f"not JSON ({error})"), {}
    if type(value) is not dict or not value:
        return Problem((), "not a JSON object with fields"), {}
    if canonical_json.is_canonical(line, value):
        return None, value
    try:
        canonical_json.encode(value)
    except NotEncodable as error:
        return Problem((), f"not JSON that exprec writes ({error.reason})"), {}
    return why_not_canonical(line, value), value


@dataclass(slots=True)
class _Numbers:
    """How far the numbers of the lines have come."""

    key: str
    count: int = 0
    expected: int = 0

    def problems(self, record: Mapping[str, Any]) -> list[Problem]:
        found, expected = record.get(self.key), self.expected
        self.count += 1
        self.expected = expected + 1
        if (found == expected and type(found) is int) or not record:
            return []
        if type(found) is int:
            # Goes on from what is there: one lost line is one problem, not one for each line after it.
            self.expected = found + 1
        shown = show_value(found)
        return [at((self.key,), f"must be {expected}, not {shown}: a line was lost, added or moved")]


class Exchanges:
    """The exchanges of a run, and where each of them stands."""

    def __init__(self, path: Path, schemas: EmbeddedSchemas) -> None:
        self._path = path
        self._schemas = schemas
        self._numbers = _Numbers("index")
        self._starts = array("Q")

    @property
    def count(self) -> int:
        """The lines of the file so far."""
        return len(self._starts)

    def check(self, entry: log.Entry, number: int) -> list[Problem]:
        """See `Check`."""
        if not entry.line.endswith(b"\n"):
            return []
        self._starts.append(entry.start)
        found = self._numbers.problems(entry.event)
        if entry.event:
            schema = self._schemas.schema(EXCHANGE, is_event=False)
            if schema is None:
                found += self._schemas.problems_without(EXCHANGE, number, is_event=False)
            else:
                found += explained(schema, entry.event)
        return found

    def open(self, stack: ExitStack) -> BinaryIO | None:
        """The file, to be read with `record`; None where there is none that can be read."""
        try:
            return stack.enter_context(self._path.open("rb")) if self.count else None
        except OSError:
            # Said already of the whole file.
            return None

    def record(self, stream: BinaryIO, index: int) -> dict[str, Any]:
        """An exchange; {} where the line has none."""
        try:
            stream.seek(self._starts[index])
            return read_line(stream.readline(layout.MAX_LINE_BYTES))[1]
        except OSError:
            return {}


class Events:
    """The events of a run."""

    def __init__(
        self, schemas: EmbeddedSchemas, exchanges: Exchanges, stream: BinaryIO | None, listener: Listener | None
    ) -> None:
        """`stream` is the file of the exchanges."""
        self.counts: Counter[str] = Counter()
        """How many there are of each type."""
        self.is_whole = True
        """Whether every line so far is an event and was handed to the listener."""
        self._schemas = schemas
        self._exchanges = exchanges
        self._stream = stream
        self._listener = listener
        self._numbers = _Numbers("seq")
        self._iteration = 0

    @property
    def count(self) -> int:
        """The lines of the file so far."""
        return self._numbers.count

    def check(self, entry: log.Entry, number: int) -> list[Problem]:
        """See `Check`."""
        event = entry.event
        if not event and not entry.line.endswith(b"\n"):
            self.is_whole = False
            return []
        found = self._numbers.problems(event)
        schema = None
        if event:
            iteration, kind = event.get("iteration"), event.get("event_type")
            if iteration != self._iteration or type(iteration) is not int:
                found += self._iteration_problems(iteration)
            if isinstance(kind, str):
                self.counts[kind] += 1
                schema = self._schemas.schema(kind, is_event=True)
                if schema is None or not schema.is_valid(event) or exchange_index(event) is not None:
                    found += self._type_problems(kind, schema, event, number)
            else:
                found.append(at(("event_type",), f"must be a string, not {show_value(kind)}"))
        if found or not event:
            self.is_whole = False
        elif self.is_whole and self._listener is not None:
            found.extend(self._listener(event, schema is not None and schema.is_known))
        return found

    def _type_problems(self, kind: str, schema: Schema | None, event: Event, number: int) -> list[Problem]:
        """What is wrong with an event by its type: by its schema, and with what it refers to."""
        if schema is not None:
            found = explained(schema, event)
        else:
            found = list(self._schemas.problems_without(kind, number, is_event=True))
        if exchange_index(event) is not None:
            found += self._reference_problems(event)
        return found

    def _iteration_problems(self, iteration: Any) -> list[Problem]:
        if type(iteration) is not int or iteration < 0:
            return [at(("iteration",), f"must be an integer from 0 on, not {show_value(iteration)}")]
        if 0 < iteration < self._iteration:
            return [at(("iteration",), f"{iteration} comes after iteration {self._iteration}")]
        self._iteration = iteration or self._iteration
        return []

    def _reference_problems(self, event: Event) -> Iterator[Problem]:
        """The exchange that an event refers to: present, and of the same call."""
        index, count = exchange_index(event), self._exchanges.count
        if type(index) is not int:
            return
        if not 0 <= index < count:
            yield at(("exchange",), f"is {index}, but {layout.EXCHANGES_FILE} has {count} lines")
            return
        exchange = self._exchanges.record(self._stream, index) if self._stream is not None else {}
        shared = sorted(event.keys() & exchange.keys())
        # By their bytes, because Python holds 1, 1.0 and true for equal.
        if canonical_json.encode([event[key] for key in shared]) == canonical_json.encode(
            [exchange[key] for key in shared]
        ):
            return
        for key in shared:
            if canonical_json.encode(event[key]) != canonical_json.encode(exchange[key]):
                shown, other = show_value(event[key]), show_value(exchange[key])
                yield at((key,), f"is {shown}, but line {index + 1} of {layout.EXCHANGES_FILE} has {other}")
