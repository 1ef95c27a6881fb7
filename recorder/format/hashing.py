"""The address of a run: the id that git gives its directory in a SHA-256 repository.

It hashes what it is given; which files a run has is `rundir`'s business. The formulas are git's object
format: an object's id is the hash of "<kind> <size>\\0" and its bytes, and a tree lists mode, name and id.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from exprec.recorder.fs.safe_read import plain_size

if TYPE_CHECKING:
    import hashlib

_CHUNK_BYTES = 64 * 1024


def blob_id(data: bytes) -> bytes:
    """The git id of a file's bytes: 32 raw bytes."""
    return _sha256(b"blob %d\0" % len(data) + data).digest()


def file_blob_id(path: Path) -> bytes:
    """Return the git id of a file, 32 raw bytes; raise Damaged if it is not a regular file, OSError."""
    plain_size(path)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        hashed = _sha256(b"blob %d\0" % size)
        while chunk := file.read(_CHUNK_BYTES):
            hashed.update(chunk)
    return hashed.digest()


def tree_id(blobs: Mapping[str, bytes]) -> str:
    """The git id of a folder, given the raw ids of its files by their paths (`a/b`) in it: 64 hex digits."""
    entries: dict[str, list[tuple[bytes, bytes, bytes]]] = {"": []}
    for path, blob in blobs.items():
        folder, _, name = path.rpartition("/")
        parent = folder
        while parent not in entries:
            entries[parent] = []
            parent = parent.rpartition("/")[0]
        entries[folder].append((b"100644", name.encode(), blob))
    # Backwards, so that a folder comes before the one that it is in. Without recursion: folders within folders may
    # be deeper than Python's stack.
    for path in sorted(entries.keys() - {""}, reverse=True):
        folder, _, name = path.rpartition("/")
        entries[folder].append((b"40000", name.encode(), _tree(entries[path])))
    return _tree(entries[""]).hex()


def _tree(entries: list[tuple[bytes, bytes, bytes]]) -> bytes:
    """The git id of a folder, given mode, name and id of all that is right in it."""
    # git sorts a folder as if its name ended in a slash.
    entries.sort(key=lambda entry: entry[1] + (b"/" if entry[0] == b"40000" else b""))
    body = b"".join(b"%s %s\0%s" % entry for entry in entries)
    return _sha256(b"tree %d\0" % len(body) + body).digest()


def folder_id(folder: Path) -> str:
    """The git id of a folder on disk, with those in it: 64 hex digits. Raises as `file_blob_id` does."""
    return tree_id({name: file_blob_id(folder / name) for name in file_names(folder)})


def file_names(folder: Path) -> list[str]:
    """The paths (`a/b`) of all files in a folder and those in it, sorted. Raises OSError."""
    # Without recursion: folders within folders may be deeper than Python's stack.
    found: list[str] = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        for path in (folder / prefix).iterdir():
            if path.is_dir() and not path.is_symlink():
                pending.append(f"{prefix}{path.name}/")
            else:
                found.append(f"{prefix}{path.name}")
    return sorted(found)


def sha256_of(path: Path) -> str:
    """The plain SHA-256 of a file: 64 hex digits. Raises OSError."""
    import hashlib  # here for the reason that `_sha256` gives

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(data: bytes) -> str:
    """The plain SHA-256 of some bytes: 64 hex digits."""
    return _sha256(data).hexdigest()


def _sha256(data: bytes) -> hashlib._Hash:
    # Imported here because it takes longer than all else of this module, and to show a run nothing is hashed.
    import hashlib

    return hashlib.sha256(data)
