"""What is printed while a run is recorded: its events or the output of a command, then the run id."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TextIO

import click

from exprec.cli.output.streams import run_id_line
from exprec.cli.screen import print_json, print_message, screen_json
from exprec.cli.terminal import make_console, wants_color
from exprec.recorder.diagnostics import show_value, visible
from exprec.recorder.display import EventDisplay, VerboseConfig, count_noun
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json, layout

if TYPE_CHECKING:
    # For annotations only, so that a command does not load what runs experiments.
    from exprec.recorder.experiment import GenericExperimentRunner
    from exprec.recorder.sessions import CommandOutcome, CommandRunner
    from exprec.recorder.store import Sealed

_STDOUT, _STDERR = layout.STREAMS


@dataclass(frozen=True, slots=True)
class ExperimentOutput:
    """What is printed to stdout while an experiment runs, and when it is sealed."""

    on_event: Callable[[Event], None] | None
    close: Callable[[GenericExperimentRunner, Sealed], None]


def choose_experiment_output(selection: VerboseConfig, color: str, *, quiet: bool, as_json: bool) -> ExperimentOutput:
    """Return the output for the options of a command. Raises UsageError if they exclude each other."""
    if quiet and as_json:
        raise click.UsageError("--quiet and --json exclude each other")
    return _json_output() if as_json else _quiet_output() if quiet else _display_output(selection, color)


def _display_output(selection: VerboseConfig, color: str) -> ExperimentOutput:
    display = EventDisplay(make_console(sys.stdout, color=wants_color(color)), selection)

    def close(runner: GenericExperimentRunner, _: Sealed) -> None:
        assert runner.state_provider is not None
        display.close(runner.state_provider)

    return ExperimentOutput(display.show, close)


def _json_output() -> ExperimentOutput:
    def show(event: Event) -> None:
        print_json(canonical_json.encode(event))

    return ExperimentOutput(show, lambda _, sealed: print_message(sealed.run_id))


def _quiet_output() -> ExperimentOutput:
    return ExperimentOutput(None, lambda _, sealed: click.echo(sealed.run_id))


_MOST_REDACTED = 20


def redaction_lines(hits: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a message for each field that was recorded with a placeholder, and the name of its secret."""
    for field, name in hits[:_MOST_REDACTED]:
        yield f"redacted: {field} contained the value of {name}"
    if len(hits) > _MOST_REDACTED:
        yield f"redacted: {len(hits) - _MOST_REDACTED} other fields"


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

    def on_event(self, event: Event) -> None:
        """Print a recorded event, where events are printed live."""

    def on_output(self, stream: str, data: bytes) -> None:
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

    def report_reproduced(self, executions: int) -> None:
        """Report that the run already existed; only on a terminal, else stderr has only the bytes of the command."""
        if sys.stderr.isatty():
            self._report(f"reproduced: execution {executions} with the same run id")

    def _comment(self, outcome: CommandOutcome) -> None:
        for stream in outcome.left_open:
            self._report(
                f"a process started by the command still has its {stream} open; further output is not recorded"
            )
        for line in redaction_lines(outcome.redacted):
            self._report(line)
        if outcome.left_out:
            first, more = show_value(outcome.left_out[0]), len(outcome.left_out) - 1
            names = f"{first} and {count_noun(more, 'other file')} were" if more else f"{first} was"
            self._report(f"{names} there before, and not written by the command: not in the run")
        if outcome.bad_events is not None:
            self._report_bad_events(*outcome.bad_events)
        if outcome.failure is not None and outcome.failure.is_news:
            self._report(f"the run failed: {outcome.failure.message}")

    def _report_bad_events(self, total: int, messages: Sequence[str]) -> None:
        for message in messages:
            self._report(f"not recorded: {message}")
        if total > len(messages):
            self._report(f"not recorded: {count_noun(total, 'event')} in total")

    def _display(self, runner: CommandRunner, selection: VerboseConfig) -> None:
        assert runner.state_provider is not None
        console = make_console(sys.stdout, color=wants_color(self._color))
        EventDisplay(console, selection).show_run(runner.state_provider)
        sys.stdout.flush()
        self._set_last(_STDOUT, b"\n")

    def _report(self, text: str) -> None:
        """Print a message to stderr, starting a new line."""
        self._begin_line(_STDERR)
        self._write(_STDERR, visible(f"exprec: {text}\n", keep="\n", quoted=True).encode())

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
                self._report("stdout was closed by its reader; the command continues")
            else:
                self.unwritable = error
                self._report(f"stdout: {error.strerror}; the command continues")


class QuietCommandOutput(CommandOutput):
    """Print the run id only."""

    def on_output(self, stream: str, data: bytes) -> None:
        """Print nothing."""

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print the run id."""
        self._comment(outcome)
        self._write(_STDOUT, f"{outcome.sealed.run_id}\n".encode())

    def report_reproduced(self, executions: int) -> None:
        """Report that the run already existed."""
        self._report(f"reproduced: execution {executions} with the same run id")


class JsonCommandOutput(QuietCommandOutput):
    """Print the events as they are recorded, and the run id to stderr."""

    def on_event(self, event: Event) -> None:
        """Print an event."""
        line = canonical_json.encode(canonical_json.form_floats(event))
        self._write(_STDOUT, screen_json(line) if sys.stdout.isatty() else line)

    def close(self, runner: CommandRunner, outcome: CommandOutcome) -> None:
        """Print the run id."""
        self._comment(outcome)
        self._write(_STDERR, f"{outcome.sealed.run_id}\n".encode())


def choose_command_output(
    selection: VerboseConfig, color: str, *, verbose: bool, quiet: bool, as_json: bool
) -> CommandOutput:
    """Return the output for the options of a command. Raises UsageError if they exclude each other."""
    if quiet and as_json:
        raise click.UsageError("--quiet and --json exclude each other")
    if as_json:
        return JsonCommandOutput()
    return QuietCommandOutput() if quiet else CommandOutput(selection if verbose else None, color)


def _write_all(file: TextIO, data: bytes) -> None:
    """Write to the file descriptor; another process may have made it non-blocking."""
    number, rest = file.fileno(), memoryview(data)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:
            select.select([], [number], [])
