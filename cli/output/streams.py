"""What is written to the streams of a terminal beside results: the raw output of commands, run ids, and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from exprec.cli.screen import ScreenOutput
from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import StorageFailure
from exprec.recorder.events import Event

_CHUNK_BYTES = 1024 * 1024
_NEWLINE = b"\n"
_KNOWN_TO_THE_COMMAND = ("ExitStatus", "Signal")
"""The failures by which the command itself ended."""


def copy_output(path: Path | None, stream: TextIO, screen: ScreenOutput | None = None) -> bytes:
    """Write the content of a file to a stream, as `screen` shows it, else unchanged.

    Returns the last byte that was written, b"" for an empty file.

    Raises StorageFailure if the file cannot be read, OSError if the stream cannot be written.
    """
    stream.flush()
    last = b""
    if path is not None:
        try:
            file = path.open("rb")
        except OSError as error:
            raise StorageFailure(path, error) from error
        with file:
            while chunk := _read_chunk(file, path):
                shown = chunk if screen is None else screen.feed(chunk)
                stream.buffer.write(shown)
                last = shown[-1:] or last
    if screen is not None:
        end = screen.close()
        stream.buffer.write(end)
        last = end[-1:] or last
    stream.buffer.flush()
    return last


def _read_chunk(file: BinaryIO, path: Path) -> bytes:
    try:
        return file.read(_CHUNK_BYTES)
    except OSError as error:
        raise StorageFailure(path, error) from error


def begin_line(stream: TextIO, last: bytes) -> None:
    """Begin a new line after output whose last byte was `last`."""
    if last not in (b"", _NEWLINE):
        stream.write("\n")


def failure_comment(failure: Mapping[str, Any] | None) -> str:
    """Return the message about a failure that the command itself does not show; else an empty text."""
    if failure is None or failure["error_type"] in _KNOWN_TO_THE_COMMAND:
        return ""
    return visible(f"exprec: the run failed: {failure['message']}\n", keep="\n", quoted=True)


def run_id_line(run_id: str) -> str:
    """Return the line that follows the stderr of a command."""
    return f"Run {run_id}\n"


@contextmanager
def iteration_progress(name: str, max_iterations: int | None) -> Iterator[Callable[[Event], None]]:
    """Show the current iteration on stderr until the block ends; call the yielded function with each event."""
    # Imported here because progress is shown on terminals only.
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(visible(name))) as status:

        def update(event: Event) -> None:
            if event["iteration"]:
                status.update(Text(visible(f"{name}: iteration {event['iteration']} of at most {max_iterations}")))

        yield update
