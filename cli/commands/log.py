"""`exprec log`: list the runs of a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from exprec.cli.options import color_option, json_option, open_store, pager_option, store_option
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.screen import print_message
from exprec.cli.terminal import store_path
from exprec.recorder.query import ORDERS, RunRow, list_runs, select_rows, sort_rows

_STATUSES = ("completed", "failed", "interrupted", "running")


@click.command()
@store_option
@click.option("--name", metavar="TEXT", help="Only runs whose name contains TEXT, ignoring case.")
@click.option("--tag", metavar="TEXT", help="Only runs with a tag that matches TEXT, with the wildcards * and ?.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs with this status.")
@click.option("--sort", type=click.Choice(ORDERS), default="recorded", show_default=True, help="The order of the runs.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N runs of the list.")
@color_option
@pager_option
@json_option
@click.pass_context
def log(
    context: click.Context,
    store: Path | None,
    name: str | None,
    tag: str | None,
    status: str | None,
    sort: str,
    limit: int | None,
    color: str,
    no_pager: bool,
    as_json: bool,
) -> None:
    """List the runs of a store: first those in progress or interrupted, then sealed runs, newest first.

    The columns are the abbreviated run id, name, status, evaluation mode or exit status of a command, iterations,
    first, best and final cost (in cents, or with the unit that the experiment names), whether the run converged,
    when it was first recorded, the number of executions that produced this run id (n), and tags. --sort name is
    alphabetical, --sort cost lists the lowest final cost first, --sort iterations the fewest iterations.

    A run that cannot be read is listed as damaged and reported on stderr, selected or not; the exit code is then
    5, or 6 if the operating system refused access.

    \b
    Example:
      exprec log
      exprec log --name castro --status completed --sort cost --limit 10
      exprec log --json | jq -r 'select(.converged) | .run_id'
    """
    path = store_path(store)
    opened = open_store(path)
    rows = [] if opened is None else list_runs(opened)
    shown = sort_rows(select_rows(rows, name=name, tag=tag, status=status), sort)[:limit]
    reporter = choose_reporter(as_json=as_json, color=color, pages=not no_pager)
    reporter.listing(shown)
    _comment(path, rows, shown, as_json)
    problems = [row.problem for row in rows if row.problem is not None]
    if problems:
        context.exit(max(problem.exit_code for problem in problems))


def _comment(path: Path, rows: Sequence[RunRow], shown: Sequence[RunRow], as_json: bool) -> None:
    """Report on stderr an empty list, the meaning of the mark, and damaged runs."""
    if not rows:
        print_message(f"exprec: the store {path} has no runs yet; `exprec run` records one")
    elif not shown:
        count = f"{len(rows)} runs" if len(rows) > 1 else "the only run"
        print_message(f"exprec: none of {count} in the store {path} matches the filters")
    if not as_json and any(row.shares_inputs for row in shown):
        from exprec.cli.output.listing import SAME_INPUTS

        message = f"{SAME_INPUTS} another run has the same inputs (config.json is equal) but a different result"
        print_message(f"exprec: {message}")
    for row in rows:
        if row.problem is not None:
            print_message(f"exprec: {row.short_id}: {row.problem}")
