"""The runs and tags that the next commit touches, and changes that are not allowed, by names and object ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exprec.recorder.errors import Problem
from exprec.recorder.format import layout
from exprec.recorder.git.git_store import GitStore, store_folders
from exprec.recorder.git.git_tree import TreeIndex
from exprec.recorder.git.ignored import find_ignored_files
from exprec.recorder.git.repository import LINK, SUBMODULE, Blobs, Change, Entry, Repository, applied

_UNSTAGE = "git restore --staged --worktree takes it back"


@dataclass(frozen=True, slots=True)
class StagedStore:
    """What is staged in one store. Files of problems are named from the store."""

    store: GitStore
    """The store in the index."""
    runs: Mapping[str, tuple[Problem, ...]]
    """The runs to verify, each with the changes to its sealed files: invalid unless they restore it."""
    problems: tuple[Problem, ...]
    """Other problems."""
    notes: tuple[str, ...]
    """Allowed changes that the user must notice, as sentences."""


@dataclass(slots=True)
class _Findings:
    runs: dict[str, list[Problem]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def staged_stores(repository: Repository, blobs: Blobs, only: str | None = None) -> list[StagedStore]:
    """Every store of which something is staged; with `only`, that at this path from the top of the repository.

    Raises GitFailure, ObjectUnreadable.
    """
    head = repository.head()
    tree = head or repository.empty_tree()
    before = repository.tree(tree)
    changes = repository.staged(tree)
    after = applied(before, changes)
    folders = {*store_folders(before), *store_folders(after), *_folders_of_new_runs(changes)}
    if only is not None and only not in folders:
        note = f"there are no runs in {only or 'the top of the repository'}, neither in HEAD nor in the index"
        return [StagedStore(GitStore("", only, TreeIndex({}), blobs), {}, (), (note,))]
    indexes = TreeIndex(before), TreeIndex(after)
    found = []
    for path in sorted(folders if only is None else {only}):
        prefix = f"{path}/" if path else ""
        inside = {change.path.removeprefix(prefix): change for change in changes if change.path.startswith(prefix)}
        if not inside:
            continue
        old, new = GitStore("HEAD", path, indexes[0], blobs), GitStore("", path, indexes[1], blobs)
        staged = _staged(old, new, inside, blobs)
        ignored = tuple(find_ignored_files(repository, path, staged.runs, after)) if staged.runs else ()
        staged = replace(staged, problems=staged.problems + ignored)
        if staged.runs or staged.problems or staged.notes:
            found.append(staged)
    return found


def _folders_of_new_runs(changes: list[Change]) -> Iterator[str]:
    """The folders to which a run is added, even where the file that makes them a store is not."""
    for change in changes:
        *above, folder, name = ["", *change.path.split("/")]
        if change.after is not None and layout.is_run_id(folder) and layout.is_run("", (name,)):
            yield "/".join(above[1:])


def _staged(old: GitStore, new: GitStore, changes: Mapping[str, Change], blobs: Blobs) -> StagedStore:
    findings = _Findings()
    names, old_names = set(new.run_names()), set(old.run_names())
    for file, change in changes.items():
        first, _, rest = file.partition("/")
        if first in names:
            _file_of_run(findings, first, file, change, is_new=first not in old_names)
        elif first in old_names:
            # Removed with its whole run.
            continue
        elif first == layout.ATTESTATIONS_FOLDER:
            _attestation(findings, file, change, names)
        elif first == layout.TAGS_FOLDER and rest and not rest.startswith("."):
            _tag(findings, file, change, names, blobs)
        elif file == layout.STORE_FILE and change.after is None and names:
            findings.problems.append(_at(file, f"is removed, but runs remain; {_UNSTAGE}"))
    _note_removed(findings, sorted(old_names - names), new)
    if findings.runs and not new.is_marked:
        place = new.folder or "the top of the repository"
        findings.notes.append(f"{place} has no {layout.STORE_FILE}, so it is not a store; add it to the commit too")
    runs = {name: tuple(findings.runs[name]) for name in sorted(findings.runs)}
    return StagedStore(new, runs, tuple(findings.problems), tuple(findings.notes))


def _file_of_run(findings: _Findings, name: str, file: str, change: Change, *, is_new: bool) -> None:
    changed = findings.runs.setdefault(name, [])
    if change.is_unmerged:
        findings.problems.append(_conflict(file))
    elif not is_new:
        how = "added to" if change.before is None else "removed from" if change.after is None else "changed in"
        changed.append(_at(file, f"is {how} a sealed run, which never changes; {_UNSTAGE}"))


def _attestation(findings: _Findings, file: str, change: Change, names: set[str]) -> None:
    run_id = file.split("/")[1]
    if change.is_unmerged:
        findings.problems.append(_conflict(file))
    elif run_id in names:
        findings.runs.setdefault(run_id, [])
        if change.after is None:
            findings.notes.append(f"this commit removes an attestation of the run {run_id}")
    elif change.after is not None:
        findings.problems.append(_at(file, "attests a run that is not in the index; git add the run too"))


def _tag(findings: _Findings, file: str, change: Change, names: set[str], blobs: Blobs) -> None:
    if change.is_unmerged:
        findings.problems.append(_conflict(file))
    elif change.after is None:
        return
    elif change.after.mode in (LINK, SUBMODULE):
        findings.problems.append(_at(file, "must be a regular file with a run id"))
    else:
        found = _address(change.after, blobs)
        if found is None:
            findings.problems.append(_at(file, "must contain one line with a full run id"))
        elif found not in names:
            findings.problems.append(_at(file, f"names run {found}, which is not in the index; git add the run too"))


def _address(entry: Entry, blobs: Blobs) -> str | None:
    text = blobs.read(entry.object_id).decode("utf-8", "replace").strip()
    return text if layout.is_run_id(text) else None


def _note_removed(findings: _Findings, removed: Sequence[str], new: GitStore) -> None:
    tags: dict[str, list[str]] = {}
    for tag, run_id in new.tags().items() if removed else ():
        tags.setdefault(run_id, []).append(tag)
    for name in removed:
        kept = [f"tag {tag}" for tag in tags.get(name, ())]
        count = len(new.attestation_entries(name))
        kept += [f"{count} attestation{'s' if count > 1 else ''}"] if count else []
        rest = f"; still present: {', '.join(kept)}" if kept else ""
        findings.notes.append(f"this commit removes the run {name}{rest}")


def _conflict(file: str) -> Problem:
    return _at(file, "is in conflict; resolve that, then git add it")


def _at(file: str, message: str) -> Problem:
    return Problem((), message, source=file)
