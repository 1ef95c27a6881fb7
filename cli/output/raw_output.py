"""What a recorded command wrote, byte by byte onto a stream, and the line that tells the address of the run.

The bytes are those of another program: nothing is added to them, left out of them or made visible.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import StorageFailure

_CHUNK_BYTES = 1024 * 1024
_NEWLINE = b"\n"
_KNOWN_TO_THE_COMMAND = ("ExitStatus", "Signal")
"""The failures that are how the command itself ended."""


def copy_output(path: Path | None, stream: TextIO) -> bytes:
    """Write the content of a file to a stream; returns its last byte, b"" where there is none.

    Raises StorageFailure when the file cannot be read, OSError when the stream cannot be written.
    """
    stream.flush()
    last = b""
    if path is not None:
        try:
            file = path.open("rb")
        except OSError as error:
            raise StorageFailure(path, error) from error
        with file:
            while chunk := _read(file, path):
                stream.buffer.write(chunk)
                last = chunk[-1:]
    stream.buffer.flush()
    return last


def _read(file: BinaryIO, path: Path) -> bytes:
    try:
        return file.read(_CHUNK_BYTES)
    except OSError as error:
        raise StorageFailure(path, error) from error


def begin_line(stream: TextIO, last: bytes) -> None:
    """Let what comes next stand in a line of its own, after output that ended in this byte."""
    if last not in (b"", _NEWLINE):
        stream.write("\n")


def failure_comment(failure: Mapping[str, Any] | None) -> str:
    """The lines on stderr that say why a command failed that may know nothing of it itself; "" for any other."""
    if failure is None or failure["error_type"] in _KNOWN_TO_THE_COMMAND:
        return ""
    return visible(f"exprec: the run failed: {failure['message']}\n", keep="\n")


def address_line(run_id: str) -> str:
    """The line on stderr behind what a command wrote there."""
    return f"Run {run_id}\n"
