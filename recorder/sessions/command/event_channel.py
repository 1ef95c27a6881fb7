"""The events that a command sends: JSON lines that it appends to a regular file, which is read as it grows.

The messages of `InvalidLine` are recorded: changing one changes the run id of runs that fail with it.
"""

from __future__ import annotations

import math
import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.diagnostics import SecretGuard, show_value
from exprec.recorder.documents import InvalidJson, parse_json
from exprec.recorder.errors import InvalidLine, StorageFailure
from exprec.recorder.events import EventTypes
from exprec.recorder.format import LineSplitter, LineTooLong, layout
from exprec.recorder.fs import durable

VARIABLE = "EXPREC_EVENTS"
"""The environment variable of the command that contains the path of the file."""

_CHUNK_BYTES = 1024 * 1024
_KEPT_BYTES = 256
_EXPECTED = 'a line must be a JSON object such as {"event_type": "epoch", "iteration": 1, "loss": 0.3}'

_MAY_OVERFLOW = re.compile(r"[eE]\+?[0-9]{3}|[0-9]{200}")
"""What a line with a number beyond the largest float contains."""


class SentEvent(NamedTuple):
    """An event that the command sent, and its line number (from 1)."""

    line: int
    event_type: str
    iteration: int
    fields: dict[str, Any]


class EventChannel:
    """The file that a command appends its events to."""

    def __init__(self, path: Path, secrets: SecretGuard) -> None:
        """Create the file, empty; a line that contains one of `secrets` is withheld, unless these are redacted.

        Raises StorageFailure.
        """
        self.path = path
        self.withheld: list[tuple[str, str]] = []
        """The lines that contain a secret, with the name of the secret."""
        self._secrets = secrets
        durable.write_new(path, b"")
        self._handle = _open_file(path)
        self._offset = 0
        self._line = 0
        self._line_start = 0
        """The offset of the next line."""
        self._splitter = LineSplitter()
        self._pending: deque[bytes] = deque()
        """The lines that were read and not yet parsed."""
        self._is_lost = False
        """Whether nothing more can be read: lines were overwritten, or one has no end."""
        self._last_bytes = b""
        """The last bytes that were read; if they change, the file was overwritten."""
        self._stamp: tuple[int, int] | None = None
        """The size of the file and its modification time (in nanoseconds) when it was last read."""

    def close(self) -> None:
        """Close the file of the channel, which is of no use any more: an error loses nothing."""
        with suppress(OSError):
            os.close(self._handle)

    def received(self) -> Iterator[SentEvent]:
        """The events of the lines that have been completed since the last call.

        Raises InvalidLine for a line that is not a valid event, and when the file was overwritten; the next call
        continues after that line. Raises StorageFailure. A line with a secret is left out and erased from the file;
        see `withheld`.
        """
        while True:
            while self._pending:
                yield from self._parse_line(self._pending.popleft()[:-1])
            if self._is_lost or not (data := self._read_more()):
                return
            try:
                self._pending.extend(self._splitter.feed(data))
            except LineTooLong:
                self._is_lost = True
                raise InvalidLine(self._line + 1, "", f"has more than {layout.MAX_LINE_BYTES} bytes") from None

    def rest(self) -> Iterator[SentEvent]:
        """The remaining events once the command has ended: the last line may lack its newline. Raises as `received`."""
        self._stamp = None
        yield from self.received()
        last, self._splitter = self._splitter.rest, LineSplitter()
        if last and not self._is_lost:
            yield from self._parse_line(last)
        if not self._is_lost:
            self._check_not_replaced()

    def _read_more(self) -> bytes:
        """The next bytes of the file; empty when there are none now. Raises InvalidLine when it was overwritten."""
        try:
            status = os.fstat(self._handle)
            # The time too: the last line may have been replaced by another of the same length.
            size, stamp = status.st_size, (status.st_size, status.st_mtime_ns)
            if size == self._offset and stamp == self._stamp:
                return b""
            self._stamp = stamp
            start = self._offset - len(self._last_bytes)
            data = os.pread(self._handle, len(self._last_bytes) + _CHUNK_BYTES, start)
        except OSError as error:
            raise StorageFailure(self.path, error) from error
        if size < self._offset or not data.startswith(self._last_bytes):
            self._is_lost = True
            message = "what was read already was overwritten; open the file for appending"
            raise InvalidLine(self._line, "", message)
        data = data[len(self._last_bytes) :]
        self._offset += len(data)
        self._last_bytes = (self._last_bytes + data)[-_KEPT_BYTES:]
        return data

    def _check_not_replaced(self) -> None:
        """Raise InvalidLine when the file was replaced by another: the lines of that one were never read."""
        try:
            opened, current = os.fstat(self._handle), self.path.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageFailure(self.path, error) from error
        if not os.path.samestat(opened, current):
            self._is_lost = True
            raise InvalidLine(self._line + 1, "", "another file has taken its place; append to the one that was there")

    def _erase(self, start: int, size: int) -> None:
        """Write spaces over bytes that were read; the command may append in the meantime."""
        durable.overwrite(self._handle, self.path, start, b" " * size)
        kept = len(self._last_bytes)
        try:
            self._last_bytes = os.pread(self._handle, kept, self._offset - kept)
        except OSError as error:
            raise StorageFailure(self.path, error) from error

    def _parse_line(self, line: bytes) -> Iterator[SentEvent]:
        self._line += 1
        start, self._line_start = self._line_start, self._line_start + len(line) + 1
        if not line.strip():
            return
        # First, so that no error message quotes a secret.
        scan = self._secrets.scan()
        scan.passed(line)
        if scan.found is not None:
            self._erase(start, len(line))
            if not self._secrets.redacts:
                self.withheld.append((f"line {self._line} of {VARIABLE}", scan.found))
                return
        yield _check_event(self._line, _decode_line(self._line, line))


