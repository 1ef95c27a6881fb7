"""Compare the trees at both ends of a branch, and verify the runs that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.diff import DiffResult, diff
from exprec.recorder.errors import ExprecError, Problem
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.git.repository import Blobs, Entry, ObjectUnreadable
from exprec.recorder.git.source import CommittedStore, LaidOut, Layout, laid_out
from exprec.recorder.query import RunRow, abbreviate_ids, list_runs, sort_rows
from exprec.recorder.review.branch import Branch
from exprec.recorder.review.result import NamedRun, Review, ReviewedRun, TagChange
from exprec.recorder.verify import verify_run

_MOST_PROBLEMS = 20
"""Maximum number of problems listed per run; the rest is counted."""

_MOST_DIFFERENCES = 10
"""Maximum number of differences listed per kind for the two runs of a moved tag; the rest is counted."""

Progress = Callable[[int, int], None]
"""Called with the ordinal of the next run, from 1, and the number of runs."""


def review_branch(branch: Branch, redacted: Callable[[str], str], progress: Progress) -> Review:
    """Review a branch.

    Args:
        branch: The branch and its merge base.
        redacted: Removes secrets from messages about files.
        progress: Called before each run is read.

    Raises:
        NotAStore: There is no store, or one of an unknown format.
        ObjectUnreadable: git cannot read an object.
        StorageFailure: The temporary folder cannot be written.
    """
    with ExitStack() as resources:
        blobs = resources.enter_context(branch.repository.blobs())
        layouts = [resources.enter_context(laid_out(store, blobs)) for store in (branch.old, branch.new)]
        return _Reviewing(branch, blobs, layouts[0], layouts[1], redacted).review(progress)


class _Reviewing:
    """One pass over what a branch changes."""

    def __init__(self, branch: Branch, blobs: Blobs, old: Layout, new: Layout, redacted: Callable[[str], str]) -> None:
        self._branch, self._blobs, self._redacted = branch, blobs, redacted
        self._old_layout, self._new_layout = old, new
        self._old, self._new = branch.old, branch.new
        self._old_names, self._new_names = set(self._old.run_names()), set(self._new.run_names())
        self._shorts = abbreviate_ids(self._old_names | self._new_names)

    def review(self, progress: Progress) -> Review:
        added = self._new_names - self._old_names
        both = self._new_names & self._old_names
        changed = {name for name in both if _files(self._old, name) != _files(self._new, name)}
        again = {name for name in both - changed if self._old.attestations(name) != self._new.attestations(name)}
        same_inputs = tuple(self._same_inputs(added))
        marked = {run.run_id for group in same_inputs for run in group}
        runs = {}
        for number, name in enumerate(sorted(added | changed | again), 1):
            progress(number, len(added) + len(changed) + len(again))
            run = self._run(name, is_changed=name in changed)
            runs[name] = replace(run, row=replace(run.row, shares_inputs=name in marked))
        broken = {name for name, run in runs.items() if run.problem_count}
        return Review(
            self._branch.base,
            self._branch.head,
            self._branch.merge_base,
            self._new.path,
            added=_newest_first(runs[name] for name in added),
            changed=_newest_first(runs[name] for name in changed),
            again=_newest_first(runs[name] for name in again),
            removed=tuple(self._named(name, self._old) for name in sorted(self._old_names - self._new_names)),
            same_inputs=same_inputs,
            tags=tuple(self._tags(broken)),
            problems=tuple(self._tag_problems()),
        )

    # --- runs ---------------------------------------------------------------------------------------------

    def _run(self, name: str, *, is_changed: bool) -> ReviewedRun:
        with self._new_layout.run(name) as laid:
            problems, count = self._problems(laid)
            row = replace(self._row(name, laid), short_id=self._shorts[name])
        files = tuple(_differing(_files(self._old, name), _files(self._new, name))) if is_changed else ()
        return ReviewedRun(row, problems, count, files, executions_before=len(self._old.attestations(name)))

    def _problems(self, laid: LaidOut) -> tuple[tuple[Problem, ...], int]:
        kept: list[Problem] = []
        count = 0
        for problem in chain(laid.problems, verify_run(laid.run) if laid.run else ()):
            count += 1
            if count <= _MOST_PROBLEMS:
                kept.append(self._shown(problem))
        return tuple(kept), count

    def _shown(self, problem: Problem) -> Problem:
        source = self._new.name(problem.source or "")
        message, key = self._redacted(problem.message), self._redacted(problem.key)
        return replace(problem, source=source, message=message, key=key)

    def _row(self, name: str, laid: LaidOut) -> RunRow:
        if laid.run is not None:
            for row in list_runs(self._new_layout.store()):
                if row.run_id == name:
                    return row
        return RunRow(name, is_sealed=True)

    def _named(self, name: str, store: CommittedStore, *, is_added: bool = False) -> NamedRun:
        head = self._head(name, store)
        title, result = head.get("name"), head.get("result")
        cost = result.get("final_cost") if isinstance(result, dict) else None
        return NamedRun(
            name,
            self._shorts[name],
            title if isinstance(title, str) else "",
            cost if type(cost) is int else None,
            is_added,
        )

    def _head(self, name: str, store: CommittedStore) -> Mapping[str, Any]:
        """Return the head of a run without validating it; empty if it cannot be read."""
        entry = store.entries(name).get(layout.RUN_FILE)
        try:
            head = canonical_json.decode(self._blobs.read(entry.object_id)) if entry else None
        except (ValueError, ObjectUnreadable):
            head = None
        return head if isinstance(head, dict) else {}

    def _same_inputs(self, added: set[str]) -> Iterator[tuple[NamedRun, ...]]:
        """Yield groups of runs with the same inputs as an added run."""
        if not added:
            return
        groups: dict[str, list[str]] = {}
        for name in sorted(self._new_names):
            inputs = self._head(name, self._new).get("inputs")
            if isinstance(inputs, str):
                groups.setdefault(inputs, []).append(name)
        for names in groups.values():
            if len(names) > 1 and added.intersection(names):
                ordered = sorted(names, key=lambda name: name not in added)
                yield tuple(self._named(name, self._new, is_added=name in added) for name in ordered)

    # --- tags ---------------------------------------------------------------------------------------------

    def _tags(self, broken: set[str]) -> Iterator[TagChange]:
        old, new = self._old.tags(self._blobs), self._new.tags(self._blobs)
        for name in sorted(old.keys() | new.keys()):
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            comparison, reason = None, ""
            if before is not None and after is not None:
                comparison, reason = self._compare(before, after, broken)
            yield TagChange(name, before, after, self._short(before), self._short(after), comparison, reason)

    def _short(self, content: str | None) -> str:
        return "" if content is None else self._shorts.get(content) or content

    def _compare(self, old: str, new: str, broken: set[str]) -> tuple[DiffResult | None, str]:
        layouts = []
        for run_id in (old, new):
            if run_id not in self._old_names | self._new_names:
                return None, f"there is no run {_shown(run_id)}"
            if run_id in broken:
                return None, f"the run {self._shorts[run_id]} does not verify"
            layouts.append(self._new_layout if run_id in self._new_names else self._old_layout)
        with layouts[0].run(old) as one, layouts[1].run(new) as other:
            if one.run is None or other.run is None:
                return None, "one of the two runs cannot be read"
            try:
                return diff(one.run, other.run, limit=_MOST_DIFFERENCES), ""
            except ExprecError as error:
                reason = str(error)
                for layout in layouts:
                    reason = layout.described(reason)
                return None, self._redacted(reason)

    def _tag_problems(self) -> Iterator[Problem]:
        """Yield a problem for each tag whose run the branch removes, or that does not name a run."""
        old = self._old.tags(self._blobs)
        for name, content in self._new.tags(self._blobs).items():
            was_there = old.get(name) == content and content not in self._old_names
            if content not in self._new_names and not was_there:
                message = f"names {_shown(self._redacted(content))}, which is not a run of {self._new.name()}"
                yield Problem((), message, source=self._new.name(f"{layout.TAGS_FOLDER}/{name}"))


def _shown(content: str) -> str:
    """The content of a tag for a message."""
    return content if layout.is_run_id(content) else show_value(content)


def _files(store: CommittedStore, name: str) -> Mapping[str, Entry]:
    """The files of a run; of something else under its name that itself."""
    entry = store.entries("").get(name)
    return {"": entry} if entry else store.entries(name)


def _differing(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Iterator[str]:
    for file in sorted(old.keys() | new.keys()):
        if old.get(file) != new.get(file):
            yield file or "the folder itself"


def _newest_first(runs: Iterable[ReviewedRun]) -> tuple[ReviewedRun, ...]:
    by_id = {run.row.run_id: run for run in runs}
    return tuple(by_id[row.run_id] for row in sort_rows(run.row for run in by_id.values()))
