"""`exprec show`: print a recorded run as it was printed when it ran, or a selection of its events."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

import click

from exprec.cli.completion import complete_agent, complete_event_type, complete_run
from exprec.cli.options import (
    NumberRange,
    display_options,
    json_option,
    pager_option,
    store_option,
    verbose_config,
)
from exprec.cli.output.streams import begin_line, copy_output, failure_comment, run_id_line
from exprec.cli.pager import paged
from exprec.cli.screen import ScreenOutput, print_message, screen_json
from exprec.cli.terminal import make_console, store_path, wants_color
from exprec.recorder.display import EventDisplay, VerboseConfig, display_experiment_output
from exprec.recorder.errors import Damaged
from exprec.recorder.events import EVENT_SPECS, Event
from exprec.recorder.format import layout
from exprec.recorder.state import DatabaseStateProvider
from exprec.recorder.store import RunDirectory, find_run, log

if TYPE_CHECKING:
    from exprec.recorder.display import Console


_EXCHANGE = "exchange"
_UNLIMITED = sys.maxsize


class _Selection:
    """The filters on events or exchanges, and what those read so far offered to choose from."""

    def __init__(
        self, iteration: tuple[int, int] | None, agent: str | None, event_type: str | None, *, of_exchanges: bool
    ) -> None:
        self._iteration, self._agent, self._type = iteration, agent, event_type
        self._noun = _EXCHANGE if of_exchanges else "event"
        self.is_everything = iteration is None and agent is None and event_type is None
        self.events_read = 0
        self._count = 0
        self._last_iteration = 0
        self._agents: set[str] = set()
        self._types: set[str] = set()

    def selects(self, event: Event) -> bool:
        """Return whether an event matches all filters."""
        return self.matches(event["iteration"], event.get("agent_id"), event["event_type"])

    def matches(self, iteration: int, agent: object, event_type: str = "") -> bool:
        """Return whether an event or exchange with these fields matches all filters."""
        self.events_read += 1
        self._last_iteration = max(self._last_iteration, iteration)
        self._types.add(event_type)
        if isinstance(agent, str):
            self._agents.add(agent)
        selected = (
            (self._iteration is None or self._iteration[0] <= iteration <= self._iteration[1])
            and (self._agent is None or self._agent == agent)
            and (self._type is None or self._type == event_type)
        )
        self._count += selected
        return selected

    def why_nothing(self) -> str | None:
        """Explain why nothing matched; None if something did, or if all events are printed."""
        if self._noun == _EXCHANGE and not self.events_read:
            return "the run has no exchanges with a model"
        if self.is_everything or self._count:
            return None
        if self._type is not None and self._type not in self._types:
            return f"no event of type '{self._type}'; the run has {_join_names(self._types)}"
        if self._agent is not None and self._agent not in self._agents:
            known = _join_names(self._agents)
            return f"no {self._noun} of agent '{self._agent}'; the run has {self._noun}s of {known}"
        if self._iteration is not None and self._iteration[0] > self._last_iteration:
            last = f"the last iteration is {self._last_iteration}"
            return f"no {self._noun} of iteration {self._iteration[0]}; {last}"
        return f"no {self._noun} matches all of the filters"


class _StoredRun(NamedTuple):
    """A run, and its state, with which its log was opened."""

    directory: RunDirectory
    provider: DatabaseStateProvider


class _OpenLog(NamedTuple):
    """A log that was opened once, and the run that it belongs to; a log file alone has no run."""

    path: Path
    source: DatabaseStateProvider | log.LogReader
    run: _StoredRun | None = None

    @classmethod
    def of_run(cls, directory: RunDirectory) -> _OpenLog:
        """Open the log of a run. Raises Damaged, StorageFailure."""
        provider = DatabaseStateProvider(directory)
        return cls(directory.path, provider, _StoredRun(directory, provider))

    @classmethod
    def of_file(cls, path: Path) -> _OpenLog:
        """Open a log file. Raises StorageFailure."""
        return cls(path, log.open_log(path))


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_run)
@store_option
@display_options
@click.option(
    "--iteration",
    type=NumberRange("an iteration"),
    help="Only events of these iterations (from 1; 0 is outside any iteration).",
)
@click.option("--agent", metavar="ID", help="Only events of this agent.", shell_complete=complete_agent)
@click.option(
    "--event",
    "event_type",
    metavar="TYPE",
    help="Only events of this type, even if it is not shown by default.",
    shell_complete=complete_event_type,
)
@click.option(
    "--audit", is_flag=True, help="Print the prompts and answers of models in full, with what became of them."
)
@pager_option
@click.option(
    "--raw", is_flag=True, help="Print to a terminal the bytes that a pipe gets, which may control it; without a pager."
)
@json_option
def show(
    run: str,
    store: Path | None,
    verbose: bool,
    color: str,
    iteration: tuple[int, int] | None,
    agent: str | None,
    event_type: str | None,
    audit: bool,
    no_pager: bool,
    raw: bool,
    as_json: bool,
    **switches: bool | None,
) -> None:
    """Print a recorded run, byte for byte as it was printed when it ran with the same options.

    RUN is a run id, a prefix of 4 or more digits, a tag, or the path of a run directory. A run in progress or an
    interrupted run is printed as far as it was recorded. The path of a log file, under any name, prints the events
    in it. A path has a slash (./NAME); a name without one is looked up in the store only.

    For the run of a command, its stdout is printed to stdout and its stderr to stderr, followed by the run id. With
    -v its events follow on stdout; with --event, --iteration, --agent or --json only events are printed.

    A file or a pipe gets the bytes of the run. A terminal does not: control sequences and invisible characters are
    printed as escapes (\\x1b, \\u202e), except simple colors; --raw prints the bytes there too.

    On a terminal, stdout goes through a pager: EXPREC_PAGER, else PAGER, else `less`.

    With --json the selected events are printed as they are in the log.

    With --audit the requests to a model are printed instead: each prompt and answer in full, whether it was usable,
    and whether the proposal was accepted and why; with --json as an object on a line for each request.

    \b
    Example:
      exprec show 3f5c
      exprec show 3f5c --iteration 2-4 --agent BANK_A -v
      exprec show 3f5c --audit --iteration 2-4
      exprec show --raw 3f5c
    """
    if audit and (verbose or event_type is not None or any(switch is not None for switch in switches.values())):
        raise click.UsageError("--event and the options that show or hide events do not apply to --audit")
    spec = EVENT_SPECS.get(event_type or "")
    if spec is not None and spec.switch is not None and switches[spec.switch] is None:
        switches[spec.switch] = True
    config = verbose_config(verbose=verbose, switches=switches)
    selection = _Selection(iteration, agent, event_type, of_exchanges=audit)
    opened = _open_log(run, store_path(store))
    medium = _Medium(wants_color(color), pages=not (no_pager or raw), raw=raw)
    if audit:
        _print_audit(opened, selection, medium, as_json=as_json)
    elif as_json:
        _print_lines((entry.line for entry in opened.source.entries() if selection.selects(entry.event)), medium)
    elif opened.run is not None and opened.run.directory.type == layout.COMMAND_RUN and selection.is_everything:
        _print_output(opened.run, config if verbose else None, medium)
    else:
        _print_display(opened, selection, config, medium)
    _comment(opened, selection)


def _open_log(reference: str, store: Path) -> _OpenLog:
    """Open the log of the run named by `reference`, or the log file at that path, which has a slash."""
    path = Path(reference)
    try:
        is_file = "/" in reference and path.is_file()
    except OSError:
        # For a name that is too long for a file, `find_run` has the better message.
        is_file = False
    return _OpenLog.of_file(path) if is_file else _OpenLog.of_run(find_run(reference, store))


class _Medium(NamedTuple):
    """How a run is printed: in color, through a pager, and as the bytes that a pipe gets."""

    color: bool
    pages: bool
    raw: bool

    @property
    def is_screen(self) -> bool:
        """Whether what is printed to stdout must be harmless for a terminal."""
        return sys.stdout.isatty() and not self.raw

    def screen(self, stream: TextIO) -> ScreenOutput | None:
        """Return what makes the output of a command harmless for a stream; None where its bytes are printed."""
        return ScreenOutput(color=self.color) if stream.isatty() and not self.raw else None

    def console(self, stream: TextIO) -> Console:
        """Return a console on stdout, or on the pager in its place."""
        return make_console(stream, color=self.color, shows_invisible=self.is_screen)


def _print_lines(lines: Iterable[bytes], medium: _Medium) -> None:
    """Print lines of JSON."""
    is_screen = medium.is_screen
    for line in lines:
        sys.stdout.buffer.write(screen_json(line) if is_screen else line)


def _print_audit(opened: _OpenLog, selection: _Selection, medium: _Medium, *, as_json: bool) -> None:
    """Print the selected exchanges of a run."""
    # Imported here because most calls print events.
    from exprec.cli.output.audit import audit_lines
    from exprec.recorder.format import canonical_json
    from exprec.recorder.state import audit_exchanges

    if opened.run is None:
        raise click.UsageError("--audit needs a run: a log file alone has no exchanges")
    events = (entry.event for entry in opened.source.entries())
    reader = opened.run.directory.exchange_reader()
    audited = audit_exchanges(reader, events)
    exchanges = (exchange for exchange in audited if selection.matches(exchange.iteration, exchange.agent_id))
    if as_json:
        _print_lines((canonical_json.encode(exchange.as_dict()) for exchange in exchanges), medium)
    else:
        with paged(medium.pages) as stream:
            console = medium.console(stream)
            # A file or a pipe gets the lines of prompts and answers unbroken.
            wide = console if medium.is_screen else console._replace(width=_UNLIMITED)
            wide.print_lines(audit_lines(exchanges))
    if reader.torn_bytes:
        print_message(f"exprec: the last exchange is torn ({reader.torn_bytes} bytes) and is not shown")


def _print_output(run: _StoredRun, config: VerboseConfig | None, medium: _Medium) -> None:
    """Print the recorded streams of a command, and its events with a config."""
    # Opened before the pager starts, so that errors are printed without one.
    stdout, stderr = (run.directory.output(stream) for stream in layout.STREAMS)
    with paged(medium.pages) as stream:
        last = copy_output(stdout, stream, medium.screen(sys.stdout))
        if config is not None:
            begin_line(stream, last)
            last = b""
            EventDisplay(medium.console(stream), config).show_run(run.provider)
        stream.flush()
    if sys.stdout.isatty() and sys.stderr.isatty():
        # Both streams share the screen.
        begin_line(sys.stdout, last)
        sys.stdout.flush()
    begin_line(sys.stderr, copy_output(stderr, sys.stderr, medium.screen(sys.stderr)))
    if run.provider.is_sealed:
        sys.stderr.write(failure_comment(run.directory.head["failure"]) + run_id_line(run.directory.run_id))


def _print_display(opened: _OpenLog, selection: _Selection, config: VerboseConfig, medium: _Medium) -> None:
    """Display the selected events, and the run id behind the events of a whole run."""
    with paged(medium.pages) as stream:
        console = medium.console(stream)
        if opened.run is not None and selection.is_everything:
            display_experiment_output(opened.run.provider, console, config)
            return
        display = EventDisplay(console, config)
        if opened.run is not None:
            display.open(opened.run.provider)
        display.show_all(entry.event for entry in opened.source.entries() if selection.selects(entry.event))


def _comment(opened: _OpenLog, selection: _Selection) -> None:
    """Report on stderr that no event matched, and that the run is not sealed. Raises Damaged for a torn log file."""
    nothing = selection.why_nothing()
    if nothing is not None:
        print_message(f"exprec: {nothing}")
    torn_bytes = opened.source.torn_bytes
    if opened.run is None:
        if torn_bytes:
            message = f"the last line is torn: {torn_bytes} bytes without a newline"
            raise Damaged(opened.path, message, selection.events_read + 1)
    elif not opened.run.directory.is_sealed:
        print_message(f"exprec: run not sealed ({opened.run.directory.status}); this is what has been recorded")
        if (reason := opened.run.directory.interruption) is not None:
            print_message(f"exprec: it was interrupted: {reason}")
        if torn_bytes:
            print_message(f"exprec: the last line is torn ({torn_bytes} bytes) and is not shown")


def _join_names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
