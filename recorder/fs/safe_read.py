"""Safe reading of files from an untrusted source: regular files only, up to a size limit.

Opening a pipe blocks, a device may never end, and a symbolic link may lead out of the folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from exprec.recorder.errors import Damaged

_CHUNK_BYTES = 64 * 1024


class EntryKind(StrEnum):
    """What an entry of a folder is, as messages call it."""

    FILE = "a file"
    FOLDER = "a folder"
    LINK = "a symbolic link"
    SUBMODULE = "a submodule"
    OTHER = "a special file"


def kind_of(mode: int) -> EntryKind:
    """Return what an entry is, by its mode."""
    if stat.S_ISDIR(mode):
        return EntryKind.FOLDER
    if stat.S_ISREG(mode):
        return EntryKind.FILE
    return EntryKind.LINK if stat.S_ISLNK(mode) else EntryKind.OTHER


def check_folders(folder: Path, top: Path, checked: set[Path] | None = None) -> None:
    """Check that a folder and those above it, below `top`, are folders and not links to folders.

    Nothing happens when one is missing. `top`, which the user names, may be a link. `checked` are folders that were
    checked before, to which this call adds: otherwise a walk through nested folders takes quadratic time.

    Raises:
        Damaged: One of them is something else.
        OSError: One of them cannot be examined.
    """
    known = set() if checked is None else checked
    pending: list[Path] = []
    while folder != top and folder not in known:
        pending.append(folder)
        folder = folder.parent
    for path in reversed(pending):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            raise Damaged(path, f"must be a folder, and is {kind_of(mode)}", remedy="replace it with the folder itself")
        known.add(path)


def plain_size(path: Path, top: Path | None = None, checked: set[Path] | None = None) -> int:
    """Return the size of a regular file in bytes.

    Raises:
        Damaged: The path is not a regular file, or a folder above it, below `top`, is not a folder.
        OSError: The file cannot be examined.
    """
    if top is not None:
        check_folders(path.parent, top, checked)
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(path, f"must be a file, and is {kind_of(found.st_mode)}")
    return found.st_size


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file that exists. Nothing blocks, and no link is followed.

    Raises:
        Damaged: The path is not a regular file, or has a second name when it is to be written: a write would change
            the other file too.
        OSError: The file cannot be opened.
    """
    try:
        handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            plain_size(path)
        raise
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise Damaged(path, f"must be a file, and is {kind_of(found.st_mode)}")
    if flags & (os.O_WRONLY | os.O_RDWR) and found.st_nlink > 1:
        os.close(handle)
        raise Damaged(path, "is a hard link, so a write would change another file too", remedy="replace it with a copy")
    return handle


def read_whole(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        Damaged: The path is not a regular file, or the file has more than `limit` bytes.
        OSError: The file cannot be read.
    """
    size = plain_size(path)
    if size > limit:
        raise Damaged(path, f"has {size} bytes, more than {limit}")
    return path.read_bytes()


def read_pieces(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces of bounded size. Raises OSError."""
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK_BYTES):
            yield piece


def visible_names(folder: str | Path | int) -> list[str]:
    """Return the names in a folder, also an open one, that do not begin with a dot; [] without it. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []


def file_names(folder: Path) -> list[str]:
    """Return the paths (`a/b`) of all files in a folder and below it, sorted. Raises OSError."""
    # Without recursion: folders may be nested more deeply than Python's stack.
    names: list[str] = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        for path in (folder / prefix).iterdir():
            if path.is_dir() and not path.is_symlink():
                pending.append(f"{prefix}{path.name}/")
            else:
                names.append(f"{prefix}{path.name}")
    return sorted(names)


class FoundFile(NamedTuple):
    """What a walk found: a file, or a folder that it cannot enter."""

    name: str
    """The path from the folder in which the walk began, with slashes."""
    path: Path
    error: OSError | None = None
    """Why a folder cannot be entered."""


class _Entered(NamedTuple):
    """A folder that a walk has entered, and the one around it."""

    name: str
    identity: tuple[int, int]
    around: _Entered | None


def walk_files(folder: Path) -> Iterator[FoundFile]:
    """Yield everything below a folder that is not a folder, links followed: nothing is below a link to a folder above.

    A broken link and a special file are yielded as a file is. The order is that of the folder.
    """
    pending: list[tuple[str, _Entered | None]] = [("", None)]
    while pending:
        name, around = pending.pop()
        path = folder / name
        try:
            status = path.stat()
            entered = _Entered(name, (status.st_dev, status.st_ino), around)
            if _is_inside(entered):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            with os.scandir(path) as entries:
                for entry in entries:
                    inner = f"{name}/{entry.name}" if name else entry.name
                    if _is_folder(entry):
                        pending.append((inner, entered))
                    else:
                        yield FoundFile(inner, folder / inner)
        except OSError as error:
            yield FoundFile(name, path, error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself: opening it raises the error.
        return False


def _is_inside(entered: _Entered) -> bool:
    """Whether a folder is in itself, by a link."""
    around = entered.around
    while around is not None:
        if around.identity == entered.identity:
            return True
        around = around.around
    return False
