"""The append-only log: records to lines and back, one canonical JSON object a line.

It knows order and schemas, not meaning: what events add up to is the business of `state`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from exprec.recorder.diagnostics import SecretGuard, show_value
from exprec.recorder.errors import Damaged, InvalidEvent, NotAsRecorded, Problem
from exprec.recorder.events import Event
from exprec.recorder.exchanges import EXCHANGE_SCHEMA
from exprec.recorder.format import ByteSource, LineBatch, LineTooLong, canonical_json, layout, read_lines
from exprec.recorder.fs.durable import AppendOnlyFile
from exprec.recorder.schema import engine
from exprec.recorder.schema.engine import Validator
from exprec.recorder.schema.event_types import EventTypes


class Sink(ByteSource, Protocol):
    """Bytes that can grow at the end and be read."""

    def append(self, data: bytes) -> int: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


class MemorySink:
    """A sink without a file, for experiments that are run without a store."""

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, data: bytes) -> int:
        offset = len(self._data)
        self._data += data
        return offset

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._data[offset : offset + size])

    def sync(self) -> None:
        """Nothing to do: memory is lost with the process anyway."""

    def close(self) -> None:
        """Nothing to do."""


class ContinuedSink:
    """A file of records that is written once more: what stands there must come again, and then it grows."""

    def __init__(self, file: AppendOnlyFile) -> None:
        """Begin at the first byte of the file; its `size` is what was recorded, in whole lines."""
        self._file = file
        self._recorded = file.size
        self._position = 0
        self._lines = 0

    def append(self, data: bytes) -> int:
        """Append the next record, or find it there. Raises NotAsRecorded, and then again; StorageFailure."""
        if self._position >= self._recorded:
            return self._file.append(data)
        if self._file.read(self._position, len(data)) != data:
            raise NotAsRecorded(self._file.path, self._lines + 1, self.next_recorded() or b"", data)
        offset = self._position
        self._position += len(data)
        self._lines += 1
        return offset

    def next_recorded(self) -> bytes | None:
        """The recorded line that must come next; None once there is no more."""
        batch = next(read_lines(self._file, self._position, self._recorded))
        return batch.lines[0] if batch.lines else None

    def read(self, offset: int, size: int) -> bytes:
        """What has come so far; a recorded line that has not come again is not there yet."""
        end = self._position if self._position < self._recorded else self._file.size
        return self._file.read(offset, max(0, min(size, end - offset)))

    def sync(self) -> None:
        """Return once everything is on the disk."""
        self._file.sync()

    def close(self) -> None:
        self._file.close()


class Entry(NamedTuple):
    """An event, the line it stands in (newline included) and the offset of that line in the log."""

    event: Event
    line: bytes
    start: int

    @property
    def end(self) -> int:
        """The offset after the line."""
        return self.start + len(self.line)


new_entry = cast(Callable[[tuple[Event, bytes, int]], Entry], partial(tuple.__new__, Entry))
"""An entry of its parts, in half the time that `Entry` takes, because that is a function in Python."""


class EventLog:
    """The log of a run in progress."""

    def __init__(
        self, sink: Sink | None = None, secrets: SecretGuard | None = None, types: EventTypes | None = None
    ) -> None:
        """Append to `sink`, or to memory without one, what has none of the `secrets` in it and is of the `types`.

        Without `types` these are exprec's own.
        """
        self._sink = sink if sink is not None else MemorySink()
        self._secrets = secrets if secrets is not None and secrets.has_any else None
        self.types = types or EventTypes()
        self._seq = 0
        self._iteration = 0
        self.schema_names: set[str] = set()
        """The schemas that events were checked against so far."""
        self._checks: dict[str, tuple[str, Validator]] = {}
        """What `types` says of each type that came so far."""

    def append(self, event_type: str, iteration: int, fields: Mapping[str, Any]) -> Entry:
        """Check, encode and append one event; what is returned was decoded from the bytes appended.

        Raises InvalidEvent (schema, order), NotEncodable (a value that JSON cannot keep), SecretFound,
        StorageFailure.
        Whatever is raised, the log is as it was.
        """
        seq = self._seq
        event = {**fields, "seq": seq, "event_type": event_type, "iteration": iteration}
        line, decoded = canonical_json.encode_checked(event)
        schema_name, validator = self._checks.get(event_type) or self._check_of(event_type)
        if not validator.is_valid(decoded):
            raise InvalidEvent(event_type, validator.problems(decoded))
        if 0 < iteration < self._iteration:
            message = f"iteration {iteration} comes after iteration {self._iteration}"
            raise InvalidEvent(event_type, [Problem(("iteration",), message, "iteration")])
        if self._secrets is not None:
            self._secrets.check(f"event {event_type}", line, decoded)
        start = self._sink.append(line)
        self._seq = seq + 1
        if iteration:
            self._iteration = iteration
        self.schema_names.add(schema_name)
        return new_entry((decoded, line, start))

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """The events between two offsets, read back from the log."""
        return LogReader(self._sink).entries(start, stop)

    def sync(self) -> None:
        """Return once everything appended is on the disk."""
        self._sink.sync()

    def close(self) -> None:
        self._sink.close()

    def _check_of(self, event_type: str) -> tuple[str, Validator]:
        """The schema that events of a type have to be valid by. Raises InvalidEvent for a type that may not come."""
        found = self.types.check(event_type)
        if found is None:
            problem = Problem(("event_type",), self.types.why_refused(event_type), "event_type")
            raise InvalidEvent(event_type, [problem])
        self._checks[event_type] = found
        return found


class ExchangeLog:
    """The requests to models and their answers, of a run in progress."""

    def __init__(self, sink: Sink | None = None, secrets: SecretGuard | None = None) -> None:
        """Append to `sink`, or to memory without one, whatever has none of the `secrets` in it."""
        self._sink = sink if sink is not None else MemorySink()
        self._secrets = secrets or SecretGuard()
        self.count = 0

    def append(self, exchange: Mapping[str, Any]) -> int:
        """Check, encode and append one exchange; returns its index. Raises as EventLog.append does."""
        line, decoded = canonical_json.encode_checked({**exchange, "index": self.count})
        validator = engine.validator(EXCHANGE_SCHEMA)
        if not validator.is_valid(decoded):
            raise InvalidEvent("exchange", validator.problems(decoded))
        self._secrets.check("exchange", line, decoded)
        self._sink.append(line)
        self.count += 1
        return self.count - 1

    def sync(self) -> None:
        """Return once everything appended is on the disk."""
        self._sink.sync()

    def close(self) -> None:
        self._sink.close()


class _LineReader:
    """The lines of a file of records; what follows the last newline is a torn line, not a record."""

    def __init__(self, source: ByteSource, path: Path, *, may_have_zeros: bool = False) -> None:
        """With `may_have_zeros`, of a run that is not sealed, the records end before a line with a zero byte too."""
        self.source = source
        """What is read, for those who read it in another way too."""
        self._path = path
        self._may_have_zeros = may_have_zeros
        self.torn_bytes: int | None = None
        """The bytes after the last record; None until the records were read to their end."""

    def _batches(self, start: int, stop: int | None) -> Iterator[LineBatch]:
        """The whole lines between two offsets. Raises Damaged for a line that is too long."""
        try:
            for batch in read_lines(self.source, start, stop, ends_at_zero=self._may_have_zeros):
                yield batch
                if stop is None:
                    self.torn_bytes = batch.torn_bytes
        except LineTooLong as error:
            raise Damaged(self._path, str(error)) from None


class ExchangeReader(_LineReader):
    """The exchanges with a model as they stand in some bytes."""

    def exchanges(self) -> Iterator[dict[str, Any]]:
        """Every exchange, in order. Raises Damaged, naming the line, for anything that is none."""
        for index, line in enumerate(line for batch in self._batches(0, None) for line in batch.lines):
            try:
                exchange = canonical_json.decode(line)
            except ValueError as error:
                raise Damaged(self._path, f"not JSON ({error})", index + 1) from None
            problems = engine.problems(exchange, EXCHANGE_SCHEMA)
            if problems:
                raise Damaged(self._path, str(problems[0]), index + 1)
            if exchange["index"] != index:
                raise Damaged(self._path, f"index must be {index}, not {exchange['index']}", index + 1)
            yield exchange


class LogReader(_LineReader):
    """A log as it stands in some bytes; what follows the last newline is a torn line, not an event."""

    def __init__(
        self, source: ByteSource, path: Path = Path(layout.EVENTS_FILE), *, may_have_zeros: bool = False
    ) -> None:
        super().__init__(source, path, may_have_zeros=may_have_zeros)

    def line_batches(self) -> Iterator[list[bytes]]:
        """Yield the whole lines of the log, those of a chunk at a time, without decoding them."""
        return (batch.lines for batch in self._batches(0, None))

    def damage(self, line: bytes, seq: int) -> Damaged:
        """Return the error that `entries` raises for a line that is not the event with this number."""
        return Damaged(self._path, _why_no_event(line, seq), seq + 1)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """The events between two offsets. Raises Damaged, naming the line, for anything that is none."""
        seq: int | None = 0 if start == 0 else None
        for offset, lines, _ in self._batches(start, stop):
            for line in lines:
                try:
                    event = canonical_json.decode(line)
                    found = event["seq"]
                    is_other = found != seq and seq is not None
                    if is_other or not (
                        type(found) is type(event["iteration"]) is int and type(event["event_type"]) is str
                    ):
                        raise ValueError
                except (ValueError, TypeError, KeyError):
                    number = None if seq is None else seq + 1
                    raise Damaged(self._path, _why_no_event(line, seq), number) from None
                yield new_entry((event, line, offset))
                offset += len(line)
                seq = found + 1


def _why_no_event(line: bytes, seq: int | None) -> str:
    """What is wrong with a line that is no event, or not the one with this number."""
    try:
        event = canonical_json.decode(line)
    except ValueError as error:
        return f"not JSON ({error})"
    if not isinstance(event, dict):
        return "an event must be a JSON object"
    found = event.get("seq")
    if type(found) is not int or (seq is not None and found != seq):
        return f"seq must be {seq if seq is not None else 'an integer'}, not {show_value(found)}"
    return "an event needs event_type and iteration"
