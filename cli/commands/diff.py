"""`exprec diff`: what was asked differently in two runs, where they parted, and what it came to.

It finds the runs and prints; what differs is found in `recorder.compare`, how it looks is told in `render`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from exprec.cli.options import color_option, complete_run, json_option, pager_option, store_option
from exprec.cli.terminal import store_path, wants_color, wants_progress
from exprec.recorder.diagnostics import visible
from exprec.recorder.diff.result import Comparison
from exprec.recorder.diff.runs import DEFAULT_LIMIT, compare_runs
from exprec.recorder.store.store import find_run

_DIFFERENT = 1
_JSON_LIMIT = 1000
_MARKDOWN_BYTES = 60_000
"""What fits into a comment on GitHub, with room for what is written around it."""


@click.command(short_help="Compare two runs.")
@click.argument("old", metavar="A", shell_complete=complete_run)
@click.argument("new", metavar="B", shell_complete=complete_run)
@store_option
@click.option("--stat", is_flag=True, help="Only how many differences of each kind there are, and the result.")
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, for a comment on a change.")
@json_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"List at most N differences of a kind.  [default: {DEFAULT_LIMIT}; with --json {_JSON_LIMIT}]",
)
@click.option(
    "--exit-code/--no-exit-code",
    "tells",
    default=True,
    help="Exit with 1 if the runs differ, or with 0 whenever they could be compared.  [default: --exit-code]",
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
    """Compare two runs: what was asked differently, where they parted, and what it came to.

    A and B are run ids, 4 or more of their first digits, tags, or paths of run directories, sealed or not.

    Events are compared by iteration, agent and type, not by line: an iteration more is reported as just that.
    Values stand as they are in A, an arrow, and as they are in B; costs are in cents, and less is better. Numbers
    of your own events stand in tables by iteration, with the difference. What commands wrote to stdout and stderr,
    and artifacts, are compared line by line where they are texts of at most 1 MiB; of larger ones the first
    difference is told, of other files the sizes. The latency of a model is reported last, as a sum. Equal runs
    print nothing.

    Exits with 0 if the runs are equal, with 1 if they differ, with 4 when there is no such run, and with 5 when
    one is damaged.

    --json prints one object. `equal` is the answer; `old` and `new` say what the runs are. The kinds of
    difference are `config`, `divergence` (the first), `only_in`, `costs`, `parameters`, `policies`, `numbers`
    (of events of your own types), `texts`, `events` (all else), `outputs`, `artifacts`, `result`, `latency` and
    `files` (the names of all files that differ); each but `divergence`, `only_in`, `latency` and `files` has a
    `count` and what is `listed` of it. A value that one side does not have is left out. Exchanging A and B
    exchanges `old` and `new` everywhere, and nothing else.

    \b
    Example:
      exprec diff 3f5c 830219cc
      exprec diff --stat baseline 3f5c
      exprec diff --json baseline 3f5c | jq '.costs.listed[0].points'
    """
    if stat + as_markdown + as_json > 1:
        raise click.UsageError("--stat, --md and --json are different outputs; give one of them")
    if stat and limit is not None:
        raise click.UsageError("--stat lists nothing that --limit could limit; leave one of them out")
    path = store_path(store)
    runs = [find_run(reference, path) for reference in (old, new)]
    comparison = compare_runs(*runs, limit=limit or (_JSON_LIMIT if as_json else DEFAULT_LIMIT))
    if as_json:
        # ASCII, so that text of any kind can be written to any terminal.
        click.echo(json.dumps(comparison.as_dict(), sort_keys=True))
    elif as_markdown:
        from exprec.cli.output.comparison import comparison_markdown

        click.echo(comparison_markdown(comparison, _MARKDOWN_BYTES))
    else:
        _print(comparison, stat=stat, color=color, pages=not no_pager)
        _comment(comparison)
    if tells and not comparison.is_equal:
        context.exit(_DIFFERENT)


def _print(comparison: Comparison, *, stat: bool, color: str, pages: bool) -> None:
    if comparison.is_equal:
        return
    # Imported here because programs that read JSON shall not wait for rich.
    from exprec.cli.output.comparison import comparison_lines
    from exprec.cli.pager import paged
    from exprec.recorder.display.console import make_console, print_line

    with paged(pages and not stat) as stream:
        console = make_console(stream, color=wants_color(color))
        for line in comparison_lines(comparison, stat=stat):
            print_line(console, line)


def _comment(comparison: Comparison) -> None:
    """Say to somebody at a terminal why nothing is printed."""
    if comparison.is_equal and wants_progress(shows_events=False):
        sides = " and ".join(dict.fromkeys(visible(side.short_id) for side in (comparison.old, comparison.new)))
        click.echo(f"exprec: no difference: both are the run {sides}", err=True)
