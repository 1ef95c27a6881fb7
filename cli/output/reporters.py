"""Reporters: one class per output format, with one method per result; the choose functions select by the options."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from exprec.cli.screen import print_json
from exprec.recorder.format import canonical_json

if TYPE_CHECKING:
    from exprec.cli.output.results import CheckedFile, Garbage, StoreSetup, TagReference, Verification
    from exprec.recorder.diff import DiffResult
    from exprec.recorder.experiment import ExperimentConfig
    from exprec.recorder.payments import DayEvent, SimulationResult
    from exprec.recorder.query import RunRow
    from exprec.recorder.replay import RerunResult
    from exprec.recorder.review import Review

# The types of results are imported for annotations only: each command loads the rooms of its own result.


class ChangeReporter(Protocol):
    """Prints the results that are also offered as Markdown, for a comment on a pull request."""

    def comparison(self, comparison: DiffResult) -> None:
        """Print the differences of two runs."""

    def review(self, review: Review) -> None:
        """Print what a branch does to the runs of a store."""


class Reporter(ChangeReporter, Protocol):
    """Prints any result to stdout."""

    def checked_file(self, checked: CheckedFile) -> None:
        """Print the problems and warnings of a file."""

    def day_events(self, events: Sequence[DayEvent]) -> None:
        """Print events of a simulated day."""

    def experiment(self, config: ExperimentConfig, store: Path) -> None:
        """Print an experiment that would be run and recorded in `store`."""

    def garbage_found(self, garbage: Sequence[Garbage]) -> None:
        """Print garbage before it is removed."""

    def garbage_removed(self, garbage: Sequence[Garbage], removed: Sequence[Garbage]) -> None:
        """Print which of the garbage was removed."""

    def listing(self, rows: Sequence[RunRow]) -> None:
        """Print runs of a store."""

    def rerun(self, result: RerunResult) -> None:
        """Print the verdict on a run that was executed again."""

    def schemas(self, titles: dict[str, str]) -> None:
        """Print the names and titles of schemas."""

    def simulation(self, result: SimulationResult) -> None:
        """Print the result of a simulation."""

    def store_setup(self, setup: StoreSetup) -> None:
        """Print what was created or changed."""

    def tags(self, tags: Sequence[TagReference]) -> None:
        """Print tags."""

    def verification(self, verification: Verification) -> int:
        """Print the problems of a run; returns their number."""


def choose_reporter(
    *, as_json: bool, color: str = "never", pages: bool = False, redact: Callable[[str], str] = str
) -> Reporter:
    """Return the reporter for the options of a command.

    Args:
        as_json: Print JSON instead of text.
        color: `auto`, `always` or `never`; for text.
        pages: Whether text may go through a pager.
        redact: Removes secrets from text that comes from a run.
    """
    if as_json:
        return JsonReporter(redact)
    # Imported here because --json does not need it.
    from exprec.cli.output.text_reporter import TextReporter

    return TextReporter(color=color, pages=pages, redact=redact)


def choose_change_reporter(
    *, as_json: bool, as_markdown: bool, color: str, pages: bool, stat: bool = False
) -> ChangeReporter:
    """Return the reporter for the options of a command that also has --md; with `stat` text is a summary."""
    if as_markdown:
        return MarkdownReporter()
    if as_json:
        return JsonReporter()
    from exprec.cli.output.text_reporter import TextReporter

    return TextReporter(color=color, pages=pages, stat=stat)


class JsonReporter:
    """Prints each result as JSON: one object per line."""

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact

    def checked_file(self, checked: CheckedFile) -> None:
        """Print an object per file."""
        _print_json(checked.as_dict())

    def comparison(self, comparison: DiffResult) -> None:
        """Print one object."""
        _print_json(comparison.as_dict())

    def day_events(self, events: Sequence[DayEvent]) -> None:
        """Print an object per event, in its canonical form."""
        for event in events:
            print_json(canonical_json.encode(event.as_dict()))

    def experiment(self, config: ExperimentConfig, store: Path) -> None:
        """Print the resolved config, in its canonical form."""
        print_json(canonical_json.encode(config.to_dict()))

    def garbage_found(self, garbage: Sequence[Garbage]) -> None:
        """Print nothing; see `garbage_removed`."""

    def garbage_removed(self, garbage: Sequence[Garbage], removed: Sequence[Garbage]) -> None:
        """Print an object per run or file."""
        for item in garbage:
            _print_json({**item.as_dict(), "removed": item in removed})

    def listing(self, rows: Sequence[RunRow]) -> None:
        """Print an object per run."""
        encode = json.JSONEncoder(sort_keys=True).encode
        sys.stdout.write("".join([f"{encode(row.as_dict())}\n" for row in rows]))

    def rerun(self, result: RerunResult) -> None:
        """Print an object per run."""
        click.echo(self._redact(json.dumps(canonical_json.form_floats(result.as_dict()), sort_keys=True)))

    def review(self, review: Review) -> None:
        """Print one object."""
        _print_json(review.as_dict())

    def schemas(self, titles: dict[str, str]) -> None:
        """Print a list of objects, in its canonical form."""
        listed = [{"name": name, "title": title} for name, title in titles.items()]
        sys.stdout.buffer.write(canonical_json.encode(listed))

    def simulation(self, result: SimulationResult) -> None:
        """Print one object, in its canonical form."""
        print_json(canonical_json.encode(result.as_dict()))

    def store_setup(self, setup: StoreSetup) -> None:
        """Print one object."""
        _print_json(setup.as_dict())

    def tags(self, tags: Sequence[TagReference]) -> None:
        """Print an object per tag."""
        for tag in tags:
            _print_json(tag.as_dict())

    def verification(self, verification: Verification) -> int:
        """Print an object per run; returns the number of its problems."""
        from exprec.recorder.verify import VerificationResult

        problems = tuple(
            replace(problem, key=self._redact(problem.key), message=self._redact(problem.message))
            for problem in verification.problems
        )
        run = None if problems else verification.run
        name = verification.name if run is None else run.run_id
        events = None if run is None else run.head["counts"]["events"]
        _print_json(VerificationResult(verification.path, problems, name, events).as_dict())
        return len(problems)


class MarkdownReporter:
    """Prints results as Markdown of a limited size, for a comment on a pull request."""

    def comparison(self, comparison: DiffResult) -> None:
        """Print the differences of two runs."""
        from exprec.cli.output.comparison import comparison_markdown
        from exprec.cli.output.markdown import COMMENT_BYTES

        click.echo(comparison_markdown(comparison, COMMENT_BYTES))

    def review(self, review: Review) -> None:
        """Print what a branch does to the runs of a store."""
        from exprec.cli.output.review import review_markdown

        click.echo(review_markdown(review), nl=False)


def _print_json(value: dict[str, Any]) -> None:
    # ASCII, because names of files and tags need not be valid text.
    click.echo(json.dumps(canonical_json.form_floats(value), sort_keys=True))
