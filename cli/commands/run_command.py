"""A command recorded for `exprec run`: what it writes is passed on while it runs, and it is attested when it is sealed.

How it is executed and recorded is told in `recorder.command`.
"""

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
from exprec.cli.output.raw_output import address_line
from exprec.cli.terminal import child_environment, known_secrets, start_observing, store_path, wants_color
from exprec.recorder.diagnostics import SecretGuard, visible
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.errors import StorageFailure
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.schema.event_types import EventTypes
from exprec.recorder.sessions.command.command import Command
from exprec.recorder.sessions.command.runner import CommandOutcome, CommandRunner
from exprec.recorder.store.store import Store

_STDOUT, _STDERR = layout.STREAMS


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks of the record of a command, beside the command itself."""

    store: Path | None = None
    name: str | None = None
    inputs: Sequence[str] = ()
    artifacts: Sequence[str] = ()
    artifact_limit: int | None = None
    schemas: Path | None = None
    strict: bool | None = None


def record_command(argv: Sequence[str], asked: Asked, output: CommandOutput) -> int:
    """Run a command here and record it; returns what to exit with. Raises InvalidInput, SecretFound, StorageFailure."""
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
    # What cannot begin is found out here, before there is a store.
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
        why = "the command was stopped; what was recorded is kept, not sealed"
        say_what_is_left(runner.outcome, store, why, can_resume=False)
        raise
    output.close(runner, outcome)
    # After the run id is printed, because a full disk must not keep it back.
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
    """What is printed of a command. This one prints the command's own bytes, each to its stream, and the address on
    stderr."""

    def __init__(self, selection: VerboseConfig | None = None, color: str = "auto") -> None:
        """With a `selection`, the events that it selects are displayed behind what the command wrote to stdout."""
        self._selection = selection
        self._color = color
        self._is_screen = sys.stdout.isatty() and sys.stderr.isatty()
        """Whether both streams go to the one place where lines end for both."""
        self._last = dict.fromkeys(layout.STREAMS, b"")
        """The last byte that was written to each stream, or to both."""
        self._broken: set[str] = set()
        self.unwritable: OSError | None = None
        """Why stdout could not be written, unless it is that nobody reads it any more."""

    def hear(self, event: Event) -> None:
        """Take an event that was recorded."""

    def read(self, stream: str, data: bytes) -> None:
        """Pass on at once what the command wrote, as long as somebody reads it."""
        self._write(stream, data)

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print what stands behind the output of a command that has ended."""
        if self._is_screen and outcome.was_interrupted:
            # The terminal showed a ^C.
            self._set_last(_STDERR, b"C")
        if self._selection is not None and _STDOUT not in self._broken:
            self._begin_line(_STDOUT)
            self._attempt(_STDOUT, partial(self._display, runner, self._selection))
        self._comment(outcome)
        self._begin_line(_STDERR)
        self._write(_STDERR, address_line(outcome.sealed.run_id).encode())

    def say_reproduced(self, executions: int) -> None:
        """Comment on a run that was there already; not where stderr has the bytes of the command and nothing else."""
        if sys.stderr.isatty():
            self._say(f"reproduced: execution {executions} of this run reached the same address")

    def _comment(self, outcome: CommandOutcome) -> None:
        for stream in outcome.left_open:
            self._say(f"what the command started still has its {stream} open; what comes there now is not recorded")
        if outcome.failure is not None and outcome.failure.is_news:
            self._say(f"the run failed: {outcome.failure.message}")

    def _display(self, runner: CommandRunner, selection: VerboseConfig) -> None:
        # Imported here because a command whose events nobody wants to see shall not wait for it.
        from exprec.recorder.display.console import make_console
        from exprec.recorder.display.display import display_events

        assert runner.state_provider is not None
        display_events(runner.state_provider, make_console(sys.stdout, color=wants_color(self._color)), selection)
        sys.stdout.flush()
        self._set_last(_STDOUT, b"\n")

    def _say(self, text: str) -> None:
        """Print a comment on stderr, in lines of its own."""
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
        """Write to a stream of ours. If that fails, the command, which may have cost much, goes on without it."""
        try:
            write()
        except OSError as error:
            self._broken.add(stream)
            if stream == _STDERR:
                return
            if isinstance(error, BrokenPipeError):
                self._say("nobody reads the output any more; the command goes on")
            else:
                self.unwritable = error
                self._say(f"stdout: {error.strerror}; the command goes on")


class QuietOutput(CommandOutput):
    """Prints the address only."""

    def read(self, stream: str, data: bytes) -> None:
        """Leave it to those who look at the run."""

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print the address."""
        self._comment(outcome)
        self._write(_STDOUT, f"{outcome.sealed.run_id}\n".encode())

    def say_reproduced(self, executions: int) -> None:
        """Comment on a run that was there already."""
        self._say(f"reproduced: execution {executions} of this run reached the same address")


class JsonOutput(QuietOutput):
    """Prints the events as they are recorded, and the address on stderr."""

    def hear(self, event: Event) -> None:
        """Print an event."""
        self._write(_STDOUT, canonical_json.encode(event))

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print the address."""
        self._comment(outcome)
        self._write(_STDERR, f"{outcome.sealed.run_id}\n".encode())


def command_output(selection: VerboseConfig, color: str, *, verbose: bool, quiet: bool, as_json: bool) -> CommandOutput:
    """The output for these options of a command. Raises UsageError for two that exclude each other."""
    if quiet and as_json:
        raise click.UsageError("-q prints the address only, --json the events: give one of them")
    if as_json:
        return JsonOutput()
    return QuietOutput() if quiet else CommandOutput(selection if verbose else None, color)


def _write_all(file: TextIO, data: bytes) -> None:
    """Write to the file itself, which may be one that is not ready when another process made it so."""
    number, rest = file.fileno(), memoryview(data)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:
            select.select([], [number], [])
