"""The result of a review: what a branch does to the runs and tags of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exprec.recorder.diff import DiffResult
from exprec.recorder.errors import Problem
from exprec.recorder.events import optimization
from exprec.recorder.query import RunRow


@dataclass(frozen=True, slots=True)
class ReviewedRun:
    """A run that the branch adds or changes, or of which it has other attestations."""

    row: RunRow
    problems: tuple[Problem, ...] = ()
    """The first problems; their source is the file as git names it."""
    problem_count: int = 0
    files: tuple[str, ...] = ()
    """The changed files of a sealed run."""
    executions_before: int = 0
    """Number of attestations before."""

    def as_dict(self) -> dict[str, Any]:
        """Return the value as plain JSON types."""
        return {
            **self.row.as_dict(),
            "changed_files": list(self.files),
            "executions_before": self.executions_before,
            "problem_count": self.problem_count,
            "problems": [problem.as_dict() for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A reference to a run. The final cost is None without a result."""

    run_id: str
    short_id: str
    name: str = ""
    final_cost: float | None = None
    is_added: bool = False
    cost_unit: str = optimization.CENTS

    def as_dict(self) -> dict[str, Any]:
        """Return the value as plain JSON types."""
        return {
            "run_id": self.run_id,
            "short_id": self.short_id,
            "name": self.name,
            "final_cost": self.final_cost,
            "cost_unit": None if self.final_cost is None else self.cost_unit,
            "added": self.is_added,
        }


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag that was added, removed or moved. Its content may be arbitrary text."""

    name: str
    old: str | None
    """None for a new tag."""
    new: str | None
    """None for a tag that was removed."""
    old_short: str = ""
    new_short: str = ""
    comparison: DiffResult | None = None
    """The comparison of the two runs of a moved tag; None if one of them cannot be read."""
    reason: str = ""
    """The reason why they cannot be compared."""

    @property
    def how(self) -> str:
        """`added`, `removed` or `moved`."""
        return "added" if self.old is None else "removed" if self.new is None else "moved"

    def as_dict(self) -> dict[str, Any]:
        """Return the value as plain JSON types."""
        return {
            "tag": self.name,
            "how": self.how,
            "old": self.old,
            "new": self.new,
            "comparison": None if self.comparison is None else self.comparison.as_dict(),
            "reason": self.reason or None,
        }


@dataclass(frozen=True, slots=True)
class Review:
    """The review of a branch against its merge base."""

    base: str
    head: str
    """Both as given by the user."""
    merge_base: str
    """The id of the merge base."""
    store: str
    """The path of the store from the top of the repository; empty at the top."""
    added: tuple[ReviewedRun, ...] = ()
    changed: tuple[ReviewedRun, ...] = ()
    """Sealed runs with a changed file; one without problems was restored."""
    again: tuple[ReviewedRun, ...] = ()
    """Runs with changes to attestations only."""
    removed: tuple[NamedRun, ...] = ()
    same_inputs: tuple[tuple[NamedRun, ...], ...] = ()
    """Groups of runs with equal inputs and different run ids that include an added run; added runs first."""
    tags: tuple[TagChange, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Problems outside of runs."""

    @property
    def verified(self) -> tuple[ReviewedRun, ...]:
        """The verified runs: all that the branch touches and does not remove."""
        return self.changed + self.added + self.again

    @property
    def problem_count(self) -> int:
        """Number of all problems, those of runs included."""
        return len(self.problems) + sum(run.problem_count for run in self.verified)

    def as_dict(self) -> dict[str, Any]:
        """Return the value as plain JSON types."""
        return {
            "base": self.base,
            "head": self.head,
            "merge_base": self.merge_base,
            "store": self.store,
            "ok": not self.problem_count,
            "added": [run.as_dict() for run in self.added],
            "changed": [run.as_dict() for run in self.changed],
            "recorded_again": [run.as_dict() for run in self.again],
            "removed": [run.as_dict() for run in self.removed],
            "same_inputs": [[run.as_dict() for run in runs] for runs in self.same_inputs],
            "tags": [tag.as_dict() for tag in self.tags],
            "problems": [problem.as_dict() for problem in self.problems],
        }
