"""`exprec show`: a recorded run printed as it printed when it ran, or a selection of its events.

It parses and selects; how events look is told in `render`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from exprec.cli.environment import store_path, wants_color
from exprec.cli.options import complete_run, display_options, json_option, store_option, verbose_config
from exprec.cli.render.console import make_console
from exprec.cli.render.display import EventDisplay, display_experiment_output
from exprec.recorder.events import Event
from exprec.recorder.state.provider import StoredStateProvider
from exprec.recorder.store.rundir import RunDirectory
from exprec.recorder.store.store import find_run
from exprec.recorder.verbosity import VerboseConfig

_Selects = Callable[[Event], bool]


class _IterationRange(click.ParamType[tuple[int, int]]):
    name = "N[-M]"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", value)
        if match is None:
            self.fail(f"'{value}' is not an iteration (3) or a range of iterations (3-7)", param, ctx)
        first = int(match[1])
        last = int(match[2] or first)
        if last < first:
            self.fail(f"the range {value} is empty", param, ctx)
        return first, last


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_run)
@store_option
@display_options
@click.option("--iteration", type=_IterationRange(), help="Only the events of these iterations (from 1; 0: outside).")
@click.option("--agent", metavar="ID", help="Only the events of this agent.")
@click.option("--event", "event_type", metavar="TYPE", help="Only the events of this type.")
@json_option
def show(
    run: str,
    store: Path | None,
    verbose: bool,
    color: str,
    iteration: tuple[int, int] | None,
    agent: str | None,
    event_type: str | None,
    as_json: bool,
    **switches: bool | None,
) -> None:
    """Print a recorded experiment, byte for byte as it printed when it ran with the same switches.

    RUN is a run id, 4 or more of its first digits, a tag, or the path of a run directory. A run that is
    in progress or was interrupted can be shown too: as far as it came.

    With --json the selected events are printed as they stand in the log.

    \b
    Example:
      exprec show 3f5c
      exprec show 3f5c --iteration 2-4 --agent BANK_A -v
    """
    config = verbose_config(verbose=verbose, switches=switches)
    directory = find_run(run, store_path(store))
    selections = list(_selections(iteration, agent, event_type))

    def selects(event: Event) -> bool:
        return all(selection(event) for selection in selections)

    if as_json:
        _print_lines(directory, selects)
    else:
        _print_display(directory, config, color, selects if selections else None)


def _selections(iteration: tuple[int, int] | None, agent: str | None, event_type: str | None) -> Iterator[_Selects]:
    if iteration is not None:
        yield lambda event: iteration[0] <= event["iteration"] <= iteration[1]
    if agent is not None:
        yield lambda event: event.get("agent_id") == agent
    if event_type is not None:
        yield lambda event: bool(event["event_type"] == event_type)


def _print_lines(directory: RunDirectory, selects: _Selects) -> None:
    reader = directory.reader()
    for entry in reader.entries():
        if selects(entry.event):
            sys.stdout.buffer.write(entry.line)
    _warn(directory, reader.torn_bytes)


def _print_display(directory: RunDirectory, config: VerboseConfig, color: str, selects: _Selects | None) -> None:
    provider = StoredStateProvider(directory)
    console = make_console(sys.stdout, color=wants_color(color))
    if selects is None:
        display_experiment_output(provider, console, config)
    else:
        display = EventDisplay(console, config)
        for event in filter(selects, provider.get_all_events()):
            display.show(event)
    _warn(directory, provider.torn_bytes)


def _warn(directory: RunDirectory, torn_bytes: int) -> None:
    if directory.is_sealed:
        return
    click.echo(f"exprec: this run is not sealed ({directory.status}); this is as far as it came", err=True)
    if torn_bytes:
        click.echo(f"exprec: a last line of {torn_bytes} bytes was cut off and is not shown", err=True)
