"""`exprec verify`: verify runs of a directory, a git revision or the git index, and list every problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from exprec.cli.completion import complete_revision, complete_run
from exprec.cli.options import json_option, store_option
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.output.results import Verification
from exprec.cli.screen import print_message, print_progress
from exprec.cli.terminal import redact_secrets, store_path, wants_progress
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import count_noun
from exprec.recorder.errors import Problem
from exprec.recorder.format import layout
from exprec.recorder.store import RunDirectory, Store, find_run
from exprec.recorder.verify import verify_run, verify_store

if TYPE_CHECKING:
    from exprec.recorder.git import GitStore

_NOT_VERIFIED = 1


class _Selected(NamedTuple):
    """What is verified, one at a time, and the number of runs among it."""

    total: int
    verifications: Iterator[Verification]


@dataclass(slots=True)
class _Tally:
    runs: int = 0
    failed: int = 0
    problems: int = 0


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=complete_run)
@click.option("--all", "every", is_flag=True, help="Verify every run of the store, including unsealed ones.")
@click.option(
    "--git",
    "revision",
    metavar="REV",
    shell_complete=complete_revision,
    help="Verify runs committed in REV, without a checkout; all of them without RUN.",
)
@click.option("--staged", is_flag=True, help="Verify the runs and tags that the next commit changes, in all stores.")
@click.option("--quick", is_flag=True, help="Check sizes, digests and run ids only.")
@store_option
@json_option
@click.pass_context
def verify(
    context: click.Context,
    runs: tuple[str, ...],
    every: bool,
    revision: str | None,
    staged: bool,
    quick: bool,
    store: Path | None,
    as_json: bool,
) -> None:
    """Verify runs byte by byte: run id, digests, canonical form, schemas, event order, and the recorded result.

    RUN is a run id, a prefix of 4 or more digits, a tag, or the path of a run directory; with --git an id or a tag
    of that revision. If a revision has no store at the usual path, its only other store is used.

    Every problem of every run is listed as `file:line: field: what is wrong and what to do`.

    Exit code 0 if all runs verify, 1 if one does not or is not sealed, 2 if the revision or the repository does not
    exist, 4 if a run does not exist, 5 if the store cannot be read.

    --staged is for a pre-commit hook (`exprec init --hook` installs one). It also reports sealed runs that were
    changed, tags and execution records without their run, and files of runs that git ignores, with the rule and what
    to type. Removing a whole run is allowed, and reported.

    \b
    Example:
      exprec verify 3f5c
      exprec verify --all --json | jq -r 'select(.ok | not) | .run'
      exprec verify --git origin/main --quick
      exprec verify --staged
    """
    _check_usage(runs, every=every, revision=revision, staged=staged)
    reporter = choose_reporter(as_json=as_json, redact=redact_secrets)
    tally = _Tally()
    with ExitStack() as resources:
        if staged:
            selected = _in_index(store, resources, quick=quick)
        elif revision is not None:
            selected = _in_revision(revision, runs, store, resources, quick=quick)
        else:
            selected = _in_folder(runs, store_path(store), quick=quick)
        # On a terminal that shows stdout too, its lines are the progress.
        shows_progress = not runs and wants_progress(shows_events=True)
        for number, verification in enumerate(selected.verifications, 1):
            if shows_progress:
                print_progress(number, selected.total)
            number_of_problems = reporter.verification(verification)
            tally.runs += verification.name is not None
            tally.failed += verification.name is not None and number_of_problems > 0
            tally.problems += number_of_problems
    _print_summary(tally)
    if tally.problems:
        context.exit(_NOT_VERIFIED)


def _check_usage(runs: Sequence[str], *, every: bool, revision: str | None, staged: bool) -> None:
    if staged and (runs or every or revision is not None):
        raise click.UsageError("--staged selects the runs; it excludes RUN, --all and --git")
    if (runs and every) or not (runs or every or staged or revision is not None):
        raise click.UsageError("give either the runs to verify, or --all for every run of the store")


# --- the working tree ---------------------------------------------------------------------------------


def _in_folder(references: Sequence[str], store: Path, *, quick: bool) -> _Selected:
    runs = [find_run(reference, store) for reference in references] if references else _all_runs(Store(store))
    verifications = (_verify_stored(run, quick=quick) for run in runs)
    return _Selected(
        len(runs), verifications if references else chain(verifications, _verify_store_files(Store(store)))
    )


def _verify_store_files(store: Store) -> Iterator[Verification]:
    """Yield the problems of the files of a store beside its runs."""
    for problem in verify_store(store):
        yield Verification(str(store.path), iter([problem]), lambda problem: str(store.path / (problem.source or ".")))


def _verify_stored(run: RunDirectory, *, quick: bool) -> Verification:
    # Cached, because one file may have many problems.
    name_file = cache(lambda source: str(_problem_file(run, source)))
    return Verification(
        str(run.path),
        verify_run(run, quick=quick),
        lambda problem: name_file(problem.source or "."),
        run,
        run.files.name,
    )


def _all_runs(store: Store) -> list[RunDirectory]:
    """Return every run of a store, sealed runs first."""
    return [*map(store.run, store.run_names()), *map(store.work_run, store.work_names())]


def _problem_file(run: RunDirectory, source: str) -> Path:
    """Return the path of the file of a problem from the working directory."""
    parts: Sequence[str] = Path(source).parts
    if parts and parts[0] == layout.ATTESTATIONS_FOLDER:
        return run.files.parent().path.resolve().joinpath(*parts)
    name = run.files.name
    inside = parts[parts.index(name) + 1 :] if name in parts else parts
    return run.path.joinpath(*inside)


# --- git ----------------------------------------------------------------------------------------------
# Imported in functions, because verifying a directory does not need git.


def _in_revision(
    revision: str, references: Sequence[str], option: Path | None, resources: ExitStack, *, quick: bool
) -> _Selected:
    from exprec.recorder.git import GitStore, TreeIndex, find_repository, find_store_folder

    repository, folder = find_repository(store_path(option))
    index = TreeIndex(repository.tree(repository.commit(revision)))
    used = find_store_folder(revision, folder, index, is_given=option is not None)
    store = GitStore(revision, used, index, resources.enter_context(repository.blobs()))
    if used != folder:
        place = visible(store.name_file())
        print_message(f"exprec: using the store {place}; there is none at {visible(folder)}")
    names = [store.resolve(each).files.name for each in references] if references else store.run_names()
    store.check_mark()
    return _Selected(len(names), (_verify_committed(store, name, quick=quick) for name in names))


def _in_index(option: Path | None, resources: ExitStack, *, quick: bool) -> _Selected:
    from exprec.recorder.git import Repository, find_repository, staged_stores

    repository, only = (Repository(Path()), None) if option is None else find_repository(option)
    blobs = resources.enter_context(repository.blobs())
    stores = staged_stores(repository, blobs, only)
    for note in (note for each in stores for note in each.notes):
        print_message(f"exprec: {note}")

    def verify_all() -> Iterator[Verification]:
        for each in stores:
            for problem in each.problems:
                yield Verification(each.store.name_file(problem.source or ""), iter([problem]), _named_by(each.store))
            if each.runs:
                each.store.check_mark()
            for name, changes in each.runs.items():
                yield _verify_committed(each.store, name, changes, quick=quick)

    return _Selected(sum(len(each.runs) + len(each.problems) for each in stores), verify_all())


def _verify_committed(store: GitStore, name: str, changes: Sequence[Problem] = (), *, quick: bool) -> Verification:
    """Verify a run in git.

    `changes` to the sealed run are not problems if it verifies: then the commit repairs it.
    """
    run = store.find_run(name)
    found = chain(store.check_entries(name), verify_run(run, quick=quick) if run else ())
    first = next(found, None)
    if changes and first is None:
        print_message(f"exprec: this commit repairs run {visible(name)}")
    problems = iter(()) if first is None else chain(changes, [first], found)
    return Verification(store.name_file(name), problems, _named_by(store), run, name)


def _named_by(store: GitStore) -> Callable[[Problem], str]:
    return lambda problem: store.name_file(problem.source or "")


def _print_summary(tally: _Tally) -> None:
    if tally.failed:
        outcome = f"{count_noun(tally.failed, 'run')} with {count_noun(tally.problems, 'problem')}"
    else:
        outcome = count_noun(tally.problems, "problem") if tally.problems else "no problems"
    print_message(f"{count_noun(tally.runs, 'run')} verified: {outcome}")
