"""The store on disk: what adds to the runs, tags and execution records in it, and the lookup of a run."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprec.recorder.errors import (
    Damaged,
    InvalidEvent,
    InvalidInput,
    NotAStore,
    Problem,
    RunNotFound,
    StorageFailure,
)
from exprec.recorder.events import EventTypes
from exprec.recorder.format import canonical_json, hashing, layout
from exprec.recorder.fs import EntryKind, durable, visible_names
from exprec.recorder.schema import find_problems
from exprec.recorder.store.file_tree import FolderTree
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store_reader import StoreReader

if TYPE_CHECKING:
    from exprec.recorder.diagnostics import SecretGuard
    from exprec.recorder.store.work_run import WorkRun

_LONGEST_TAG = 100
_TAG_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_READS_AS_RUN_ID = re.compile(rf"[0-9A-Fa-f]{{{layout.SHORTEST_PREFIX},}}")


class Store(StoreReader):
    """A folder of runs on disk."""

    def __init__(self, path: Path) -> None:
        """Open a store. Raises NotAStore when the folder is not a store or has a newer format, StorageFailure."""
        super().__init__(FolderTree(path))

    @classmethod
    def open_or_create(cls, path: Path) -> Store:
        """Open the store at `path`, and create it first in a folder that is empty or absent.

        Raises NotAStore when the folder holds something else, StorageFailure.
        """
        mark = path / layout.STORE_FILE
        if not mark.exists():
            # Checked a second time: another process that creates the store writes this file first.
            if path.exists() and (not path.is_dir() or _is_used(path)) and not mark.exists():
                raise NotAStore(path, "is not an exprec store and is not empty; name another folder with --store")
            durable.create_folder(path)
            # First and atomic: of two processes that create a store together, both find a store.
            durable.replace(mark, canonical_json.encode({"format": layout.FORMAT}))
        store = cls(path)
        for name, text in ((".gitattributes", layout.GIT_ATTRIBUTES), (".gitignore", layout.GIT_IGNORE)):
            if not (path / name).exists():
                durable.replace(path / name, text.encode())
        if _has_first_rules(store):
            durable.replace(path / ".gitignore", layout.GIT_IGNORE.encode())
        durable.create_folder(path / layout.WORK_FOLDER, path)
        return store

    def begin(
        self,
        name: str,
        experiment_type: str,
        config: Mapping[str, Any],
        secrets: SecretGuard | None = None,
        origin: Mapping[str, str] | None = None,
        types: EventTypes | None = None,
    ) -> WorkRun:
        """Begin a run whose content must not contain any of `secrets`.

        `types` are the event types it accepts, exprec's own by default. `origin` is kept beside the run for
        `exprec resume`, and is not content. Raises NotEncodable or SecretFound for the config, StorageFailure.
        """
        # Imported here because commands that read runs do not need them.
        from exprec.recorder.diagnostics import SecretGuard
        from exprec.recorder.store.work_run import WorkRun

        return WorkRun.begin(self.path, name, experiment_type, config, secrets or SecretGuard(), origin, types)

    def resume(
        self,
        run: RunDirectory,
        name: str,
        experiment_type: str,
        secrets: SecretGuard | None = None,
        machine: Mapping[str, str] | None = None,
    ) -> WorkRun:
        """Resume an interrupted run of this store: its records must come again before new ones are appended.

        `machine` has the `host` and `boot` of the process that resumes it, if they are known. Raises RunInProgress,
        Damaged, StorageFailure.
        """
        from exprec.recorder.diagnostics import SecretGuard  # here for the reason that `begin` gives
        from exprec.recorder.store.work_run import WorkRun

        return WorkRun.resume(run.path, name, experiment_type, secrets or SecretGuard(), machine)

    def work_names(self) -> list[str]:
        """Return the names of all runs in progress or interrupted, sorted."""
        names = self.visible_names(layout.WORK_FOLDER)
        # A link, or a file with the name of a folder, is damage, which whatever reads the run names.
        kinds = (EntryKind.FOLDER, EntryKind.LINK)
        return [
            name for name in names if layout.is_work_name(name) or self._kind(f"{layout.WORK_FOLDER}/{name}") in kinds
        ]

    def work_run(self, name: str) -> RunDirectory:
        """Return the run in a work folder, which need not exist."""
        return self.run(f"{layout.WORK_FOLDER}/{name}")

    def tag(self, name: str, run_id: str, *, force: bool = False) -> str | None:
        """Let a tag refer to a sealed run of this store, and return the run id it referred to before.

        Raises InvalidInput for an invalid name, and for a tag that refers to another run unless `force` is given;
        RunNotFound, StorageFailure.
        """
        problem = _tag_problem(name)
        if problem is not None:
            raise InvalidInput([Problem((), f"'{name}' cannot be a tag: {problem}")])
        if not layout.is_run_id(run_id) or self._kind(run_id) is not EntryKind.FOLDER:
            raise RunNotFound(run_id, self.path)
        folder = self.path / layout.TAGS_FOLDER
        before = self.tags().get(name)
        if before == run_id:
            return before
        durable.create_folder(folder, self.path)
        # Of two processes that set a tag at once, the second finds the tag of the first.
        with durable.locked_folder(folder):
            before = self.tags().get(name)
            if before == run_id:
                return before
            if before is not None and not force:
                message = f"tag '{name}' already refers to {before!r}; use --force to move it to {run_id}"
                raise InvalidInput([Problem((), message)])
            self._check_tag_file(name)
            if before is None:
                _check_collision(name, self.tags())
            durable.replace(folder / name, f"{run_id}\n".encode())
        return before

    def untag(self, name: str) -> str | None:
        """Remove a tag and return what it referred to, or None for an unknown tag. Raises StorageFailure."""
        before = self.tags().get(name)
        if before is None:
            return None
        with durable.locked_folder(self.path / layout.TAGS_FOLDER):
            before = self.tags().get(name)
            if before is not None:
                durable.remove(self.path / layout.TAGS_FOLDER / name, self.path)
        return before

    def attest(self, run_id: str, observation: Mapping[str, Any]) -> Path:
        """Add the record of an execution that produced this run id; returns its file.

        The file is named by its digest, so that two executions never write the same one. Raises InvalidEvent for an
        observation that is not valid by its schema, StorageFailure.
        """
        attestation = {**observation, "format": layout.FORMAT, "run": run_id}
        problems = find_problems(attestation, "attestation.v1")
        if problems:
            raise InvalidEvent("attestation", problems)
        data = canonical_json.encode(attestation, indent=True)
        folder = self.path / layout.ATTESTATIONS_FOLDER / run_id
        durable.create_folder(folder, self.path)
        path = folder / f"{hashing.sha256_hex((data,))}.json"
        durable.replace(path, data)
        return path

    def _check_tag_file(self, name: str) -> None:
        """Check that there is a regular file, or nothing, in place of a tag. Raises Damaged."""
        kind = self._kind(f"{layout.TAGS_FOLDER}/{name}")
        if kind not in (None, EntryKind.FILE):
            path = self.path / layout.TAGS_FOLDER / name
            raise Damaged(path, f"must be a file, and is {kind}", remedy="remove it")

    def _candidates(self) -> list[str]:
        return self.run_ids() + self.work_names()

    def _find_run(self, name: str) -> RunDirectory | None:
        for folder in (name, f"{layout.WORK_FOLDER}/{name}"):
            if self._kind(folder) in (EntryKind.FOLDER, EntryKind.LINK):
                return self.run(folder)
        return None


def find_run(reference: str, store: Path) -> RunDirectory:
    """Return the run that `reference` names: a run id or unique prefix, a tag, or a path, which has a slash.

    A name without a slash is looked up in the store only, so that no folder can take the place of a run. The store
    need not exist for a path. Raises RunNotFound, AmbiguousRun, NotAStore, StorageFailure.
    """
    path = Path(reference)
    try:
        # A name without a slash is looked up in the store alone: a folder of this name must not take its place.
        if "/" in reference:
            around = _store_around(path)
            # A link in a store is damage, and not followed to find that out.
            if (around is not None and path.is_symlink()) or _is_run_directory(path):
                return RunDirectory(FolderTree(path, around))
        if not store.exists():
            raise RunNotFound(reference, store)
        return Store(store).resolve(reference)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise RunNotFound(reference, store) from None
        raise StorageFailure(path, error) from error


def _is_run_directory(path: Path) -> bool:
    try:
        with os.scandir(path) as entries:
            names = {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # ValueError: a file system cannot have this name.
        return False
    return layout.is_run(path.resolve().name, names)


def _store_around(path: Path) -> Path | None:
    """Return the store that the folder of a run is in, so that no link in it is followed; None outside of any store."""
    parent = path.parent
    if (parent / layout.STORE_FILE).exists():
        return parent
    is_work = parent.name == layout.WORK_FOLDER and (parent.parent / layout.STORE_FILE).exists()
    return parent.parent if is_work else None


def _is_used(folder: Path) -> bool:
    """Whether there is anything but hidden files in a folder."""
    try:
        return bool(visible_names(folder))
    except OSError as error:
        raise StorageFailure(folder, error) from error


def _has_first_rules(store: Store) -> bool:
    """Whether the rules for git are those of exprec 0.1, unchanged; False for a file that cannot be read."""
    try:
        return store.files.read(".gitignore") == layout.FIRST_GIT_IGNORE.encode()
    except (OSError, Damaged):
        return False


def _check_collision(name: str, tags: Iterable[str]) -> None:
    """Raise InvalidInput if some system makes one file of a tag and another one."""
    other = next((tag for tag in tags if tag != name and layout.file_key(tag) == layout.file_key(name)), None)
    if other is not None:
        message = f"the tags '{name}' and '{other}' are one file on some systems"
        raise InvalidInput([Problem((), f"{message}; choose another name, or delete '{other}' first")])


def _tag_problem(name: str) -> str | None:
    """Why a tag cannot have this name: it is a file on any system, and never read as a run id or an option."""
    if len(name) > _LONGEST_TAG:
        return f"it has {len(name)} characters; the limit is {_LONGEST_TAG}"
    if not _TAG_NAME.fullmatch(name):
        return "a tag has letters (A to Z), digits, '.', '_' and '-', and does not begin with '.' or '-'"
    if _READS_AS_RUN_ID.fullmatch(name):
        return (
            f"{layout.SHORTEST_PREFIX} or more hex digits are a prefix of a run id, so it would be ambiguous with a "
            "present or future run; add another character"
        )
    problem = layout.portability_problem(name)
    return problem and f"it {problem}"
