"""The words that every check shares: what to do about damage, and what stands where a file should be.

It checks nothing.
"""

from __future__ import annotations

from dataclasses import replace

from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.fs.safe_read import kind_of as kind_of

RESTORE = "restore it from version control or from another copy of the run"


def at(path: KeyPath, message: str) -> Problem:
    """A problem of a value, whose file and line are not known yet."""
    return Problem(path, message, ".".join(map(str, path)))


def to_restore(problem: Problem) -> Problem:
    """The same problem with the advice to restore the file."""
    return replace(problem, message=f"{problem.message}; {RESTORE}")


def unreadable(error: OSError, *, a: str = "") -> str:
    """What to say of a file that the system did not read; `a` is what it should have been read as, such as a folder."""
    return f"cannot be read{f' as {a}' if a else ''} ({error.strerror or error}); make it readable, or {RESTORE}"
