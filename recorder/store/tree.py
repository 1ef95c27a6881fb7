"""The address of a run: the id that git gives its directory in a SHA-256 repository.

It hashes what it is given; which files a run has is `rundir`'s business. The formulas are git's object
format: an object's id is the hash of "<kind> <size>\\0" and its bytes, and a tree lists mode, name and id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

_CHUNK_BYTES = 1024 * 1024


def blob_id(data: bytes) -> bytes:
    """The git id of a file's bytes: 32 raw bytes."""
    return hashlib.sha256(b"blob %d\0" % len(data) + data).digest()


def file_blob_id(path: Path) -> bytes:
    """The git id of a file, read in pieces: 32 raw bytes. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256(b"blob %d\0" % size)
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()


def tree_id(blobs: Mapping[str, bytes]) -> str:
    """The git id of a folder, given the raw ids of its files by their paths (`a/b`) in it: 64 hex digits."""
    return _tree(blobs).hex()


def _tree(blobs: Mapping[str, bytes]) -> bytes:
    entries: list[tuple[bytes, bytes, bytes]] = []
    folders: dict[str, dict[str, bytes]] = {}
    for path, blob in blobs.items():
        name, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(name, {})[rest] = blob
        else:
            entries.append((b"100644", name.encode(), blob))
    entries += [(b"40000", name.encode(), _tree(inside)) for name, inside in folders.items()]
    # git sorts a folder as if its name ended in a slash.
    entries.sort(key=lambda entry: entry[1] + (b"/" if entry[0] == b"40000" else b""))
    body = b"".join(b"%s %s\0%s" % entry for entry in entries)
    return hashlib.sha256(b"tree %d\0" % len(body) + body).digest()


def folder_id(folder: Path) -> str:
    """The git id of a folder on disk, with those in it: 64 hex digits. Raises OSError."""
    return tree_id({name: file_blob_id(folder / name) for name in file_names(folder)})


def file_names(folder: Path) -> list[str]:
    """The paths (`a/b`) of all files in a folder and those in it, sorted. Raises OSError."""
    return sorted(_file_names(folder, ""))


def _file_names(folder: Path, prefix: str) -> Iterator[str]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _file_names(path, f"{prefix}{path.name}/")
        else:
            yield f"{prefix}{path.name}"


def sha256_of(path: Path) -> str:
    """The plain SHA-256 of a file: 64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
