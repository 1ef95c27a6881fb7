"""Where a run is stored, and its problems with the names that files have from there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from exprec.recorder.errors import Problem
from exprec.recorder.format import layout
from exprec.recorder.fs import durable
from exprec.recorder.store import FileTree, RunDirectory


class RunLocation(NamedTuple):
    """A folder with the files of a run."""

    files: FileTree
    store: FileTree | None
    """The store around it; None for a copy outside of any store."""
    is_sealed: bool
    """Whether a run there must be sealed: it is not among the runs in progress."""

    @classmethod
    def of(cls, files: FileTree) -> RunLocation:
        """Locate a run by its folder, which need not exist."""
        parent = files.parent()
        is_sealed = not RunDirectory(files).is_work
        store = parent if is_sealed else parent.parent()
        return cls(files, store if store.exists(layout.STORE_FILE) else None, is_sealed)

    @property
    def is_link(self) -> bool:
        """Whether the folder is a link that is itself in a store."""
        path = self.files.path
        return path.is_symlink() and (path.absolute().parent / layout.STORE_FILE).exists()

    @property
    def name(self) -> str:
        """The name of the folder, which is the run id of a sealed run."""
        return self.files.name

    def source(self, file: str = "") -> str:
        """Return the name of a file of the run in problems: from the store, or from the run outside of any store."""
        folder = self.name if self.is_sealed else f"{layout.WORK_FOLDER}/{self.name}"
        return "/".join(part for part in (folder if self.store else "", file) if part) or "."

    def is_in_progress(self) -> bool:
        """Return whether a process is recording the run."""
        return durable.is_locked(layout.work_head_path(self.files.path))


class RunProblems:
    """The problems of one run so far, each with the name of its file."""

    def __init__(self, location: RunLocation) -> None:
        self._location = location
        self._found: list[Problem] = []

    def add(self, file: str, message: str) -> None:
        """Report a file of the run, or its folder by the name ""."""
        self._found.append(Problem((), message, source=self._location.source(file)))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Report problems that name their files."""
        self._found.extend(problems)

    def add_in(self, file: str, problem: Problem) -> None:
        """Report a problem in a file of the run, or in the file of the run that it names itself."""
        self._found.append(replace(problem, source=self._location.source(problem.source or file)))

    def take(self) -> list[Problem]:
        """Return what was reported since the last call."""
        found, self._found = self._found, []
        return found
