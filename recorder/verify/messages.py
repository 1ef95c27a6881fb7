"""Advice and phrases that the messages of all checks share."""

from __future__ import annotations

from dataclasses import replace

from exprec.recorder.errors import KeyPath, Problem, StorageFailure
from exprec.recorder.fs import EntryKind

RESTORE = "restore it from version control or from another copy of the run"
MOVE = "move it elsewhere"


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
