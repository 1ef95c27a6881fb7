"""The fast summary of a sealed run: its small files and both ends of its log, in as few system calls as possible.

It gives up on a run where anything is not as exprec wrote it; the caller then reads that run with all checks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
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


def read_summary(store: str, run_id: str) -> FastSummary:
    """Read the summary of a sealed run in the store at this path. Raises NoSummary."""
    try:
        folder = f"{store}/{layout.ATTESTATIONS_FOLDER}/{run_id}"
        for each in (f"{store}/{run_id}", f"{store}/{layout.ATTESTATIONS_FOLDER}", folder):
            _refuse_link(each)
        head = _read_document(f"{store}/{run_id}/{layout.RUN_FILE}", "run.v1")
        attestations = [_read_document(f"{folder}/{name}", "attestation.v1") for name in visible_names(folder)]
        size = head["files"][layout.EVENTS_FILE]["size"]
        handle = os.open(f"{store}/{run_id}/{layout.EVENTS_FILE}", _OPEN_FLAGS)
        try:
            if _file_size(handle) != size:
                raise NoSummary
            beginning = os.pread(handle, HEAD_BYTES, 0)
            wanted = TAIL_BYTES if head["type"] == layout.COMMAND_RUN else 1
            ending = os.pread(handle, wanted, max(size - wanted, 0))
        finally:
            os.close(handle)
    except (OSError, ValueError, KeyError) as error:
        raise NoSummary from error
    if ending[-1:] not in (b"", b"\n"):
        raise NoSummary
    return FastSummary(head, attestations, beginning, ending, len(beginning) < size)


def _read_document(path: str, schema: str) -> dict[str, Any]:
    """Read a small JSON file that is valid by a schema. Raises NoSummary, OSError, ValueError."""
    handle = os.open(path, _OPEN_FLAGS)
    try:
        size = _file_size(handle)
        data = os.read(handle, min(size, _LARGEST_DOCUMENT))
    finally:
        os.close(handle)
    document: dict[str, Any] = canonical_json.decode(data)
    if len(data) != size or not load_validator(schema).is_valid(document):
        raise NoSummary
    return document


def _refuse_link(path: str) -> None:
    """Raise NoSummary for a link in place of a folder, which may be missing."""
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise NoSummary


def _file_size(handle: int) -> int:
    """The size of a regular file. Raises NoSummary for anything else."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise NoSummary
    return status.st_size
