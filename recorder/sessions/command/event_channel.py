"""The events that a command sends: JSON lines that it appends to a regular file, read as the file grows.

What becomes of the events is not told here; what they may be is told by their schemas.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.diagnostics import SecretGuard, show_value
from exprec.recorder.errors import ExprecError, SecretFound, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.fs import durable
from exprec.recorder.schema.event_types import problems_of_sent

VARIABLE = "EXPREC_EVENTS"
"""The variable of a command's environment with the path of the file."""

_CHUNK_BYTES = 1024 * 1024
_KEPT_BYTES = 256
_EXPECTED = 'a line must be a JSON object such as {"event_type": "epoch", "iteration": 1, "loss": 0.3}'


class SentEvent(NamedTuple):
    """An event that the command sent, and the number of its line (from 1)."""

    line: int
    event_type: str
    iteration: int
    fields: dict[str, Any]


class InvalidLine(ExprecError):
    """A line that is no event that a command can send, or a file in which lines were lost."""

    exit_code = 3

    def __init__(self, line: int, key: str, message: str) -> None:
        self.line, self.key = line, key
        super().__init__(": ".join(part for part in (f"line {line} of {VARIABLE}", key, message) if part))


class EventChannel:
    """The file that a command appends its events to."""

    def __init__(self, path: Path, secrets: SecretGuard) -> None:
        """Make the file, empty; what comes has none of the `secrets` in it. Raises StorageFailure."""
        self.path = path
        self._secrets = secrets
        durable.write_new(path, b"")
        self._handle = _opened(path)
        self._offset = 0
        self._line = 0
        self._rest = b""
        """What came of a line that is not whole yet."""
        self._last = b""
        """The last bytes that were read, which must stay where they are."""
        self._stamp: tuple[int, int] | None = None
        """The size and the time of the file when it was last read."""

    def close(self) -> None:
        os.close(self._handle)

    def received(self) -> Iterator[SentEvent]:
        """The events whose lines are whole by now and were not given yet.

        Raises InvalidLine for a line that is no event, and when the file was not only appended to; SecretFound.
        """
        while data := self._grown():
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                yield from self._event(line)
            if len(self._rest) > layout.MAX_LINE_BYTES:
                raise InvalidLine(self._line + 1, "", f"has more than {layout.MAX_LINE_BYTES} bytes")

    def rest(self) -> Iterator[SentEvent]:
        """The same once nothing is sent any more: the last line may lack its newline."""
        self._stamp = None
        yield from self.received()
        line, self._rest = self._rest, b""
        if line:
            yield from self._event(line)
        self._check_name()

    def _grown(self) -> bytes:
        """The next bytes of the file, none when there are no more now. Raises InvalidLine when it was overwritten."""
        try:
            found = os.fstat(self._handle)
            # The time too: another line of the same length may have taken the place of the last one.
            size, stamp = found.st_size, (found.st_size, found.st_mtime_ns)
            if size == self._offset and stamp == self._stamp:
                return b""
            self._stamp = stamp
            start = self._offset - len(self._last)
            data = os.pread(self._handle, len(self._last) + _CHUNK_BYTES, start)
        except OSError as error:
            raise StorageFailure(self.path, error) from error
        if size < self._offset or not data.startswith(self._last):
            message = "what was read already was overwritten; open the file for appending"
            raise InvalidLine(self._line, "", message)
        data = data[len(self._last) :]
        self._offset += len(data)
        self._last = (self._last + data)[-_KEPT_BYTES:]
        return data

    def _check_name(self) -> None:
        """Raises InvalidLine when another file has taken the place of ours: what is in it was never read."""
        try:
            here, there = os.fstat(self._handle), self.path.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageFailure(self.path, error) from error
        if not os.path.samestat(here, there):
            raise InvalidLine(self._line + 1, "", "another file has taken its place; append to the one that was there")

    def _event(self, line: bytes) -> Iterator[SentEvent]:
        self._line += 1
        if not line.strip():
            return
        # Before anything can quote the line.
        scan = self._secrets.scan()
        scan.passed(line)
        if scan.found is not None:
            raise SecretFound(f"line {self._line} of {VARIABLE}", scan.found)
        yield _sent(self._line, _value(self._line, line))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageFailure(path, error) from error


def _value(number: int, line: bytes) -> Any:
    """The value of a line. Python's own reader, because it keeps the digits of any integer, and tells of keys that
    stand twice; what JSON has not, such as NaN, is refused when the event is recorded."""
    repeated: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(found)
        if len(value) < len(found):
            names = [name for name, _ in found]
            repeated.append(next(name for position, name in enumerate(names) if name in names[:position]))
        return value

    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=pairs)
    except UnicodeDecodeError:
        raise InvalidLine(number, "", f"is not UTF-8; {_EXPECTED}") from None
    except RecursionError:
        raise InvalidLine(number, "", "is nested too deeply") from None
    except ValueError as error:
        raise InvalidLine(number, "", f"is not JSON ({error}); {_EXPECTED}") from None
    if repeated:
        raise InvalidLine(number, repeated[0], "this key stands twice in one object")
    return value


def _sent(number: int, value: Any) -> SentEvent:
    if not isinstance(value, dict):
        raise InvalidLine(number, "", f"is {show_value(value)}; {_EXPECTED}")
    if "event_type" not in value:
        raise InvalidLine(number, "event_type", f"is missing; {_EXPECTED}")
    kind, iteration = value.pop("event_type"), value.pop("iteration", 0)
    for problem in problems_of_sent(kind, value):
        raise InvalidLine(number, problem.key, problem.message)
    if type(iteration) is not int or iteration < 0:
        message = f"must be an integer from 1, or 0 for none, not {show_value(iteration)}"
        raise InvalidLine(number, "iteration", message)
    return SentEvent(number, kind, iteration, value)
