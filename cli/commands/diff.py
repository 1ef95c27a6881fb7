"""`exprec diff`: compare two runs."""

from __future__ import annotations

from pathlib import Path

import click

from exprec.cli.completion import complete_run
from exprec.cli.options import color_option, json_option, pager_option, store_option
from exprec.cli.output.reporters import choose_change_reporter
from exprec.cli.screen import print_message
from exprec.cli.terminal import store_path, wants_progress
from exprec.recorder.diagnostics import visible
from exprec.recorder.diff import DEFAULT_LIMIT, DiffResult
from exprec.recorder.diff import diff as compare_runs
from exprec.recorder.store import find_run

_DIFFERENT = 1
_JSON_LIMIT = 1000


@click.command()
@click.argument("old", metavar="A", shell_complete=complete_run)
@click.argument("new", metavar="B", shell_complete=complete_run)
@store_option
@click.option("--stat", is_flag=True, help="Print the number of differences of each kind, and the result.")
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, for a comment on a pull request.")
@json_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"List at most N differences of each kind.  [default: {DEFAULT_LIMIT}; with --json {_JSON_LIMIT}]",
)
@click.option(
    "--exit-code/--no-exit-code",
    "tells",
    default=True,
    help="Exit with 1 if the runs differ, or with 0 even then.  [default: --exit-code]",
)
@color_option
@pager_option
@click.pass_context
def diff(
    context: click.Context,
    old: str,
    new: str,
    store: Path | None,
    stat: bool,
    as_markdown: bool,
    as_json: bool,
    limit: int | None,
    tells: bool,
    color: str,
    no_pager: bool,
) -> None:
    """Compare two runs: their inputs, the first divergence, and their results.

    A and B are run ids, prefixes of 4 or more digits, tags, or paths of run directories, sealed or not.

    Events are aligned by iteration, agent and type, not by line: an extra iteration is reported as such. Values are
    printed as `A → B`; costs are in cents or in the unit of the experiment, and lower is better. Numbers in custom
    events are printed as tables by iteration, with the difference. The stdout and stderr of commands, and artifacts,
    are compared line by line if they are text of at most 1 MiB; larger texts by their first difference, other files
    by size. Model latency comes last, as a total. Equal runs print nothing.

    Exit code 0 if the runs are equal, 1 if they differ, 4 if a run does not exist, 5 if one is damaged.

    --json prints one object. `equal` is the verdict; `old` and `new` describe the runs. The kinds of difference are
    `config`, `divergence` (the first), `only_in`, `costs`, `parameters`, `policies`, `numbers` (in custom events),
    `texts`, `events` (all others), `outputs`, `artifacts`, `result`, `latency` and `files` (the names of all files
    that differ). Each has a `count` and the differences `listed`, except `divergence`, `only_in`, `latency` and
    `files`. A value that one side lacks is omitted. Swapping A and B swaps `old` and `new`, and changes nothing else.

    \b
    Example:
      exprec diff 3f5c 830219cc
      exprec diff --stat baseline 3f5c
      exprec diff --json baseline 3f5c | jq '.costs.listed[0].points'
    """
    if stat + as_markdown + as_json > 1:
        raise click.UsageError("--stat, --md and --json exclude each other")
    if stat and limit is not None:
        raise click.UsageError("--limit has no effect with --stat, which lists no differences")
    path = store_path(store)
    runs = [find_run(reference, path) for reference in (old, new)]
    comparison = compare_runs(*runs, limit=limit or (_JSON_LIMIT if as_json else DEFAULT_LIMIT))
    reporter = choose_change_reporter(
        as_json=as_json, as_markdown=as_markdown, color=color, pages=not no_pager, stat=stat
    )
    reporter.comparison(comparison)
    if comparison.is_equal and not (as_json or as_markdown):
        _explain_equality(comparison)
    if tells and not comparison.is_equal:
        context.exit(_DIFFERENT)


def _explain_equality(comparison: DiffResult) -> None:
    """Explain on a terminal why nothing is printed."""
    if wants_progress(shows_events=False):
        sides = " and ".join(dict.fromkeys(visible(side.short_id) for side in (comparison.old, comparison.new)))
        print_message(f"exprec: no differences: both are run {sides}")
