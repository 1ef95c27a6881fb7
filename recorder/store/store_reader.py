"""The runs, tags and execution records of a store, wherever its files are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exprec.recorder.errors import AmbiguousRun, Damaged, NotAStore, RunNotFound, StorageFailure
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs import EntryKind
from exprec.recorder.schema import find_problems
from exprec.recorder.store.file_tree import FileTree
from exprec.recorder.store.run_directory import RunDirectory


class StoreReader:
    """A store as its files have it. Its methods raise StorageFailure when these cannot be read."""

    def __init__(self, files: FileTree) -> None:
        """Open a store. Raises NotAStore for a folder without its mark, and for a format this version does not know."""
        self.files = files
        self.path = files.path
        """The folder; of a store that is not on disk what messages call it."""
        self._check_mark()

    def run_ids(self) -> list[str]:
        """Return the ids of all sealed runs, sorted."""
        return [name for name in self.visible_names() if layout.is_run_id(name)]

    def run_names(self) -> list[str]:
        """Return the names of all sealed runs and of other folders that hold the files of a run, sorted.

        A copy or damage may leave a run under a name that is not its id.
        """
        others = (layout.TAGS_FOLDER, layout.ATTESTATIONS_FOLDER)
        names = [name for name in self.visible_names() if name not in others]
        return [name for name in names if layout.is_run_id(name) or self._is_run(name)]

    def work_names(self) -> list[str]:
        """Return the names of runs in progress and of interrupted runs, sorted; only a store on disk has any."""
        return []

    def tags(self) -> dict[str, str]:
        """Return run ids by tag, sorted. The content of a tag is not checked."""
        files = [f"{layout.TAGS_FOLDER}/{name}" for name in self.visible_names(layout.TAGS_FOLDER)]
        return {
            file.partition("/")[2]: self._read(file).decode("utf-8", "replace").strip()
            for file in files
            if self._kind(file) is EntryKind.FILE
        }

    def attestations(self, run_id: str) -> list[dict[str, Any]]:
        """Return the execution records of a run, sorted by the start of the execution.

        Raises Damaged for a file that is not a valid record.
        """
        folder = f"{layout.ATTESTATIONS_FOLDER}/{run_id}"
        return self.sort_attestations(self._attestation(f"{folder}/{name}") for name in self.visible_names(folder))

    @staticmethod
    def sort_attestations(attestations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return execution records sorted by the start of the execution, then by its duration."""
        return sorted(attestations, key=lambda record: (record["started_at"], record["duration_seconds"]))

    def run(self, name: str) -> RunDirectory:
        """Return the run in the folder of this name, which need not exist."""
        return RunDirectory(self.files.subtree(name))

    def resolve(self, reference: str) -> RunDirectory:
        """Return the run that a run id, a unique prefix of one or a tag refers to.

        Raises RunNotFound, or AmbiguousRun with the candidates.
        """
        names = self._find_names(reference)
        if len(names) > 1:
            raise AmbiguousRun(reference, sorted(names))
        run = self._find_run(names.pop()) if names else None
        if run is None:
            raise self._not_found(reference)
        return run

    def visible_names(self, folder: str = "") -> list[str]:
        """Return the names in a folder of the store that do not begin with a dot, sorted; [] without a folder."""
        try:
            return [name for name in self.files.names(folder) if not name.startswith(".")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageFailure(self.path / folder, error) from error

    def _find_names(self, reference: str) -> set[str]:
        tagged = self.tags().get(reference)
        # Anything else in the file of a tag is damage, not a path to follow.
        found = {tagged} if tagged is not None and layout.is_run_id(tagged) else set()
        if len(reference) >= layout.SHORTEST_PREFIX:
            found |= {name for name in self._candidates() if name.startswith(reference)}
        return found

    def _candidates(self) -> list[str]:
        """The names that a reference may be a prefix of."""
        return self.run_names()

    def _find_run(self, name: str) -> RunDirectory | None:
        return self.run(name) if self._kind(name) is EntryKind.FOLDER else None

    def _not_found(self, reference: str) -> RunNotFound:
        return RunNotFound(reference, self.path)

    def _is_run(self, name: str) -> bool:
        try:
            return layout.is_run(name, self.files.names(name))
        except (OSError, Damaged):
            # A file, a link, or a folder that cannot be read.
            return False

    def _kind(self, name: str) -> EntryKind | None:
        try:
            return self.files.kind(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageFailure(self.path / name, error) from error

    def _read(self, name: str) -> bytes:
        try:
            return self.files.read(name)
        except OSError as error:
            raise StorageFailure(self.path / name, error) from error

    def _attestation(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            attestation = canonical_json.decode(self._read(name))
        except ValueError as error:
            raise Damaged(path, f"not JSON ({error})") from None
        problems = find_problems(attestation, "attestation.v1")
        if problems:
            raise Damaged(path, str(problems[0]))
        assert isinstance(attestation, dict)
        return attestation

    def _check_mark(self) -> None:
        mark = self.path / layout.STORE_FILE
        try:
            content = canonical_json.decode(self.files.read(layout.STORE_FILE))
        except FileNotFoundError:
            raise NotAStore(self.path, f"no exprec store here ({layout.STORE_FILE} is missing)") from None
        except ValueError:
            raise NotAStore(mark, "not JSON; restore it from version control") from None
        except OSError as error:
            raise StorageFailure(mark, error) from error
        version = content.get("format") if isinstance(content, dict) else None
        if type(version) is int and version > layout.FORMAT:
            raise NotAStore(mark, f"format {version} is newer than this version of exprec knows; update exprec")
        problems = find_problems(content, "store.v1")
        if problems:
            raise NotAStore(mark, str(problems[0]))
