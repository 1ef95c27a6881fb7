"""A run directory, sealed or not, as files: its head, its config, its log.

It reads only. How a directory comes to be is told in `recording`, how one is found in `store`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.format.hashing import file_names, folder_id
from exprec.recorder.fs.durable import is_locked
from exprec.recorder.fs.safe_read import plain_size, read_whole
from exprec.recorder.schema import engine
from exprec.recorder.store.artifacts import name_problem
from exprec.recorder.store.log import ExchangeReader, FileSource, LogReader, MemorySink, Source


class RunDirectory:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def is_sealed(self) -> bool:
        """Whether the run is complete. A head inside the work folder is a seal that was cut off."""
        return os.path.lexists(self.path / layout.RUN_FILE) and self.path.resolve().parent.name != layout.WORK_FOLDER

    @cached_property
    def run_id(self) -> str:
        """The address of a sealed run, the name of the folder of any other.

        A folder named like an address is believed, as git believes the name of an object: proving it
        is verification. A sealed run under another name (a copy) goes by the address of its content.
        """
        name = self.path.resolve().name
        if not self.is_sealed or is_run_id(name):
            return name
        try:
            return folder_id(self.path)
        except OSError as error:
            raise StorageFailure(self.path, error) from error

    @cached_property
    def head(self) -> dict[str, Any]:
        """run.json. Raises Damaged when it is not what was written."""
        path = self.path / layout.RUN_FILE
        head = self._json(path)
        if isinstance(head, dict) and isinstance(head.get("format"), int) and head["format"] > layout.FORMAT:
            raise Damaged(path, f"format {head['format']} is newer than this version of exprec knows; update exprec")
        problems = engine.problems(head, "run.v1")
        if problems:
            raise Damaged(path, str(problems[0]))
        assert isinstance(head, dict)
        return head

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json: what can be run again. Raises Damaged."""
        path = self.path / layout.CONFIG_FILE
        config = self._json(path)
        if not isinstance(config, dict):
            raise Damaged(path, "must be a JSON object")
        return config

    @cached_property
    def schemas(self) -> dict[str, Any]:
        """schemas.json: the schemas of its events by name; empty until the run is sealed. Raises Damaged."""
        if not self.is_sealed:
            return {}
        schemas = self._json(self.path / layout.SCHEMAS_FILE)
        if not isinstance(schemas, dict):
            raise Damaged(self.path / layout.SCHEMAS_FILE, "must be a JSON object")
        return schemas

    def output(self, stream: str) -> Path | None:
        """The file with what a recorded command wrote to `stdout` or `stderr`; None for a run of another kind, and
        where nothing was written yet. Raises Damaged when it is not of the recorded size."""
        return self._checked([name for name in self._other_names() if name == stream]).get(stream)

    def other_files(self) -> dict[str, Path]:
        """The files that are not in exprec's own form, by their names in the run: the output of a command, artifacts.

        Raises Damaged when one of a sealed run is missing or not of the recorded size, StorageFailure.
        """
        return self._checked(self._other_names())

    def _other_names(self) -> list[str]:
        try:
            names = self.head["files"] if self.is_sealed else file_names(self.path)
        except OSError as error:
            raise StorageFailure(self.path, error) from error
        return [name for name in names if _is_other(name)]

    def _checked(self, names: Iterable[str]) -> dict[str, Path]:
        found = {name: self.path / name for name in names}
        for name in found:
            self._check_size(name)
        return found

    @cached_property
    def work_head(self) -> dict[str, Any]:
        """What is known of a run that is not sealed beside its log; empty when nothing is."""
        path = work_head_path(self.path)
        head = self._json(path) if path.is_file() else {}
        # All that is ever written there are names and a number.
        known = head.items() if isinstance(head, dict) else ()
        return {key: value for key, value in known if isinstance(value, str | int)}

    @property
    def status(self) -> str:
        """`completed` or `failed` when sealed, else `running` or `interrupted`."""
        if self.is_sealed:
            return str(self.head["status"])
        return "running" if is_locked(work_head_path(self.path)) else "interrupted"

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return str((self.head if self.is_sealed else self.work_head).get("name", ""))

    @property
    def type(self) -> str:
        """The kind of experiment; `generic` where nothing says otherwise."""
        return str((self.head if self.is_sealed else self.work_head).get("type", "generic"))

    def reader(self) -> LogReader:
        """The log. Raises Damaged when a sealed log is not of the recorded size or ends in a torn line."""
        path = self.path / layout.EVENTS_FILE
        return LogReader(self._source(path), path, may_have_zeros=not self.is_sealed)

    def exchanges(self) -> list[dict[str, Any]]:
        """The requests to models with their answers, in order; none when no model was asked.

        Raises Damaged, naming file and line, for anything that is none, and as `reader` does.
        """
        return list(self.exchange_reader().exchanges())

    def exchange_reader(self) -> ExchangeReader:
        """The same, one by one."""
        path = self.path / layout.EXCHANGES_FILE
        was_asked = not self.is_sealed or path.exists() or layout.EXCHANGES_FILE in self.head["files"]
        source = self._source(path) if was_asked else MemorySink()
        return ExchangeReader(source, path, may_have_zeros=not self.is_sealed)

    def _source(self, path: Path) -> Source:
        """A file of records: if the run is sealed, of the recorded size and without a torn line."""
        size = self._check_size(path.name)
        if size is None:
            return MemorySink()
        try:
            source = FileSource(path)
        except StorageFailure as failure:
            # Sealed or removed by another process since it was looked at.
            if not self.is_sealed and isinstance(failure.error, FileNotFoundError):
                return MemorySink()
            raise
        if self.is_sealed and size and source.read(size - 1, 1) != b"\n":
            raise Damaged(path, "the last line is torn")
        return source

    def _check_size(self, name: str) -> int | None:
        """The size of a file, which in a sealed run must be the recorded one; None for a file that an unsealed run has
        not. Raises Damaged, for what is no plain file too; StorageFailure."""
        path = self.path / name
        try:
            size = plain_size(path, self.path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if not self.is_sealed:
                return None
            raise Damaged(path, error.strerror or str(error)) from error
        except OSError as error:
            raise StorageFailure(path, error) from error
        if not self.is_sealed:
            return size
        recorded = self.head["files"].get(name, {}).get("size")
        if size != recorded:
            raise Damaged(path, f"has {size} bytes where {layout.RUN_FILE} records {recorded}")
        return size

    def _json(self, path: Path) -> Any:
        try:
            data = read_whole(path)
        except FileNotFoundError as error:
            raise Damaged(path, "the file is missing") from error
        except OSError as error:
            raise StorageFailure(path, error) from error
        try:
            return canonical_json.decode(data)
        except ValueError as error:
            raise Damaged(path, f"not JSON ({error})") from None


def _is_other(name: str) -> bool:
    # A head that somebody forged shall not lead out of the run.
    folder, _, rest = name.partition("/")
    return name in layout.STREAMS or (folder == layout.ARTIFACTS_FOLDER and name_problem(rest) is None)


def is_run_id(text: str) -> bool:
    """Whether the text has the form of an address: 64 lower-case hex digits."""
    return len(text) == layout.ID_DIGITS and not set(text) - set("0123456789abcdef")


def work_head_path(folder: Path) -> Path:
    """The file beside a work folder that names the run and is locked while the run is in progress."""
    return folder.with_name(folder.name + layout.WORK_HEAD_SUFFIX)


def work_events_path(folder: Path) -> Path:
    """The file beside a work folder that a recorded command appends its events to while it runs."""
    return folder.with_name(folder.name + layout.WORK_EVENTS_SUFFIX)
