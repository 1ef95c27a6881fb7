"""Read access to a folder of files, wherever it is stored: the protocol, and its implementation on disk."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from exprec.recorder.errors import StorageFailure
from exprec.recorder.format import ByteSource, hashing, layout
from exprec.recorder.fs import EntryKind, check_folders, file_names, kind_of, plain_size, read_pieces, read_whole

_CHUNK_BYTES = 64 * 1024


class FileTree(Protocol):
    """A folder of files: a run or a whole store, on disk or in a git revision.

    Names are paths in the folder with slashes (`artifacts/a.bin`); "" is the folder itself. What cannot be read
    raises OSError, a name that does not exist FileNotFoundError. `read`, `size` and `digest` raise Damaged for an
    entry that is not a regular file. All methods do for a link or a file in place of a folder, from the store on.
    """

    @property
    def path(self) -> Path:
        """The folder as messages show it; `path / name` is one of its files."""
        ...

    @property
    def name(self) -> str:
        """The name of the folder itself."""
        ...

    def subtree(self, name: str) -> FileTree:
        """Return a folder in it, which need not exist."""
        ...

    def parent(self) -> FileTree:
        """Return the folder around it, which need not exist."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """Return the names directly in a folder, sorted."""
        ...

    def files(self) -> list[str]:
        """Return the names of everything below that is not a folder, sorted."""
        ...

    def kind(self, name: str) -> EntryKind:
        """Return what is stored under a name; links are not followed."""
        ...

    def exists(self, name: str) -> bool:
        """Return whether there is anything under a name; False if that cannot be determined."""
        ...

    def size(self, name: str) -> int:
        """Return the size of a regular file in bytes."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content of a regular file. Raises Damaged for one larger than exprec ever writes."""
        ...

    def open(self, name: str) -> ByteSource:
        """Open a file for reading at any offset. Raises StorageFailure. Check its kind or size first."""
        ...

    def digest(self, name: str) -> hashing.Digest:
        """Return size, SHA-256 and git id of a regular file, which is read once."""
        ...


class FileSource:
    """The bytes of a file on disk, which another process may still be writing."""

    def __init__(self, path: Path, flags: int = 0) -> None:
        """Open the file, with more flags of open(2). Raises StorageFailure."""
        self.path = path
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
        except OSError as error:
            raise StorageFailure(path, error) from error
        weakref.finalize(self, os.close, self._handle)

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from `offset` on. Raises StorageFailure."""
        try:
            return os.pread(self._handle, size, offset)
        except OSError as error:
            raise StorageFailure(self.path, error) from error

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole file in pieces of bounded size. Raises StorageFailure."""
        offset = 0
        while piece := self.read(offset, _CHUNK_BYTES):
            yield piece
            offset += len(piece)


def digest_file(path: Path) -> hashing.Digest:
    """Return the digests of a file, which is read once. Raises OSError."""
    return hashing.digest_pieces(path.stat().st_size, read_pieces(path))


def folder_id(folder: Path) -> str:
    """Return the git id of a folder on disk, 64 hex digits. Raises OSError, Damaged for other than regular files."""
    tree = FolderTree(folder)
    return hashing.tree_id({name: tree.digest(name).blob for name in tree.files()})


class FolderTree:
    """A folder on disk; see `FileTree`."""

    def __init__(self, path: Path, top: Path | None = None) -> None:
        """Read a folder in the folder `top`, below which no link is followed; by default `top` is the folder itself."""
        self.path = path
        self._top = path if top is None else top
        self._checked: set[Path] = set()
        """The folders that were found to be folders."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self._resolved().name if self.path == self._top else self.path.name

    def subtree(self, name: str) -> FolderTree:
        """Return a folder in this folder."""
        return FolderTree(self.path / name, self._top)

    def parent(self) -> FolderTree:
        """Return the folder around this folder."""
        return (
            FolderTree(self._resolved().parent) if self.path == self._top else FolderTree(self.path.parent, self._top)
        )

    def names(self, folder: str = "") -> list[str]:
        """Return the names of the entries of a folder, sorted."""
        check_folders(self.path / folder, self._top, self._checked)
        with os.scandir(self.path / folder) as entries:
            return sorted(entry.name for entry in entries)

    def files(self) -> list[str]:
        """Return the paths of all files, sorted."""
        check_folders(self.path, self._top, self._checked)
        return file_names(self.path)

    def kind(self, name: str) -> EntryKind:
        """Return the kind of an entry, without following a link."""
        path = self.path / name
        check_folders(path.parent if name else path, self._top, self._checked)
        return kind_of(path.lstat().st_mode)

    def exists(self, name: str) -> bool:
        """Return whether there is an entry; a link need not lead anywhere."""
        return os.path.lexists(self.path / name)

    def size(self, name: str) -> int:
        """Return the size of a regular file in bytes."""
        return plain_size(self.path / name, self._top, self._checked)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        path = self.path / name
        check_folders(path.parent, self._top, self._checked)
        return read_whole(path, layout.MAX_LINE_BYTES)

    def open(self, name: str) -> FileSource:
        """Open a file for reading at offsets."""
        return FileSource(self.path / name, os.O_NOFOLLOW | os.O_NONBLOCK)

    def digest(self, name: str) -> hashing.Digest:
        """Return the size and the digests of a file."""
        self.size(name)
        return digest_file(self.path / name)

    def _resolved(self) -> Path:
        try:
            return self.path.resolve()
        except (OSError, RuntimeError):
            # A link to itself.
            return self.path.absolute()
