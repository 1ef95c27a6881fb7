"""Safe reading of a store from an untrusted source: regular files only, up to a size limit.

Opening a pipe blocks, a device may never end, and a symbolic link may lead out of the store.
"""

from __future__ import annotations

import os
import stat
from enum import StrEnum
from pathlib import Path

from exprec.recorder.errors import Damaged
from exprec.recorder.format import layout


class EntryKind(StrEnum):
    """What an entry of a folder is, as messages call it."""

    FILE = "a file"
    FOLDER = "a folder"
    LINK = "a symbolic link"
    SUBMODULE = "a submodule"
    OTHER = "a special file"


def plain_size(path: Path, top: Path | None = None) -> int:
    """Return the size of a regular file in bytes.

    Raises:
        Damaged: The path is not a regular file, or a folder above it, below `top`, is a link.
        OSError: The file cannot be examined.
    """
    for folder in path.parents if top is not None else ():
        if folder == top:
            break
        if folder.is_symlink():
            raise Damaged(folder, "must be a folder, and is a symbolic link")
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(path, f"must be a file, and is {kind_of(found.st_mode)}")
    return found.st_size


def read_whole(path: Path) -> bytes:
    """The bytes of a plain file. Raises Damaged for anything else, and where it is too large; OSError."""
    size = plain_size(path)
    if size > layout.MAX_LINE_BYTES:
        raise Damaged(path, f"has {size} bytes, more than {layout.MAX_LINE_BYTES}")
    return path.read_bytes()


def names_in(folder: str | Path) -> list[str]:
    """The names in a folder that are not drafts; none when there is no such folder. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []


def kind_of(mode: int) -> EntryKind:
    """Return what an entry is, by its mode."""
    if stat.S_ISDIR(mode):
        return EntryKind.FOLDER
    if stat.S_ISREG(mode):
        return EntryKind.FILE
    return EntryKind.LINK if stat.S_ISLNK(mode) else EntryKind.OTHER
