"""What may be an artifact: a file that a run keeps, under a name that is a path on every system and in git.

Copying it is the recording's business.
"""

from __future__ import annotations

from pathlib import Path

from exprec.recorder.errors import StorageFailure

_LONGEST_NAME = 1000
_LONGEST_PART = 200
"""Bytes; file systems have 255 for a part of a path."""


def artifact_problem(name: str, source: Path, max_bytes: int) -> str | None:
    """Why a file cannot be kept under this name, if so, in words that may be recorded: they name no folder.

    Raises StorageFailure.
    """
    problem = name_problem(name)
    if problem is not None:
        return problem
    try:
        if not source.exists():
            return "cannot be kept: there is no such file"
        if not source.is_file():
            return "cannot be kept: it is no file"
        size = source.stat().st_size
    except OSError as error:
        raise StorageFailure(source, error) from error
    if size > max_bytes:
        return f"has {size} bytes, and {max_bytes} are the most; raise the limit, or record its SHA-256 instead"
    return None


def name_problem(name: str) -> str | None:
    """Why no artifact can have this name, if so."""
    if not name.isprintable() or "\\" in name:
        return "has a character in its name that not every system has in paths"
    if len(name.encode()) > _LONGEST_NAME:
        return f"has a name of more than {_LONGEST_NAME} bytes"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return "must be named by a relative path that stays within its folder"
        if len(part.encode()) > _LONGEST_PART:
            return f"has a part of more than {_LONGEST_PART} bytes in its name"
        if part.lower().startswith(".git"):
            # Such files would tell git what to do with the run, or git would not take them.
            return f"is named {part}, which means something to git; name it otherwise"
    return None
