"""The store: a folder of runs, found by address, prefix, tag or path, and what was observed of them.

It knows nothing of what runs contain beyond their files.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import (
    AmbiguousRun,
    Damaged,
    InvalidEvent,
    InvalidInput,
    NotAStore,
    Problem,
    RunNotFound,
    StorageFailure,
)
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.format.hashing import digest
from exprec.recorder.fs import durable
from exprec.recorder.fs.safe_read import names_in, read_whole
from exprec.recorder.schema import engine
from exprec.recorder.schema.event_types import EventTypes
from exprec.recorder.store.run_directory import RunDirectory, is_run_id
from exprec.recorder.store.work_run import Recording

_LONGEST_TAG = 100
_TAG_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_READS_AS_RUN_ID = re.compile(rf"[0-9A-Fa-f]{{{layout.SHORTEST_PREFIX},}}")


class Store:
    """A folder of runs that is there."""

    def __init__(self, path: Path) -> None:
        """Open a store. Raises NotAStore when the folder is none, or of a newer format."""
        self.path = path
        mark = path / layout.STORE_FILE
        try:
            content = canonical_json.decode(read_whole(mark))
        except FileNotFoundError:
            raise NotAStore(path, f"no exprec store here ({layout.STORE_FILE} is missing)") from None
        except ValueError:
            raise NotAStore(mark, "not JSON; restore it from version control") from None
        except OSError as error:
            raise StorageFailure(mark, error) from error
        found = content.get("format") if isinstance(content, dict) else None
        if type(found) is int and found > layout.FORMAT:
            raise NotAStore(mark, f"format {found} is newer than this version of exprec knows; update exprec")
        problems = engine.problems(content, "store.v1")
        if problems:
            raise NotAStore(mark, str(problems[0]))

    @classmethod
    def open_or_create(cls, path: Path) -> Store:
        """The store at `path`, made there when the folder is empty or absent.

        Raises NotAStore when the folder has something else in it, StorageFailure.
        """
        mark = path / layout.STORE_FILE
        if not mark.exists():
            # Looked for once more: whoever creates the store meanwhile writes this file first of all.
            if path.exists() and (not path.is_dir() or _names_in(path)) and not mark.exists():
                raise NotAStore(path, "is not an exprec store and is not empty; name another folder with --store")
            durable.create_folder(path)
            # First and atomic: of two processes that create a store together, both find a store.
            durable.replace(mark, canonical_json.encode({"format": layout.FORMAT}))
        store = cls(path)
        for name, text in ((".gitattributes", layout.GIT_ATTRIBUTES), (".gitignore", layout.GIT_IGNORE)):
            if not (path / name).exists():
                durable.replace(path / name, text.encode())
        durable.create_folder(path / layout.WORK_FOLDER)
        return store

    def begin(
        self,
        name: str,
        experiment_type: str,
        config: Mapping[str, Any],
        secrets: SecretGuard | None = None,
        origin: Mapping[str, str] | None = None,
        types: EventTypes | None = None,
    ) -> Recording:
        """Begin a run of this name, which keeps `secrets` out of it and takes events of these types, exprec's own
        without them. `origin` says where it comes from, for whoever resumes it. Raises NotEncodable or SecretFound
        for the config, StorageFailure."""
        return Recording.begin(self.path, name, experiment_type, config, secrets or SecretGuard(), origin, types)

    def resume(
        self, run: RunDirectory, name: str, experiment_type: str, secrets: SecretGuard | None = None
    ) -> Recording:
        """Go on with an interrupted run of this store, which has this name and type: its records must come again.

        Raises RunInProgress, Damaged, StorageFailure.
        """
        return Recording.resume(run.path, name, experiment_type, secrets or SecretGuard())

    def run_ids(self) -> list[str]:
        """The addresses of all sealed runs, sorted."""
        return sorted(name for name in _names_in(self.path) if is_run_id(name))

    def work_names(self) -> list[str]:
        """The names of all runs in progress or interrupted, sorted."""
        work = self.path / layout.WORK_FOLDER
        return sorted(name for name in _names_in(work) if (work / name).is_dir())

    def tags(self) -> dict[str, str]:
        """Run ids by tag name, sorted; what stands in a file is not checked. Raises StorageFailure."""
        folder = self.path / layout.TAGS_FOLDER
        return {
            name: _bytes_of(folder / name).decode("utf-8", "replace").strip()
            for name in sorted(_names_in(folder))
            if (folder / name).is_file()
        }

    def tag(self, name: str, run_id: str, *, force: bool = False) -> str | None:
        """Let a tag stand for a sealed run of this store; returns the address it stood for before.

        Raises InvalidInput for a name that no tag can have, and when the tag stands for another run, unless
        that is what `force` is for; RunNotFound, StorageFailure.
        """
        problem = _problem_of_tag(name)
        if problem is not None:
            raise InvalidInput([Problem((), f"'{name}' cannot be a tag: {problem}")])
        if not is_run_id(run_id) or not (self.path / run_id).is_dir():
            raise RunNotFound(run_id, self.path)
        before = self.tags().get(name)
        if before == run_id:
            return before
        if before is not None and not force:
            message = f"the tag '{name}' stands for {before!r} already; use --force to let it stand for {run_id}"
            raise InvalidInput([Problem((), message)])
        folder = self.path / layout.TAGS_FOLDER
        durable.create_folder(folder)
        durable.replace(folder / name, f"{run_id}\n".encode())
        return before

    def untag(self, name: str) -> str | None:
        """Remove a tag; returns what it stood for, or None when there is no such tag. Raises StorageFailure."""
        before = self.tags().get(name)
        if before is not None:
            durable.remove(self.path / layout.TAGS_FOLDER / name)
        return before

    def resolve(self, reference: str) -> RunDirectory:
        """The run that an address, a unique prefix of one, a tag or the name of a work folder stands for.

        Raises RunNotFound, or AmbiguousRun with the candidates.
        """
        tagged = self.tags().get(reference)
        # What else stands in such a file is damage, and no path to follow.
        found = {tagged} if tagged is not None and is_run_id(tagged) else set()
        if len(reference) >= layout.SHORTEST_PREFIX:
            candidates = self.run_ids() + self.work_names()
            found |= {candidate for candidate in candidates if candidate.startswith(reference)}
        if not found:
            raise RunNotFound(reference, self.path)
        if len(found) > 1:
            raise AmbiguousRun(reference, sorted(found))
        name = found.pop()
        for folder in (self.path, self.path / layout.WORK_FOLDER):
            if (folder / name).is_dir():
                return RunDirectory(folder / name)
        raise RunNotFound(reference, self.path)

    def attest(self, run_id: str, observation: Mapping[str, Any]) -> Path:
        """Add an observation of an execution that reached `run_id`; returns its file.

        It is named by its digest, so that no two executions write the same file. Raises InvalidEvent
        when the observation breaks its schema.
        """
        attestation = {**observation, "format": layout.FORMAT, "run": run_id}
        problems = engine.problems(attestation, "attestation.v1")
        if problems:
            raise InvalidEvent("attestation", problems)
        data = canonical_json.encode(attestation, indent=True)
        folder = self.path / layout.ATTESTATIONS_FOLDER / run_id
        durable.create_folder(folder)
        path = folder / f"{digest(data)}.json"
        durable.replace(path, data)
        return path

    def attestations(self, run_id: str) -> list[dict[str, Any]]:
        """Everything observed of executions of a run, in the order in which they began.

        Raises Damaged for a file that is no observation, StorageFailure.
        """
        folder = self.path / layout.ATTESTATIONS_FOLDER / run_id
        found = [_attestation(folder / name) for name in _names_in(folder)]
        return sorted(found, key=in_order_of_time)


def in_order_of_time(attestation: Mapping[str, Any]) -> tuple[str, float]:
    """What attestations are sorted by: when the execution began, and how long it took, in seconds."""
    return attestation["started_at"], attestation["duration_seconds"]


def find_run(reference: str, store: Path) -> RunDirectory:
    """The run that `reference` stands for: the path of a run directory, or a name in the store.

    Raises RunNotFound, AmbiguousRun, NotAStore, StorageFailure.
    """
    path = Path(reference)
    try:
        if any((path / name).is_file() for name in (layout.EVENTS_FILE, layout.RUN_FILE)):
            return RunDirectory(path)
        if not store.exists():
            raise RunNotFound(reference, store)
        return Store(store).resolve(reference)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise RunNotFound(reference, store) from None
        raise StorageFailure(path, error) from error


def _problem_of_tag(name: str) -> str | None:
    """Why no tag can have this name, if so: a tag is a file on any system, and never mistaken for a run or option."""
    if len(name) > _LONGEST_TAG:
        return f"it has {len(name)} characters, and {_LONGEST_TAG} are the most"
    if not _TAG_NAME.fullmatch(name):
        return "a tag has letters (A to Z), digits, '.', '_' and '-', and begins with neither '.' nor '-'"
    if _READS_AS_RUN_ID.fullmatch(name):
        return (
            f"{layout.SHORTEST_PREFIX} or more hex digits are the beginning of a run id, and some run, now or later, "
            "would be taken for it; add another character"
        )
    return None


def _attestation(path: Path) -> dict[str, Any]:
    try:
        attestation = canonical_json.decode(_bytes_of(path))
    except ValueError as error:
        raise Damaged(path, f"not JSON ({error})") from None
    problems = engine.problems(attestation, "attestation.v1")
    if problems:
        raise Damaged(path, str(problems[0]))
    assert isinstance(attestation, dict)
    return attestation


def _bytes_of(path: Path) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:
        raise StorageFailure(path, error) from error


def _names_in(folder: Path) -> list[str]:
    """The names in a folder that are not drafts; none when there is no such folder."""
    try:
        return names_in(folder)
    except OSError as error:
        raise StorageFailure(folder, error) from error
