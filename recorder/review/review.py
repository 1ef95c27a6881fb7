"""Compare the trees at both ends of a branch, and verify the runs that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.diff import DiffResult, diff
from exprec.recorder.errors import Damaged, ExprecError, Problem
from exprec.recorder.events import optimization
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.git import GitStore
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
        NotAStore: The store does not exist, or has an unknown format.
        ObjectUnreadable: git cannot read an object.
        StorageFailure: A temporary file cannot be written.
    """
    with branch.repository.blobs() as blobs:
        old = GitStore(branch.old_label, branch.folder, branch.old, blobs)
        new = GitStore(branch.head, branch.folder, branch.new, blobs)
        for store in (old, new):
            store.check_mark()
        return _Reviewer(branch, old, new, redacted).review(progress)


class _Reviewer:
    """One pass over what a branch changes."""

    def __init__(self, branch: Branch, old: GitStore, new: GitStore, redacted: Callable[[str], str]) -> None:
        self._branch, self._old, self._new, self._redacted = branch, old, new, redacted
        self._old_names, self._new_names = set(old.run_names()), set(new.run_names())
        self._old_tags, self._new_tags = old.tags(), new.tags()
        self._shorts = abbreviate_ids(self._old_names | self._new_names)

    def review(self, progress: Progress) -> Review:
        added = self._new_names - self._old_names
        both = self._new_names & self._old_names
        changed = {name for name in both if self._old.entries(name) != self._new.entries(name)}
        again = {
            name
            for name in both - changed
            if self._old.attestation_entries(name) != self._new.attestation_entries(name)
        }
        same_inputs = tuple(self._same_inputs(added))
        marked = {run.run_id for group in same_inputs for run in group}
        runs = {}
        for number, name in enumerate(sorted(added | changed | again), 1):
            progress(number, len(added) + len(changed) + len(again))
            run = self._run(name, is_changed=name in changed)
            runs[name] = replace(run, row=run.row._replace(shares_inputs=name in marked))
        broken = {name for name, run in runs.items() if run.problem_count}
        return Review(
            self._branch.base,
            self._branch.head,
            self._branch.merge_base,
            self._branch.folder,
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
        problems = self._problems(name)
        first = tuple(map(self._shown, islice(problems, _MOST_PROBLEMS)))
        count = len(first) + sum(1 for _ in problems)
        row = self._row(name)._replace(short_id=self._shorts[name])
        files = tuple(_differing(self._old.entries(name), self._new.entries(name))) if is_changed else ()
        return ReviewedRun(row, first, count, files, executions_before=len(self._old.attestation_entries(name)))

    def _is_executed_again(self, name: str) -> bool:
        return self._old.attestation_entries(name) != self._new.attestation_entries(name)

    def _problems(self, name: str) -> Iterator[Problem]:
        yield from self._new.check_entries(name)
        run = self._new.find_run(name)
        if run is not None:
            yield from verify_run(run)

    def _shown(self, problem: Problem) -> Problem:
        source = self._new.name_file(problem.source or "")
        message, key = self._redacted(problem.message), self._redacted(problem.key)
        return replace(problem, source=source, message=message, key=key)

    def _row(self, name: str) -> RunRow:
        if layout.is_run_id(name) and self._new.find_run(name) is not None:
            return list_runs(self._new, only=name)[0]
        return RunRow(name, is_sealed=True)

    def _named(self, name: str, store: GitStore, *, is_added: bool = False) -> NamedRun:
        head = self._head(name, store)
        title, result = head.get("name"), head.get("result")
        config = self._document(name, store, layout.CONFIG_FILE)
        return NamedRun(
            name,
            self._shorts[name],
            title if isinstance(title, str) else "",
            optimization.read_cost(result.get("final_cost"), config) if isinstance(result, dict) else None,
            is_added,
            optimization.cost_unit(config),
        )

    def _head(self, name: str, store: GitStore) -> Mapping[str, Any]:
        return self._document(name, store, layout.RUN_FILE)

    @staticmethod
    def _document(name: str, store: GitStore, file: str) -> Mapping[str, Any]:
        """Return the head or the config of a run without validating it; empty if it cannot be read."""
        try:
            value = canonical_json.decode(store.files.read(f"{name}/{file}"))
        except (ValueError, OSError, Damaged):
            value = None
        return value if isinstance(value, dict) else {}

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
        old, new = self._old_tags, self._new_tags
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
        runs = []
        for run_id in (old, new):
            if run_id not in self._old_names | self._new_names:
                return None, f"there is no run {_shown(run_id)}"
            if run_id in broken:
                return None, f"the run {self._shorts[run_id]} does not verify"
            run = (self._new if run_id in self._new_names else self._old).find_run(run_id)
            if run is None:
                return None, "one of the two runs cannot be read"
            runs.append(run)
        try:
            return diff(*runs, limit=_MOST_DIFFERENCES), ""
        except ExprecError as error:
            return None, self._redacted(str(error))

    def _tag_problems(self) -> Iterator[Problem]:
        """Yield a problem for each tag whose run the branch removes, or that does not name a run."""
        for name, content in self._new_tags.items():
            was_there = self._old_tags.get(name) == content and content not in self._old_names
            if content not in self._new_names and not was_there:
                message = f"names {_shown(self._redacted(content))}, which is not a run of {self._new.name_file()}"
                yield Problem((), message, source=self._new.name_file(f"{layout.TAGS_FOLDER}/{name}"))


def _shown(content: str) -> str:
    """The content of a tag for a message."""
    return content if layout.is_run_id(content) else show_value(content)


def _differing(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for file in sorted(old.keys() | new.keys()):
        if old.get(file) != new.get(file):
            yield file or "the folder itself"


def _newest_first(runs: Iterable[ReviewedRun]) -> tuple[ReviewedRun, ...]:
    by_id = {run.row.run_id: run for run in runs}
    return tuple(by_id[row.run_id] for row in sort_rows(run.row for run in by_id.values()))
