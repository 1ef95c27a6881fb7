"""`exprec review`: summarize the runs and tags a branch adds, changes or removes."""

from __future__ import annotations

from pathlib import Path

import click

from exprec.cli.completion import complete_revision
from exprec.cli.options import color_option, json_option, pager_option, store_option
from exprec.cli.output.reporters import choose_change_reporter
from exprec.cli.screen import print_message, print_progress
from exprec.cli.terminal import redact_secrets, store_path, wants_progress
from exprec.recorder.diagnostics import visible
from exprec.recorder.review import find_branch, review_branch

_NOT_VERIFIED = 1


@click.command()
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
    """Summarize the runs and tags a branch adds, changes or removes.

    HEAD is compared with its merge base with BASE; BASE alone means BASE..HEAD. Everything is read from git, without
    a checkout. Without a store at the usual path, the only other store is used.

    The summary lists runs that were added, changed, removed or recorded again, runs with the same inputs but
    different results, and tags that were added, deleted or moved, with a comparison of the two runs. Every run
    added, changed or recorded again is verified.

    --md prints Markdown of at most 60,000 bytes, problems first, with the number of entries left out. --json prints
    one object.

    Exit code 0 if everything verifies, 1 if a run does not, a sealed run was changed or a tag refers to no run, 2 if
    a revision does not exist or there is no common history, 5 if there is no store.

    \b
    Example:
      exprec review main..HEAD
      exprec review origin/main --md | gh pr comment --body-file -
      exprec review main..better-prompt --json | jq -r '.added[].run_id'
    """
    if as_markdown and as_json:
        raise click.UsageError("--md and --json exclude each other")
    reporter = choose_change_reporter(as_json=as_json, as_markdown=as_markdown, color=color, pages=not no_pager)
    branch = find_branch(revisions, store_path(store), is_given=store is not None)
    shows_progress = wants_progress(shows_events=False)
    found = review_branch(branch, redact_secrets, print_progress if shows_progress else _ignore_progress)
    reporter.review(found)
    for other in branch.other_stores():
        print_message(f"exprec: the store {visible(other)} also differs; --store selects it")
    if found.problem_count:
        context.exit(_NOT_VERIFIED)


def _ignore_progress(number: int, total: int) -> None:
    pass
