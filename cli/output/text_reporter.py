"""The reporter of results as text: tables, lists and messages for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exprec.cli.output.tables import GAP, table_rows
from exprec.cli.screen import print_message
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line, count_noun

if TYPE_CHECKING:
    from exprec.cli.output.results import CheckedFile, Garbage, StoreSetup, TagReference, Verification
    from exprec.recorder.diff import DiffResult
    from exprec.recorder.experiment import ExperimentConfig
    from exprec.recorder.payments import DayEvent, SimulationResult
    from exprec.recorder.query import RunRow
    from exprec.recorder.replay import RerunResult
    from exprec.recorder.review import Review

# Methods import what draws their result: a command prints one kind of result, and waits for nothing else.

_GARBAGE_COLUMNS = ("interrupted run", "experiment", "it", "events", "responses", "size", "last written")
_GARBAGE_NUMBERS = range(2, 6)
_AGES = ((86400, "day"), (3600, "hour"), (60, "minute"))
_NO_VALUE = "–"
_STORE_SETUP = {
    "new": "created the store {}",
    "changed": "updated the .gitattributes of the store {}",
    "present": "{} is already a store",
}
_GIT_SETUP = {
    "new": "git diff and git log -p now show logs as text (in this clone)",
    "changed": "git diff and git log -p now show logs as text by this exprec (in this clone)",
    "present": "git diff and git log -p already show logs as text",
}
_HOOK_SETUP = {
    "new": "installed the hook {}: it verifies runs before they are committed",
    "changed": "replaced the hook {} with that of this exprec",
    "present": "the hook {} already verifies runs",
}


class TextReporter:
    """Prints each result as text, in color and through a pager where that is wanted."""

    def __init__(
        self,
        *,
        color: str = "never",
        pages: bool = False,
        stat: bool = False,
        redact: Callable[[str], str] = str,
    ) -> None:
        """With `stat`, a comparison is the number of differences of each kind; see also `choose_reporter`."""
        self._color = color
        self._pages = pages
        self._stat = stat
        self._redact = redact

    def checked_file(self, checked: CheckedFile) -> None:
        """Print a line per problem, else that the file is valid; warnings go to stderr."""
        for problem in checked.problems:
            click.echo(visible(str(problem), quoted=True))
        for warning in checked.warnings:
            print_message(f"warning: {warning}")
        if not checked.problems:
            click.echo(f"{visible(checked.file)}: ok ({checked.kind})")

    def comparison(self, comparison: DiffResult) -> None:
        """Print a section per kind of difference; nothing if the runs are equal."""
        if comparison.is_equal:
            return
        from exprec.cli.output.comparison import comparison_lines

        self._print_lines(comparison_lines(comparison, stat=self._stat), pages=not self._stat)

    def day_events(self, events: Sequence[DayEvent]) -> None:
        """Print a section per tick, with a line per event."""
        from exprec.cli.output.day_events import day_lines

        self._print_lines(day_lines(events))

    def experiment(self, config: ExperimentConfig, store: Path) -> None:
        """Print the main settings of an experiment."""
        evaluation, limit = config.evaluation, config.convergence.max_iterations
        samples = f", {evaluation.num_samples} samples" if evaluation.mode == "bootstrap" else ""
        click.echo(f"{visible(config.name)}: valid; nothing was run")
        model = visible(config.llm.display_name)
        click.echo(f"  {evaluation.mode}{samples}, model {model}, master seed {config.master_seed}")
        click.echo(f"  agents {', '.join(map(visible, config.optimized_agents))}, at most {limit} iterations")
        click.echo(f"  would be recorded in {visible(str(store))}")

    def garbage_found(self, garbage: Sequence[Garbage]) -> None:
        """Print a table of interrupted runs, then a line per file."""
        runs = [_garbage_cells(each) for each in garbage if each.orphan.is_run]
        if runs:
            _print_table([_GARBAGE_COLUMNS, *runs], right=_GARBAGE_NUMBERS)
        for each in garbage:
            if not each.orphan.is_run:
                path = visible(str(each.orphan.path))
                _print_text(f"{path}{GAP}{format_size(each.orphan.size)}, left by a crash")

    def garbage_removed(self, garbage: Sequence[Garbage], removed: Sequence[Garbage]) -> None:
        """Print to stderr what was kept, and what was removed."""
        for each in garbage:
            if each not in removed:
                print_message(f"exprec: kept {visible(each.orphan.name)}: it has changed since it was listed")
        if removed:
            from exprec.cli.output.results import count_garbage

            size = format_size(sum(each.orphan.size for each in removed))
            print_message(f"exprec: removed {count_garbage(removed)} ({size})")

    def listing(self, rows: Sequence[RunRow]) -> None:
        """Print a table of runs; nothing where there are none."""
        if not rows:
            return
        from exprec.cli.output.listing import listing_lines

        self._print_lines(listing_lines(rows))

    def rerun(self, result: RerunResult) -> None:
        """Print the verdict, and where the execution diverged."""
        from exprec.cli.output.verdict_text import verdict_lines

        click.echo(self._redact("\n".join(verdict_lines(result))))

    def review(self, review: Review) -> None:
        """Print a section per kind of change."""
        from exprec.cli.output.review import review_lines

        self._print_lines(review_lines(review))

    def schemas(self, titles: dict[str, str]) -> None:
        """Print a table of names and titles."""
        _print_table(list(titles.items()))

    def simulation(self, result: SimulationResult) -> None:
        """Print a table of balances and costs per agent, in the order of the scenario, and their sums."""
        numbers = [astuple(outcome) for outcome in result.agents.values()]
        columns = [field.name for outcome in list(result.agents.values())[:1] for field in fields(outcome)]
        rows = [
            ["cents", *columns],
            *([visible(agent), *map(str, row)] for agent, row in zip(result.agents, numbers, strict=True)),
            ["all agents", *map(str, map(sum, zip(*numbers, strict=True)))],
        ]
        _print_table(rows, right=range(1, len(columns) + 1))
        split = f" ({result.total} including the parts of split payments)" if result.total > result.arrivals else ""
        click.echo(f"\n{result.settled} of {result.arrivals} payments settled{split}")

    def store_setup(self, setup: StoreSetup) -> None:
        """Print a line for each part that was requested."""
        texts = [
            _STORE_SETUP[setup.store].format(setup.path),
            _GIT_SETUP.get(setup.git or ""),
            _HOOK_SETUP.get(setup.hook or "", "").format(setup.hook_path),
        ]
        click.echo("\n".join(visible(text, quoted=True) for text in texts if text))

    def tags(self, tags: Sequence[TagReference]) -> None:
        """Print a table of tags and run ids."""
        if tags:
            _print_table([(visible(tag.name), visible(tag.run_id)) for tag in tags])

    def verification(self, verification: Verification) -> int:
        """Print the problems as they are found, else that the run is ok; returns their number."""
        count = 0
        for problem in verification.problems:
            count += 1
            click.echo(visible(self._redact(str(problem.within(verification.name_file(problem)))), quoted=True))
        if not count and verification.run is not None:
            events = verification.run.head["counts"]["events"]
            click.echo(f"ok {verification.run.run_id} ({count_noun(events, 'event')})")
        return count

    def _print_lines(self, lines: Iterable[Line], *, pages: bool = True) -> None:
        from exprec.cli.pager import paged
        from exprec.cli.terminal import make_console, wants_color

        with paged(self._pages and pages) as stream:
            make_console(stream, color=wants_color(self._color), shows_invisible=True).print_lines(lines)


def format_size(size: int) -> str:
    """Return a number of bytes in the unit that suits it: `812 B`, `45.2 kB`."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, larger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def format_age(seconds: float) -> str:
    """Return an age in its largest unit: `3 days ago`."""
    for unit, name in _AGES:
        count = int(seconds // unit)
        if count:
            return f"{count_noun(count, name)} ago"
    return "just now"


def _garbage_cells(garbage: Garbage) -> tuple[str, ...]:
    row, orphan = garbage.row, garbage.orphan
    counts = map(str, (row.iterations, row.events, row.exchanges))
    names = visible(orphan.name), visible(row.experiment) or _NO_VALUE
    return *names, *counts, format_size(orphan.size), format_age(garbage.age)


def _print_table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    for row in table_rows(rows, right=right):
        _print_text(row)


def _print_text(text: str) -> None:
    # Names of files may hold lone surrogates, which strict UTF-8 refuses.
    click.echo(text.encode("utf-8", "backslashreplace"))
