"""Folders in a revision or in the index of a git repository, read like folders on disk."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NoReturn

from exprec.recorder.errors import Damaged, ObjectUnreadable, StorageFailure
from exprec.recorder.format import hashing, layout
from exprec.recorder.fs import EntryKind
from exprec.recorder.git.repository import EXECUTABLE, FILE, FOLDER, LINK, SUBMODULE, Blobs, Entry

_KINDS = {
    FILE: EntryKind.FILE,
    EXECUTABLE: EntryKind.FILE,
    LINK: EntryKind.LINK,
    SUBMODULE: EntryKind.SUBMODULE,
    FOLDER: EntryKind.FOLDER,
}
_IN_MEMORY_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class TreeIndex:
    """The entries of a repository by their paths, and the names in each folder."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries
        self._names: dict[str, set[str]] = {"": set()}
        for path in entries:
            self._add(path)

    def _add(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        while folder not in self._names:
            self._names[folder] = {name}
            folder, _, name = folder.rpartition("/")
        self._names[folder].add(name)

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted, without those that are not valid as names of files."""
        return sorted(name for name in self._names.get(folder, ()) if name not in ("", ".", ".."))

    def kind(self, path: str) -> EntryKind | None:
        """Return what is under a path, None if there is nothing."""
        entry = self.entries.get(path)
        if entry is not None:
            return _KINDS.get(entry.mode, EntryKind.OTHER)
        # The index has no entries of folders.
        return EntryKind.FOLDER if path in self._names else None

    def walk(self, folder: str) -> Iterator[str]:
        """Yield the paths of all entries below a folder that are not folders, invalid names included."""
        pending = [folder]
        while pending:
            parent = pending.pop()
            for name in self._names.get(parent, ()):
                path = join_path(parent, name)
                if path in self._names and path != parent:
                    pending.append(path)
                if path in self.entries and self.entries[path].mode != FOLDER:
                    yield path


def join_path(*parts: str) -> str:
    """Join parts of a path in git, of which any may be empty."""
    return "/".join(part for part in parts if part)


class BlobSource:
    """The content of a blob, which can be read at any offset; a large one is kept in an anonymous temporary file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Read a blob. Raises StorageFailure when the disk is full, and what `chunks` raises."""
        self.size = 0
        # Closed with the last reference to it.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115
        try:
            for chunk in chunks:
                self.size += self._file.write(chunk)
        except OSError as error:
            raise StorageFailure(Path(tempfile.gettempdir()), error) from error

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from `offset` on."""
        self._file.seek(offset)
        return self._file.read(size)

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it in pieces."""
        offset = 0
        while piece := self.read(offset, _CHUNK_BYTES):
            yield piece
            offset += len(piece)


class GitTree:
    """A folder in a revision or in the index; a `FileTree`.

    An object that git cannot read raises Damaged.
    """

    def __init__(self, index: TreeIndex, blobs: Blobs, label: str, folder: str) -> None:
        """Read a folder from git.

        Args:
            index: The entries of the repository.
            blobs: The contents of files.
            label: The revision as the user gave it; empty for the index.
            folder: The path of the folder from the top of the repository; empty for the top.
        """
        self._index, self._blobs, self._label, self._folder = index, blobs, label, folder
        self._last: dict[str, BlobSource] = {}
        """The blob that was read last, by its path: its size is asked for before it is opened."""

    @property
    def path(self) -> Path:
        """The folder as git names it: `HEAD:runs`, `:runs` in the index."""
        return Path(f"{self._label}:{self._folder or '.'}")

    @property
    def name(self) -> str:
        """The name of the folder; empty for the top."""
        return self._folder.rpartition("/")[2]

    def subtree(self, name: str) -> GitTree:
        """Return a folder in it."""
        return GitTree(self._index, self._blobs, self._label, join_path(self._folder, name))

    def parent(self) -> GitTree:
        """Return the folder around it; the top is its own parent."""
        return GitTree(self._index, self._blobs, self._label, self._folder.rpartition("/")[0])

    def names(self, folder: str = "") -> list[str]:
        """Return the names directly in a folder, sorted."""
        kind = self._index.kind(join_path(self._folder, folder))
        if kind is not EntryKind.FOLDER:
            self._refuse(folder, errno.ENOENT if kind is None else errno.ENOTDIR)
        return self._index.names(join_path(self._folder, folder))

    def files(self) -> list[str]:
        """Return the names of everything below that is not a folder, sorted."""
        prefix = f"{self._folder}/" if self._folder else ""
        return sorted(path.removeprefix(prefix) for path in self._index.walk(self._folder))

    def kind(self, name: str) -> EntryKind:
        """Return what is stored under a name."""
        kind = self._index.kind(join_path(self._folder, name))
        return kind if kind is not None else self._refuse(name, errno.ENOENT)

    def exists(self, name: str) -> bool:
        """Return whether there is anything under a name."""
        return self._index.kind(join_path(self._folder, name)) is not None

    def size(self, name: str) -> int:
        """Return the size of a regular file in bytes."""
        return self._blob(name).size

    def read(self, name: str) -> bytes:
        """Return the content of a regular file."""
        blob = self._blob(name)
        if blob.size > layout.MAX_LINE_BYTES:
            raise Damaged(self.path / name, f"has {blob.size} bytes, more than {layout.MAX_LINE_BYTES}")
        return blob.read(0, blob.size)

    def open(self, name: str) -> BlobSource:
        """Open a file for reading at any offset."""
        return self._blob(name)

    def digest(self, name: str) -> hashing.Digest:
        """Return size, SHA-256 and git id of a regular file."""
        blob = self._blob(name)
        return hashing.digest_pieces(blob.size, blob.pieces())

    def _blob(self, name: str) -> BlobSource:
        kind = self.kind(name)
        if kind is not EntryKind.FILE:
            raise Damaged(self.path / name, f"must be a file, and is {kind}")
        if name not in self._last:
            self._last.clear()
            object_id = self._index.entries[join_path(self._folder, name)].object_id
            try:
                self._last[name] = BlobSource(self._blobs.chunks(object_id))
            except ObjectUnreadable as error:
                raise Damaged(self.path / name, str(error)) from None
        return self._last[name]

    def _refuse(self, name: str, code: int) -> NoReturn:
        raise OSError(code, os.strerror(code), str(self.path / name))
