"""`exprec verify`: whether runs are what they say they are, with every problem of every run.

It selects runs and prints; what is checked is told in `recorder.state.verify` and `recorder.store.verify`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from exprec.cli.environment import known_secrets, store_path, wants_progress
from exprec.cli.options import complete_run, json_option, store_option
from exprec.cli.render.text import visible
from exprec.recorder import format
from exprec.recorder.errors import Problem
from exprec.recorder.secrets import SecretGuard
from exprec.recorder.state.verify import verify as problems_of
from exprec.recorder.store.rundir import RunDirectory, is_run_id
from exprec.recorder.store.store import Store, find_run

_NOT_VERIFIED = 1


@dataclass(slots=True)
class _Counted:
    runs: int = 0
    failed: int = 0
    problems: int = 0


@click.command(short_help="Prove that runs are what was recorded.")
@click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=complete_run)
@click.option("--all", "every", is_flag=True, help="Verify every run of the store, and those that are not sealed.")
@click.option("--quick", is_flag=True, help="Check sizes, digests and addresses only.")
@store_option
@json_option
@click.pass_context
def verify(
    context: click.Context, runs: tuple[str, ...], every: bool, quick: bool, store: Path | None, as_json: bool
) -> None:
    """Check runs down to the last byte: address, digests, form, schemas, order, and what the log comes to.

    RUN is a run id, 4 or more of its first digits, a tag, or the path of a run directory.

    Every problem of every run is listed as `file:line: field: what is wrong and what to do`. Exits with 0
    when all runs verify, with 1 when one does not or is not sealed, with 4 when there is no such run, and
    with 5 when the store itself cannot be read as one.

    \b
    Example:
      exprec verify 3f5c
      exprec verify --all --quick
      exprec verify --all --json | jq -r 'select(.ok | not) | .run'
    """
    if bool(runs) == every:
        raise click.UsageError("give the runs to verify, or --all for every run of the store (not both)")
    path = store_path(store)
    found = _all_runs(Store(path)) if every else [_find(run, path) for run in runs]
    guard = SecretGuard(known_secrets())
    counted = _Counted()
    # Where the lines go to the same terminal, they are the progress.
    shows_progress = every and wants_progress(shows_events=True)
    for number, run in enumerate(found, 1):
        if shows_progress:
            click.echo(f"\r{number} of {len(found)} runs", nl=number == len(found), err=True)
        problems = problems_of(run, quick=quick)
        number_of_problems = _show_json(run, problems, guard) if as_json else _show(run, problems, guard)
        counted.runs += 1
        counted.failed += number_of_problems > 0
        counted.problems += number_of_problems
    _show_summary(counted)
    if counted.failed:
        context.exit(_NOT_VERIFIED)


def _find(reference: str, store: Path) -> RunDirectory:
    """The run of that name. A folder named like an address is a run even if all that told so was lost."""
    path = Path(reference)
    if path.is_dir() and (is_run_id(path.resolve().name) or (path / format.SCHEMAS_FILE).is_file()):
        return RunDirectory(path)
    return find_run(reference, store)


def _all_runs(store: Store) -> list[RunDirectory]:
    """Every run of a store, and whatever else in it has the files of a run."""
    known = set(store.run_ids())
    renamed = [
        folder.name
        for folder in store.path.iterdir()
        if folder.name not in known
        and any((folder / name).is_file() for name in (format.RUN_FILE, format.EVENTS_FILE, format.SCHEMAS_FILE))
    ]
    work = [store.path / format.WORK_FOLDER / name for name in store.work_names()]
    return [RunDirectory(path) for path in [*(store.path / name for name in sorted([*known, *renamed])), *work]]


def _show(run: RunDirectory, problems: Iterator[Problem], guard: SecretGuard) -> int:
    """Print the problems as they are found, else that there is none; returns how many there are."""
    count = 0
    for problem in problems:
        count += 1
        click.echo(visible(guard.redacted(str(problem.within(str(_file(run, problem)))))))
    if not count:
        events = run.head["counts"]["events"]
        click.echo(f"ok {run.run_id} ({_count(events, 'event')})")
    return count


def _show_json(run: RunDirectory, problems: Iterator[Problem], guard: SecretGuard) -> int:
    listed = [
        {
            "file": problem.source,
            "line": problem.line,
            "key": guard.redacted(problem.key),
            "message": guard.redacted(problem.message),
        }
        for problem in problems
    ]
    name = run.path.resolve().name
    said: dict[str, Any] = {
        "run": name if listed or is_run_id(name) else run.run_id,
        "path": str(run.path),
        "ok": not listed,
        "events": None if listed else run.head["counts"]["events"],
        "problems": listed,
    }
    # ASCII, so that a file name that is not text can be written to any terminal.
    click.echo(json.dumps(said, sort_keys=True))
    return len(listed)


def _file(run: RunDirectory, problem: Problem) -> Path:
    """The file of a problem as it can be opened from here."""
    parts: Sequence[str] = Path(problem.source or ".").parts
    if parts and parts[0] == format.ATTESTATIONS_FOLDER:
        return run.path.resolve().parent.joinpath(*parts)
    name = run.path.resolve().name
    inside = parts[parts.index(name) + 1 :] if name in parts else parts
    return run.path.joinpath(*inside)


def _show_summary(counted: _Counted) -> None:
    if counted.failed:
        outcome = f"{_count(counted.failed, 'run')} with {_count(counted.problems, 'problem')}"
    else:
        outcome = "no problems"
    click.echo(f"{_count(counted.runs, 'run')} verified: {outcome}", err=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
