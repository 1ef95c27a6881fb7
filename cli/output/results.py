"""Results that only commands produce, as values for the reporters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exprec.recorder.display import count_noun

if TYPE_CHECKING:
    # For annotations only, so that a command loads the rooms of its own result alone.
    from exprec.recorder.errors import Problem
    from exprec.recorder.query import OrphanRow
    from exprec.recorder.store import RunDirectory, garbage


class CheckedFile(NamedTuple):
    """The problems and warnings of a file that a user wrote; `kind`: None if it cannot be read."""

    file: str
    kind: str | None
    problems: Sequence[Problem] = ()
    warnings: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form of the result."""
        return {
            "file": self.file,
            "kind": self.kind,
            "ok": not self.problems,
            "problems": [problem.as_dict() for problem in self.problems],
            "warnings": list(self.warnings),
        }


class Garbage(NamedTuple):
    """An interrupted run, or a file left by a crash, and its age in seconds."""

    row: OrphanRow
    age: float

    @property
    def orphan(self) -> garbage.Orphan:
        """The run or file itself."""
        return self.row.orphan

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form of the result."""
        return {**self.row.as_dict(), "age_seconds": round(self.age)}


def count_garbage(items: Sequence[Garbage]) -> str:
    """Return the number of interrupted runs and of files: `1 interrupted run and 2 files`."""
    runs = sum(each.orphan.is_run for each in items)
    counts = ((runs, "interrupted run"), (len(items) - runs, "file"))
    return " and ".join(count_noun(count, noun) for count, noun in counts if count)


class StoreSetup(NamedTuple):
    """What `exprec init` did: `new`, `changed`, `present` or `foreign` for each part; None where it was not asked."""

    path: Path
    store: str
    git: str | None = None
    hook: str | None = None
    hook_path: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form of the result."""
        return {
            "store": self.store,
            "git": self.git,
            "hook": self.hook,
            "path": str(self.path),
            "hook_path": None if self.hook_path is None else str(self.hook_path),
        }


class TagReference(NamedTuple):
    """A tag, the run id it refers to, and whether the store has that run."""

    name: str
    run_id: str
    exists: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form of the result."""
        return {"tag": self.name, "run_id": self.run_id, "found": self.exists}


class Verification(NamedTuple):
    """The verification of a run, or of a file of the store beside the runs, which is a result if it has problems."""

    path: str
    """The path from the working directory, or as git names it."""
    problems: Iterator[Problem]
    """The problems, as they are found."""
    name_file: Callable[[Problem], str]
    """Returns the file of a problem in the form of `path`."""
    run: RunDirectory | None = None
    """None where no run can be read."""
    name: str | None = None
    """The name of the run's directory; None for a file beside the runs."""