def remove_channel(folder: Path) -> None:
    """Remove the event file of a work folder: it may contain what was not searched yet. Raises StorageFailure."""
    durable.remove(layout.work_events_path(folder), folder.parent.parent)


def _open_file(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise StorageFailure(path, error) from error


def _decode_line(number: int, line: bytes) -> Any:
    """Decode the JSON value of a line, with duplicate keys refused. Raises InvalidLine.

    NaN, Infinity and -Infinity are read as these floats.
    """
    try:
        text = line.decode("utf-8")
        value = parse_json(text, layout.MAX_DEPTH, read_constant=float)
        if _MAY_OVERFLOW.search(text) and _is_infinite(parse_json(text, layout.MAX_DEPTH, read_constant=lambda _: 0.0)):
            raise InvalidLine(number, "", "has a number beyond the largest float, 1.8e308; send it as a text")
        return value
    except UnicodeDecodeError:
        raise InvalidLine(number, "", f"is not UTF-8; {_EXPECTED}") from None
    except InvalidJson as error:
        if error.key:
            raise InvalidLine(number, error.key, "this key stands twice in one object") from None
        problem = str(error).replace("line 1, ", "", 1)
        raise InvalidLine(number, "", f"is {problem}; {_EXPECTED}") from None


def _is_infinite(value: Any) -> bool:
    """Return whether a part of a value is an infinity."""
    if isinstance(value, dict | list):
        return any(map(_is_infinite, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and math.isinf(value)


def _check_event(number: int, value: Any) -> SentEvent:
    """Check that a value has the form of an event. Raises InvalidLine."""
    if not isinstance(value, dict):
        raise InvalidLine(number, "", f"is {show_value(value)}; {_EXPECTED}")
    if "event_type" not in value:
        raise InvalidLine(number, "event_type", f"is missing; {_EXPECTED}")
    event_type, iteration = value.pop("event_type"), value.pop("iteration", 0)
    for problem in EventTypes.find_sent_problems(event_type, value):
        raise InvalidLine(number, problem.key, problem.message)
    if type(iteration) is not int or iteration < 0:
        message = f"must be an integer from 1, or 0 for none, not {show_value(iteration)}"
        raise InvalidLine(number, "iteration", message)
    return SentEvent(number, event_type, iteration, value)
