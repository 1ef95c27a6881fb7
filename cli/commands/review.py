"""`exprec review`: what a branch does to the runs of a store, for whoever reviews it.

It parses and prints; what differs is found in `branch`, how it looks is told in `render`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from exprec.cli.options import color_option, complete_revision, json_option, pager_option, store_option
from exprec.cli.pager import paged
from exprec.cli.terminal import known_secrets, store_path, wants_color, wants_progress
from exprec.recorder.diagnostics import SecretGuard, visible
from exprec.recorder.review import Review, find_branch, review_branch

_NOT_VERIFIED = 1


@click.command(short_help="Tell what a branch does to runs.")
@click.argument("revisions", metavar="BASE..HEAD", shell_complete=complete_revision)
@store_option
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, for a comment on a pull request.")
@json_option
@color_option
@pager_option
@click.pass_context
def review(
    context: click.Context,
    revisions: str,
    store: Path | None,
    as_markdown: bool,
    as_json: bool,
    color: str,
    no_pager: bool,
) -> None:
    """Tell what a branch adds to a store: runs with what they show, and tags with what differs behind them.

    HEAD is compared with the commit at which it left BASE, whatever happened on BASE since; BASE alone stands for
    BASE..HEAD. Everything is read from git, without a checkout. Where there is no store at the usual place, the
    only other one is taken.

    Listed are the runs that were added, changed, removed or recorded again, those with the same inputs and other
    results, and the tags that were added, removed or moved, with the comparison of both runs. Every run that
    differs is verified.

    --md prints Markdown of at most 60,000 bytes, what is wrong first; what was left out is counted. --json
    prints one object.

    Exits with 0 when all of that verifies, with 1 when a run does not, a sealed run was changed or a tag stands
    for no run, with 2 when there is no such revision or no common history, and with 5 when there is no store.

    \b
    Example:
      exprec review main..HEAD
      exprec review origin/main --md | gh pr comment --body-file -
      exprec review main..better-prompt --json | jq -r '.added[].run_id'
    """
    if as_markdown and as_json:
        raise click.UsageError("--md and --json are two forms of the same; give one of them")
    branch = find_branch(revisions, store_path(store), is_given=store is not None)
    shows_progress = wants_progress(shows_events=False)

    def progress(number: int, total: int) -> None:
        if shows_progress:
            click.echo(f"\r{number} of {total} runs", nl=number == total, err=True)

    found = review_branch(branch, SecretGuard(known_secrets()).redacted, progress)
    if as_json:
        # ASCII, so that a file name that is not text can be written to any terminal.
        click.echo(json.dumps(found.as_dict(), sort_keys=True))
    elif as_markdown:
        _print_markdown(found)
    else:
        _print_lines(found, color, no_pager=no_pager)
    for other in branch.others:
        click.echo(f"exprec: the store {visible(other)} differs too; --store selects it", err=True)
    if found.problem_count:
        context.exit(_NOT_VERIFIED)


def _print_markdown(found: Review) -> None:
    from exprec.cli.output.review_markdown import review_markdown

    click.echo(review_markdown(found), nl=False)


def _print_lines(found: Review, color: str, *, no_pager: bool) -> None:
    from exprec.cli.output.review import review_lines
    from exprec.recorder.display.console import make_console, print_lines

    with paged(not no_pager) as stream:
        print_lines(make_console(stream, color=wants_color(color)), review_lines(found))
