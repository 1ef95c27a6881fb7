"""Record a command for `exprec run`: pass its output through while it runs, and attest it when it is sealed."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import click

from exprec.cli.commands.execution import say_what_is_left
from exprec.cli.output.streams import run_id_line
from exprec.cli.terminal import child_environment, known_secrets, make_console, start_observing, store_path, wants_color
from exprec.recorder.diagnostics import SecretGuard, visible
from exprec.recorder.display import VerboseConfig
from exprec.recorder.errors import StorageFailure
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.schema.event_types import EventTypes
from exprec.recorder.sessions import Command, CommandOutcome, CommandRunner
from exprec.recorder.store import Store

_STDOUT, _STDERR = layout.STREAMS


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a recorded command."""

    store: Path | None = None
    name: str | None = None
    inputs: Sequence[str] = ()
    artifacts: Sequence[str] = ()
    artifact_limit: int | None = None
    schemas: Path | None = None
    strict: bool | None = None


def record_command(argv: Sequence[str], asked: Asked, output: CommandOutput) -> int:
    """Run and record a command in the current directory; returns the exit code.

    Raises InvalidInput, SecretFound, StorageFailure.
    """
    folder = Path.cwd()
    command = Command.described(
        argv,
        folder,
        inputs=asked.inputs,
        artifacts=asked.artifacts,
        artifact_limit=asked.artifact_limit,
        name=asked.name,
    )
    types = _types(asked)
    secrets = SecretGuard(known_secrets())
    config = command.as_config(strict=types.is_strict)
    # Refuse a command with a secret before the store is created.
    secrets.check("the command", canonical_json.encode(config), config)
    store = Store.open_or_create(store_path(asked.store))
    observation = start_observing(folder)
    runner = CommandRunner(
        command,
        folder,
        child_environment(),
        store=store,
        secrets=secrets,
        types=types,
        on_event=output.hear,
        on_output=output.read,
    )
    try:
        outcome = runner.run()
    except StorageFailure:
        why = "the command was stopped; the run is not sealed"
        say_what_is_left(runner.outcome, store, why, can_resume=False)
        raise
    output.close(runner, outcome)
    # After the run id is printed, because a full disk must not suppress it.
    executions = runner.attest(observation())
    if not outcome.sealed.is_new:
        output.say_reproduced(executions)
    if output.unwritable is not None and outcome.failure is None:
        raise output.unwritable
    return 0 if outcome.failure is None else outcome.failure.code


def _types(asked: Asked) -> EventTypes:
    if asked.schemas is None:
        return EventTypes(strict=asked.strict)
    return EventTypes.in_folder(asked.schemas, strict=asked.strict)


