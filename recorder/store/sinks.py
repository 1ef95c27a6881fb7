"""Where records are appended: a file, memory, or a file whose recorded lines must come again first."""

from __future__ import annotations

from typing import Protocol

from exprec.recorder.errors import NotAsRecorded
from exprec.recorder.format import ByteSource, read_lines
from exprec.recorder.fs import durable


class Sink(ByteSource, Protocol):
    """Bytes that can be appended to and read at any offset."""

    def append(self, data: bytes) -> int:
        """Append the bytes; returns their offset."""
        ...

    def sync(self) -> None:
        """Return once everything appended is on the disk."""
        ...

    def close(self) -> None:
        """Close it; everything appended stays readable for other processes."""
        ...


class MemorySink:
    """A sink in memory, for runs without a store."""

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, data: bytes) -> int:
        """Append bytes and return their offset."""
        offset = len(self._data)
        self._data += data
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from `offset` on."""
        return bytes(self._data[offset : offset + size])

    def sync(self) -> None:
        """Do nothing: memory is lost with the process."""

    def close(self) -> None:
        """Do nothing."""


class ContinuedSink:
    """A file of records that is recorded again: its lines must come again, then it grows."""

    def __init__(self, file: durable.AppendOnlyFile) -> None:
        """Begin at the first byte of the file, the `size` of which is that of the recorded lines."""
        self._file = file
        self._recorded = file.size
        self._position = 0
        self._lines = 0

    def append(self, data: bytes) -> int:
        """Append a line, or compare it with the recorded one; returns its offset.

        Raises NotAsRecorded where they differ, and at each later call; StorageFailure.
        """
        if self._position >= self._recorded:
            return self._file.append(data)
        if self._file.read(self._position, len(data)) != data:
            raise NotAsRecorded(self._file.path, self._lines + 1, self.next_recorded() or b"", data)
        offset = self._position
        self._position += len(data)
        self._lines += 1
        return offset

    def next_recorded(self) -> bytes | None:
        """Return the recorded line that must come next; None once all have come."""
        batch = next(read_lines(self._file, self._position, self._recorded))
        return batch.lines[0] if batch.lines else None

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the lines that have come; a recorded line is not readable before it comes again."""
        end = self._position if self._position < self._recorded else self._file.size
        return self._file.read(offset, max(0, min(size, end - offset)))

    def sync(self) -> None:
        """Return once everything is on the disk."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
