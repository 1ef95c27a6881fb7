"""`exprec gc`: list garbage, interrupted runs and files left by a crash, and remove it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from exprec.cli.completion import complete_work
from exprec.cli.options import json_option, open_store, store_option
from exprec.cli.terminal import can_ask, seconds_since, store_path
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import count_noun
from exprec.recorder.errors import InvalidInput, Problem, RunInProgress
from exprec.recorder.format import layout
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

    Sealed runs and runs in progress are never removed.

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
    found = [] if opened is None and not names else _found(opened or Store(path), names)
    chosen = [each for each in found if not _is_young(each, keep_days)]
    if not as_json:
        _show(path, found, chosen)
    if not dry_run and not yes and chosen:
        _ask(context, chosen)
    removed = [] if dry_run else [each for each in chosen if each.orphan.remove()]
    if as_json:
        for each in chosen:
            fields = {**each.as_dict(), "age_seconds": round(_age_of(each)), "removed": each in removed}
            click.echo(json.dumps(fields, sort_keys=True))
    elif not dry_run:
        _show_removed(chosen, removed)


def _found(store: Store, names: Sequence[str]) -> list[OrphanRow]:
    """Return what gc may remove; with names, these interrupted runs alone.

    Raises RunNotFound, AmbiguousRun, RunInProgress, InvalidInput for a sealed run, StorageFailure.
    """
    return [_named(store, name) for name in dict.fromkeys(names)] if names else list_orphans(store)


def _named(store: Store, name: str) -> OrphanRow:
    run = store.resolve(name)
    if run.path.parent.name != layout.WORK_FOLDER:
        raise InvalidInput([Problem((), f"run {run.run_id} is sealed; gc removes interrupted runs only")])
    row = read_orphan(run)
    if row is None:
        raise RunInProgress(run.run_id)
    return row


def _age_of(row: OrphanRow) -> float:
    return seconds_since(row.orphan.changed)


def _is_young(row: OrphanRow, keep_days: int | None) -> bool:
    age = _age_of(row)
    return (row.orphan.may_begin and age < _MAY_BEGIN_SECONDS) or age < (keep_days or 0) * _DAY_SECONDS


def _show(path: Path, found: Sequence[OrphanRow], chosen: Sequence[OrphanRow]) -> None:
    # Imported here because --json does not need it.
    from exprec.cli.output.garbage import orphan_lines

    for line in orphan_lines(chosen, _age_of):
        click.echo(line.encode("utf-8", "backslashreplace"))
    if not found:
        click.echo(f"exprec: nothing to remove in the store {path}", err=True)
    elif len(chosen) < len(found):
        young = [each for each in found if each not in chosen]
        click.echo(f"exprec: kept {_counted(young)}: written too recently", err=True)


def _ask(context: click.Context, chosen: Sequence[OrphanRow]) -> None:
    """Ask for confirmation; exit unless the user agrees."""
    if not can_ask():
        click.echo(f"exprec: nothing was removed; use --yes to remove {_counted(chosen)}", err=True)
        context.exit(InvalidInput.exit_code)
    if any(each.orphan.is_run for each in chosen):
        click.echo("`exprec resume NAME` resumes an interrupted experiment; removal cannot be undone.", err=True)
    try:
        wanted = click.confirm(f"Remove {_counted(chosen)}?", err=True)
    except click.Abort:
        click.echo(err=True)
        raise
    if not wanted:
        click.echo("exprec: nothing was removed", err=True)
        context.exit(0)


def _show_removed(chosen: Sequence[OrphanRow], removed: Sequence[OrphanRow]) -> None:
    from exprec.cli.output.garbage import size_text

    for each in chosen:
        if each not in removed:
            click.echo(f"exprec: kept {visible(each.orphan.name)}: it has changed since it was listed", err=True)
    if removed:
        size = size_text(sum(each.orphan.size for each in removed))
        click.echo(f"exprec: removed {_counted(removed)} ({size})", err=True)


def _counted(found: Sequence[OrphanRow]) -> str:
    runs = sum(each.orphan.is_run for each in found)
    parts = [(runs, "interrupted run"), (len(found) - runs, "file")]
    return " and ".join(count_noun(count, noun) for count, noun in parts if count)
