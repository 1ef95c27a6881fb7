"""The fast summary of a sealed run: its small files and both ends of its log, in as few system calls as possible.

It gives up on a run where anything is not as exprec wrote it; the caller then reads that run with all checks.
"""

from __future__ import annotations

import os
import stat
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs import visible_names
from exprec.recorder.schema import load_validator
from exprec.recorder.store import log

HEAD_BYTES = 16 * 1024
TAIL_BYTES = 64 * 1024
"""How much of the beginning and of the end of a log is read."""

_LARGEST_DOCUMENT = 1024 * 1024
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class NoSummary(Exception):
    """The fast summary of a run does not suffice."""


class FastSummary(NamedTuple):
    """The head of a sealed run, its execution records in no order, and both ends of its log."""

    head: dict[str, Any]
    attestations: list[dict[str, Any]]
    beginning: bytes
    ending: bytes
    """At least the last byte of the log; of the run of a command its last TAIL_BYTES."""
    is_cut: bool
    """Whether the log is longer than `beginning`."""

    def entries(self) -> Iterator[log.Entry]:
        """Yield the first events of the log. Raises Damaged, and NoSummary for a caller that needs more of them."""
        yield from log.decode_events(self.beginning)
        if self.is_cut:
            raise NoSummary


class SummaryReader:
    """Reads the fast summaries of a store on disk. It opens no path below the store, so that it follows no link."""

    def __init__(self, store: Path) -> None:
        """Open the folders of a store, until this object is gone. Raises NoSummary."""
        try:
            self._store = _open_folder(store.resolve())
            weakref.finalize(self, os.close, self._store)
            self._attestations = None
            with suppress(FileNotFoundError):
                self._attestations = _open_folder(layout.ATTESTATIONS_FOLDER, self._store)
                weakref.finalize(self, os.close, self._attestations)
        except OSError as error:
            raise NoSummary from error

    def read(self, run_id: str) -> FastSummary:
        """Read the summary of a sealed run. Raises NoSummary."""
        try:
            attestations = self._read_attestations(run_id)
            run = _open_folder(run_id, self._store)
            try:
                head = _read_document(layout.RUN_FILE, run, "run.v1")
                beginning, ending = _read_ends(run, head)
            finally:
                os.close(run)
            return FastSummary(head, attestations, beginning, ending, len(beginning) < _log_size(head))
        except (OSError, ValueError, KeyError) as error:
            raise NoSummary from error

    def _read_attestations(self, run_id: str) -> list[dict[str, Any]]:
        if self._attestations is None:
            return []
        try:
            folder = _open_folder(run_id, self._attestations)
        except FileNotFoundError:
            return []
        try:
            return [_read_document(name, folder, "attestation.v1") for name in visible_names(folder)]
        finally:
            os.close(folder)


def _open_folder(name: str | Path, parent: int | None = None) -> int:
    """Open a folder that is not a link. Raises OSError."""
    return os.open(name, _OPEN_FLAGS | os.O_DIRECTORY, dir_fd=parent)


def _read_document(name: str, folder: int, schema: str) -> dict[str, Any]:
    """Read a small JSON file that is valid by a schema. Raises NoSummary, OSError, ValueError."""
    handle = os.open(name, _OPEN_FLAGS, dir_fd=folder)
    try:
        size = _file_size(handle)
        data = os.read(handle, min(size, _LARGEST_DOCUMENT))
    finally:
        os.close(handle)
    document: dict[str, Any] = canonical_json.decode(data)
    if len(data) != size or not load_validator(schema).is_valid(document):
        raise NoSummary
    return document


def _read_ends(run: int, head: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return `beginning` and `ending` of a log. Raises NoSummary, OSError."""
    handle = os.open(layout.EVENTS_FILE, _OPEN_FLAGS, dir_fd=run)
    try:
        size = _file_size(handle)
        if size != _log_size(head):
            raise NoSummary
        wanted = TAIL_BYTES if head["type"] == layout.COMMAND_RUN else 1
        beginning, ending = os.pread(handle, HEAD_BYTES, 0), os.pread(handle, wanted, max(size - wanted, 0))
    finally:
        os.close(handle)
    if ending[-1:] not in (b"", b"\n"):
        raise NoSummary
    return beginning, ending


def _log_size(head: Mapping[str, Any]) -> int:
    size: int = head["files"][layout.EVENTS_FILE]["size"]
    return size


def _file_size(handle: int) -> int:
    """The size of a regular file. Raises NoSummary for anything else."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise NoSummary
    return status.st_size
