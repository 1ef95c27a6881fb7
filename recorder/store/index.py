"""What a list shows of a sealed run, read in as few steps as can be: a store may have very many.

Of a run where anything is not as it should be it says nothing; `rundir` and `store` read with care, and say what it is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs.safe_read import names_in
from exprec.recorder.schema import engine
from exprec.recorder.store.log import Entry, LogReader, MemorySink

HEAD_BYTES = 16 * 1024
TAIL_BYTES = 64 * 1024
"""So much of both ends of a log is read at once."""

_LARGEST_DOCUMENT = 1024 * 1024
_PLAINLY = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class NotGlimpsed(Exception):
    """There is more to a run than is read here."""


class Glimpse(NamedTuple):
    """The head of a run, its attestations in no order, and both ends of its log, of which the last is only read of a
    command."""

    head: dict[str, Any]
    attestations: list[dict[str, Any]]
    beginning: bytes
    ending: bytes
    is_cut: bool
    """Whether the log goes on after its beginning."""

    def entries(self) -> Iterator[Entry]:
        """The first events of the log. Raises Damaged, and NotGlimpsed where these are not enough."""
        log = MemorySink()
        log.append(self.beginning)
        yield from LogReader(log).entries(0, len(self.beginning))
        if self.is_cut:
            raise NotGlimpsed


def glimpse(store: str, run_id: str) -> Glimpse:
    """What is read of the sealed run of that address in the store at that path. Raises NotGlimpsed."""
    try:
        head = _document(f"{store}/{run_id}/{layout.RUN_FILE}", "run.v1")
        folder = f"{store}/{layout.ATTESTATIONS_FOLDER}/{run_id}"
        attestations = [_document(f"{folder}/{name}", "attestation.v1") for name in names_in(folder)]
        size = head["files"][layout.EVENTS_FILE]["size"]
        handle = os.open(f"{store}/{run_id}/{layout.EVENTS_FILE}", _PLAINLY)
        try:
            if _size_of(handle) != size:
                raise NotGlimpsed
            beginning = os.pread(handle, HEAD_BYTES, 0)
            wanted = TAIL_BYTES if head["type"] == layout.COMMAND_RUN else 1
            ending = os.pread(handle, wanted, max(size - wanted, 0))
        finally:
            os.close(handle)
    except (OSError, ValueError, KeyError) as error:
        raise NotGlimpsed from error
    if ending[-1:] not in (b"", b"\n"):
        raise NotGlimpsed
    return Glimpse(head, attestations, beginning, ending, len(beginning) < size)


def _document(path: str, schema: str) -> dict[str, Any]:
    """A small file of JSON that is valid by a schema. Raises NotGlimpsed, OSError, ValueError."""
    handle = os.open(path, _PLAINLY)
    try:
        size = _size_of(handle)
        data = os.read(handle, min(size, _LARGEST_DOCUMENT))
    finally:
        os.close(handle)
    document: dict[str, Any] = canonical_json.decode(data)
    if len(data) != size or not engine.validator(schema).is_valid(document):
        raise NotGlimpsed
    return document


def _size_of(handle: int) -> int:
    """The size of a plain file. Raises NotGlimpsed for anything else."""
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise NotGlimpsed
    return found.st_size
