"""Read access to one run, sealed or not: its head, its config, its log and its other files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.format import ByteSource, canonical_json, hashing, layout
from exprec.recorder.fs import durable
from exprec.recorder.schema import find_problems
from exprec.recorder.store.file_tree import FileTree, FolderTree
from exprec.recorder.store.log import ExchangeReader, LogReader
from exprec.recorder.store.sinks import MemorySink

REASON_KEY = "interrupted"
"""The key of a work head that tells why the run was left, if exprec itself stopped it."""


class Summary(NamedTuple):
    """What the head of a run records of its log."""

    status: str
    """`completed` or `failed`."""
    counts: Mapping[str, Any]
    result: Mapping[str, Any] | None
    failure: Mapping[str, Any] | None


class RunDirectory:
    """The directory of a run.

    Everything is read on first use. Content that exprec did not write raises Damaged with the file; what cannot be
    read raises StorageFailure.
    """

    def __init__(self, files: Path | FileTree) -> None:
        """Read the run in the folder at a path, or in a tree of files stored elsewhere."""
        self.files: FileTree = FolderTree(files) if isinstance(files, Path) else files
        self.path = self.files.path
        """The directory; of a run that is not on disk what messages call it."""
        self._formed: set[str] = set()
        """The documents read so far with an object that looks like a float that JSON cannot hold."""

    @cached_property
    def is_sealed(self) -> bool:
        """Whether the run is complete. A head inside the work folder belongs to an interrupted seal."""
        try:
            self.files.kind(layout.RUN_FILE)
        except OSError:
            return False
        return not self.is_work

    @cached_property
    def is_work(self) -> bool:
        """Whether the directory is that of a run in progress or interrupted."""
        parent = self.files.parent()
        # A store may be in a folder of this name.
        return parent.name == layout.WORK_FOLDER and not parent.exists(layout.STORE_FILE)

    @cached_property
    def run_id(self) -> str:
        """The id of a sealed run, the name of the folder of any other.

        The name of the folder is trusted if it is a run id, as git trusts the name of an object: proving it is
        verification. A sealed run in a folder of another name (a copy) has the id of its content.
        """
        name = self.files.name
        if not self.is_sealed or layout.is_run_id(name):
            return name
        try:
            return hashing.tree_id({file: self.files.digest(file).blob for file in self.files.files()})
        except OSError as error:
            raise StorageFailure(self.path, error) from error

    @cached_property
    def head(self) -> dict[str, Any]:
        """run.json."""
        path = self.path / layout.RUN_FILE
        head = self._read_json(layout.RUN_FILE)
        if isinstance(head, dict) and isinstance(head.get("format"), int) and head["format"] > layout.FORMAT:
            raise Damaged(path, f"format {head['format']} is newer than this version of exprec knows; update exprec")
        problems = find_problems(head, "run.v1")
        if problems:
            raise Damaged(path, str(problems[0]))
        assert isinstance(head, dict)
        return self._restored(layout.RUN_FILE, head, head["type"])

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json: the inputs of the run."""
        return self._restored(layout.CONFIG_FILE, self._read_object(layout.CONFIG_FILE))

    @cached_property
    def schemas(self) -> dict[str, Any]:
        """schemas.json: the schemas of its events by name; empty until the run is sealed."""
        return self._read_object(layout.SCHEMAS_FILE) if self.is_sealed else {}

    @property
    def has_floats(self) -> bool:
        """Whether the run may have floats that JSON cannot hold; a sealed one says so by a schema."""
        return not self.is_sealed or canonical_json.FLOAT_SCHEMA in self.schemas

    @cached_property
    def work_head(self) -> dict[str, Any]:
        """What is recorded beside the work folder of an unsealed run; empty if nothing is."""
        path = layout.work_head_path(self.path)
        try:
            head = canonical_json.decode(self.files.parent().read(path.name))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageFailure(path, error) from error
        except ValueError as error:
            raise Damaged(path, f"not JSON ({error})") from None
        # exprec writes names and one number there.
        known = head.items() if isinstance(head, dict) else ()
        return {key: value for key, value in known if isinstance(value, str | int)}

    @property
    def interruption(self) -> str | None:
        """Why exprec itself left an unsealed run; None if a signal or a crash did, which may have cut that file off."""
        try:
            reason = self.work_head.get(REASON_KEY)
        except Damaged:
            return None
        return reason if isinstance(reason, str) else None

    @property
    def status(self) -> str:
        """`completed` or `failed` when sealed, else `running` or `interrupted`."""
        if self.is_sealed:
            return str(self.head["status"])
        return "running" if durable.is_locked(layout.work_head_path(self.path)) else "interrupted"

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return str((self.head if self.is_sealed else self.work_head).get("name", ""))

    @property
    def type(self) -> str:
        """The type of the run; `generic` if none is recorded."""
        return str((self.head if self.is_sealed else self.work_head).get("type", "generic"))

    def reader(self) -> LogReader:
        """Open the log. Raises Damaged when a sealed log is not of the recorded size or ends in a torn line."""
        source = self._open_lines(layout.EVENTS_FILE)
        path = self.path / layout.EVENTS_FILE
        return LogReader(source, path, ends_at_zero=not self.is_sealed, has_floats=lambda: self.has_floats)

    def exchange_reader(self) -> ExchangeReader:
        """Open the requests to models and their responses; a run without any has no such file. Raises as `reader`.

        Memory does not grow with the exchanges, except for the offset of each.
        """
        name = layout.EXCHANGES_FILE
        has_file = not self.is_sealed or name in self.head["files"] or self._exists(name)
        source = self._open_lines(name) if has_file else MemorySink()
        return ExchangeReader(source, self.path / name, ends_at_zero=not self.is_sealed)

    def exchanges(self) -> list[dict[str, Any]]:
        """Return all requests to models with their responses, in order. Raises Damaged with the line."""
        return list(self.exchange_reader())

    def output(self, stream: str) -> Path | None:
        """Return the file with the output of a recorded command to `stdout` or `stderr`.

        None for a run of another type, and before there is any output. Raises Damaged when its size is not as
        recorded.
        """
        return self.path / stream if stream in self._sizes({stream}) else None

    def other_files(self) -> dict[str, int]:
        """Return name and size of the files that the recorded program wrote: output and artifacts.

        Open one with `files.open(name)`. Raises Damaged when one of a sealed run is missing or of another size than
        recorded.
        """
        return self._sizes(set(filter(_is_foreign, self._names())))

    def _names(self) -> list[str]:
        """The names of all files of the run; of a sealed run the recorded ones."""
        try:
            return list(self.head["files"]) if self.is_sealed else self.files.files()
        except OSError as error:
            raise StorageFailure(self.path, error) from error

    def _sizes(self, names: set[str]) -> dict[str, int]:
        sizes = {name: self._size(name) for name in self._names() if name in names}
        return {name: size for name, size in sizes.items() if size is not None}

    def _exists(self, name: str) -> bool:
        try:
            self.files.kind(name)
        except OSError:
            return False
        return True

    def _open_lines(self, name: str) -> ByteSource:
        """Open a file of records; that of a sealed run has the recorded size and no torn line."""
        size = self._size(name)
        if size is None:
            return MemorySink()
        try:
            source = self.files.open(name)
        except StorageFailure as failure:
            # Another process may seal or remove the run between the two steps.
            if not self.is_sealed and isinstance(failure.error, FileNotFoundError):
                return MemorySink()
            raise
        if self.is_sealed and size and source.read(size - 1, 1) != b"\n":
            raise Damaged(self.path / name, "the last line is torn")
        return source

    def _size(self, name: str) -> int | None:
        """The size of a file, checked against the head of a sealed run; None if an unsealed run lacks it."""
        path = self.path / name
        try:
            size = self.files.size(name)
        except (FileNotFoundError, NotADirectoryError) as error:
            if not self.is_sealed:
                return None
            raise Damaged(path, error.strerror or str(error)) from error
        except OSError as error:
            raise StorageFailure(path, error) from error
        recorded = self.head["files"].get(name, {}).get("size") if self.is_sealed else size
        if size != recorded:
            raise Damaged(path, f"has {size} bytes where {layout.RUN_FILE} records {recorded}")
        return size

    def _restored(self, name: str, document: dict[str, Any], run_type: str | None = None) -> dict[str, Any]:
        """Return a document with the floats that JSON cannot hold, if it has any. An experiment has none."""
        if name not in self._formed or (run_type or self.type) not in (layout.PYTHON_RUN, layout.COMMAND_RUN):
            return document
        restored: dict[str, Any] = canonical_json.restore_floats(document) if self.has_floats else document
        return restored

    def _read_object(self, name: str) -> dict[str, Any]:
        value = self._read_json(name)
        if not isinstance(value, dict):
            raise Damaged(self.path / name, "must be a JSON object")
        return value

    def _read_json(self, name: str) -> Any:
        path = self.path / name
        try:
            data = self.files.read(name)
        except FileNotFoundError as error:
            raise Damaged(path, "the file is missing") from error
        except OSError as error:
            raise StorageFailure(path, error) from error
        if canonical_json.has_float_form(data):
            self._formed.add(name)
        try:
            return canonical_json.decode(data)
        except ValueError as error:
            raise Damaged(path, f"not JSON ({error})") from None


def _is_foreign(name: str) -> bool:
    # By name, so that a forged head cannot lead out of the run.
    return name in layout.STREAMS or layout.is_artifact(name)
