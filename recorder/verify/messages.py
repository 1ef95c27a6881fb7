"""Advice and phrases that the messages of all checks share."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from exprec.recorder.errors import KeyPath, Problem, StorageFailure
from exprec.recorder.fs import EntryKind

RESTORE = "restore it from version control or from another copy of the run"
MOVE = "move it elsewhere"

_SYSTEMS = {
    ".DS_Store": "macOS",
    "._*": "macOS",
    ".localized": "macOS",
    "Thumbs.db": "Windows",
    "desktop.ini": "Windows",
    ".directory": "KDE",
    "@eaDir": "Synology",
    ".nfs*": "NFS, for a deleted file that a process has open",
    ".fuse_hidden*": "FUSE, for a deleted file that a process has open",
}
"""What operating systems and their file managers write into the folders of others, by the names of files."""


def unexpected(name: str, where: str) -> str:
    """Return the message for an entry that a run or store cannot have; `where` is `in a run`, for instance."""
    return stray(name) or f"unexpected {where}; {MOVE}"


def stray(name: str) -> str | None:
    """Return the message for a file that an operating system wrote, or None; `name` may have folders."""
    parts = name.split("/")
    found = (system for pattern, system in _SYSTEMS.items() if any(fnmatchcase(part, pattern) for part in parts))
    system = next(found, None)
    return system and f"was not recorded; it is from {system}: delete it"


def value_problem(path: KeyPath, message: str) -> Problem:
    """Return a problem of a value whose file and line are not known yet."""
    return Problem(path, message, ".".join(map(str, path)))


def with_advice(problem: Problem) -> Problem:
    """Return the same problem with the advice to restore the file."""
    return replace(problem, message=f"{problem.message}; {RESTORE}")


def unreadable(error: OSError | StorageFailure, *, as_a: str = "") -> str:
    """Return the message for a file that the system cannot read; `as_a` is what it should be, such as `a folder`."""
    cause = error.error if isinstance(error, StorageFailure) else error
    return f"cannot be read{f' as {as_a}' if as_a else ''} ({cause.strerror or cause}); make it readable, or {RESTORE}"


def wrong_kind(kind: EntryKind, expected: EntryKind) -> str:
    """Return the message for an entry of a folder that is not what it must be."""
    return f"is {kind}, not {'a regular file' if expected is EntryKind.FILE else expected}"