class CommandOutput:
    """Print the output of a command: its bytes, each to its stream, then the run id to stderr."""

    def __init__(self, selection: VerboseConfig | None = None, color: str = "auto") -> None:
        """With a `selection`, display the selected events after the stdout of the command."""
        self._selection = selection
        self._color = color
        self._is_screen = sys.stdout.isatty() and sys.stderr.isatty()
        """Whether both streams go to the terminal, so that a newline ends the line of both."""
        self._last = dict.fromkeys(layout.STREAMS, b"")
        """The last byte written to each stream, or to both on a terminal."""
        self._broken: set[str] = set()
        self.unwritable: OSError | None = None
        """Why stdout could not be written, except that its reader closed it."""

    def hear(self, event: Event) -> None:
        """Print a recorded event, where events are printed live."""

    def read(self, stream: str, data: bytes) -> None:
        """Pass output of the command through at once, while the stream is open."""
        self._write(stream, data)

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print what follows the output of a command that has ended."""
        if self._is_screen and outcome.was_interrupted:
            # The terminal has echoed a ^C.
            self._set_last(_STDERR, b"C")
        if self._selection is not None and _STDOUT not in self._broken:
            self._begin_line(_STDOUT)
            self._attempt(_STDOUT, partial(self._display, runner, self._selection))
        self._comment(outcome)
        self._begin_line(_STDERR)
        self._write(_STDERR, run_id_line(outcome.sealed.run_id).encode())

    def say_reproduced(self, executions: int) -> None:
        """Report that the run already existed; only on a terminal, else stderr has only the bytes of the command."""
        if sys.stderr.isatty():
            self._say(f"reproduced: execution {executions} with the same run id")

    def _comment(self, outcome: CommandOutcome) -> None:
        for stream in outcome.left_open:
            self._say(f"a process started by the command still has its {stream} open; further output is not recorded")
        if outcome.failure is not None and outcome.failure.is_news:
            self._say(f"the run failed: {outcome.failure.message}")

    def _display(self, runner: CommandRunner, selection: VerboseConfig) -> None:
        # Imported here because it is needed for --verbose only.
        from exprec.recorder.display import EventDisplay

        assert runner.state_provider is not None
        console = make_console(sys.stdout, color=wants_color(self._color))
        EventDisplay(console, selection).show_run(runner.state_provider)
        sys.stdout.flush()
        self._set_last(_STDOUT, b"\n")

    def _say(self, text: str) -> None:
        """Print a message to stderr, starting a new line."""
        self._begin_line(_STDERR)
        self._write(_STDERR, visible(f"exprec: {text}\n", keep="\n").encode("utf-8", "backslashreplace"))

    def _begin_line(self, stream: str) -> None:
        if self._last[stream] not in (b"", b"\n"):
            self._write(stream, b"\n")

    def _write(self, stream: str, data: bytes) -> None:
        if stream not in self._broken and data:
            self._attempt(stream, partial(_write_all, sys.stdout if stream == _STDOUT else sys.stderr, data))
            self._set_last(stream, data[-1:])

    def _set_last(self, stream: str, byte: bytes) -> None:
        for each in layout.STREAMS if self._is_screen else (stream,):
            self._last[each] = byte

    def _attempt(self, stream: str, write: Callable[[], None]) -> None:
        """Write to a stream of exprec. On an error the command, which may be costly, continues without that stream."""
        try:
            write()
        except OSError as error:
            self._broken.add(stream)
            if stream == _STDERR:
                return
            if isinstance(error, BrokenPipeError):
                self._say("stdout was closed by its reader; the command continues")
            else:
                self.unwritable = error
                self._say(f"stdout: {error.strerror}; the command continues")


class QuietOutput(CommandOutput):
    """Print the run id only."""

    def read(self, stream: str, data: bytes) -> None:
        """Print nothing."""

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print the run id."""
        self._comment(outcome)
        self._write(_STDOUT, f"{outcome.sealed.run_id}\n".encode())

    def say_reproduced(self, executions: int) -> None:
        """Report that the run already existed."""
        self._say(f"reproduced: execution {executions} with the same run id")


class JsonOutput(QuietOutput):
    """Print the events as they are recorded, and the run id to stderr."""

    def hear(self, event: Event) -> None:
        """Print an event."""
        self._write(_STDOUT, canonical_json.encode(event))

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print the run id."""
        self._comment(outcome)
        self._write(_STDERR, f"{outcome.sealed.run_id}\n".encode())


def command_output(selection: VerboseConfig, color: str, *, verbose: bool, quiet: bool, as_json: bool) -> CommandOutput:
    """Return the output for the options of a command. Raises UsageError if they exclude each other."""
    if quiet and as_json:
        raise click.UsageError("--quiet and --json exclude each other")
    if as_json:
        return JsonOutput()
    return QuietOutput() if quiet else CommandOutput(selection if verbose else None, color)


def _write_all(file: TextIO, data: bytes) -> None:
    """Write to the file descriptor; another process may have made it non-blocking."""
    number, rest = file.fileno(), memoryview(data)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:
            select.select([], [number], [])
