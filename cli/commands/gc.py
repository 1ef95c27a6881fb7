"""`exprec gc`: list garbage, interrupted runs and files left by a crash, and remove it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from exprec.cli.completion import complete_work
from exprec.cli.options import json_option, open_store, store_option
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.output.results import Garbage, count_garbage
from exprec.cli.screen import print_message
from exprec.cli.terminal import can_ask, read_machine, seconds_since, store_path
from exprec.recorder.errors import InvalidInput, Problem, RunInProgress
from exprec.recorder.query import OrphanRow, list_orphans, read_orphan
from exprec.recorder.store import Store

_MAY_BEGIN_SECONDS = 600
"""Age below which a file that may be the first one of a starting run is kept."""
_DAY_SECONDS = 86400


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_work)
@store_option
@click.option("--keep-days", type=click.IntRange(min=0), metavar="N", help="Keep what was written in the last N days.")
@click.option("--dry-run", is_flag=True, help="List what would be removed, and remove nothing.")
@click.option("-y", "--yes", is_flag=True, help="Remove without asking.")
@json_option
@click.pass_context
def gc(
    context: click.Context,
    names: tuple[str, ...],
    store: Path | None,
    keep_days: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove interrupted runs and files left by a crash; with NAMEs, only these interrupted runs.

    The garbage is listed first, with the iterations started, the events and model responses recorded, and the size;
    then exprec asks for confirmation. Without a terminal it removes nothing unless --yes is given. `exprec resume
    NAME` resumes an interrupted experiment without paying again for its model responses.

    Sealed runs and runs in progress are never removed, nor a run of another machine in which something was written
    during the last day, because it may be in progress there; nor anything that exprec did not create.

    \b
    Example:
      exprec gc
      exprec gc --yes --keep-days 14
    """
    if dry_run and yes:
        raise click.UsageError("--dry-run and --yes exclude each other")
    if as_json and not (dry_run or yes):
        raise click.UsageError("--json does not ask for confirmation; add --dry-run or --yes")
    path = store_path(store)
    opened = open_store(path)
    rows = [] if opened is None and not names else _find_garbage(opened or Store(path), names)
    found = [Garbage(row, seconds_since(row.orphan.changed)) for row in rows]
    machine = read_machine()
    chosen = [garbage for garbage in found if not _is_young(garbage, keep_days, machine)]
    reporter = choose_reporter(as_json=as_json)
    reporter.garbage_found(chosen)
    if not as_json:
        _comment(path, found, chosen)
    if not dry_run and not yes and chosen:
        _ask(context, chosen)
    removed = [] if dry_run else [garbage for garbage in chosen if garbage.orphan.remove()]
    if as_json or not dry_run:
        reporter.garbage_removed(chosen, removed)


def _find_garbage(store: Store, names: Sequence[str]) -> list[OrphanRow]:
    """Return all garbage, or with names the interrupted runs of these names.

    Raises RunNotFound, AmbiguousRun, RunInProgress, InvalidInput for a sealed run, StorageFailure.
    """
    return [_find_interrupted(store, name) for name in dict.fromkeys(names)] if names else list_orphans(store)


def _find_interrupted(store: Store, name: str) -> OrphanRow:
    run = store.resolve(name)
    if not run.is_work:
        raise InvalidInput([Problem((), f"run {run.run_id} is sealed; gc removes interrupted runs only")])
    row = read_orphan(run)
    if row is None:
        raise RunInProgress(run.run_id)
    return row


def _is_young(garbage: Garbage, keep_days: int | None, machine: Mapping[str, str]) -> bool:
    may_begin = garbage.orphan.may_begin and garbage.age < _MAY_BEGIN_SECONDS
    may_be_in_progress = garbage.orphan.may_be_in_progress(machine) and garbage.age < _DAY_SECONDS
    return may_begin or may_be_in_progress or garbage.age < (keep_days or 0) * _DAY_SECONDS


def _comment(path: Path, found: Sequence[Garbage], chosen: Sequence[Garbage]) -> None:
    """Report on stderr that nothing is garbage, or that some is too young to be removed."""
    if not found:
        print_message(f"exprec: nothing to remove in the store {path}")
    elif len(chosen) < len(found):
        young = [garbage for garbage in found if garbage not in chosen]
        print_message(f"exprec: kept {count_garbage(young)}: written too recently")


def _ask(context: click.Context, chosen: Sequence[Garbage]) -> None:
    """Ask for confirmation; exit unless the user agrees."""
    if not can_ask():
        print_message(f"exprec: nothing was removed; use --yes to remove {count_garbage(chosen)}")
        context.exit(InvalidInput.exit_code)
    if any(garbage.orphan.is_run for garbage in chosen):
        print_message("`exprec resume NAME` resumes an interrupted experiment; removal cannot be undone.")
    try:
        wanted = click.confirm(f"Remove {count_garbage(chosen)}?", err=True)
    except click.Abort:
        click.echo(err=True)
        raise
    if not wanted:
        print_message("exprec: nothing was removed")
        context.exit(0)
