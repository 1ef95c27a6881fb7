"""The address of a run: the id that git gives its directory in a SHA-256 repository.

It hashes what it is given; which files a run has is `rundir`'s business. The formulas are git's object
format: an object's id is the hash of "<kind> <size>\\0" and its bytes, and a tree lists mode, name and id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
    """The git id of a folder of plain files, given the raw ids by file name: 64 hex digits."""
    entries = sorted((name.encode(), blob) for name, blob in blobs.items())
    body = b"".join(b"100644 %s\0%s" % entry for entry in entries)
    return hashlib.sha256(b"tree %d\0" % len(body) + body).hexdigest()


def folder_id(folder: Path) -> str:
    """The git id of a folder of plain files on disk: 64 hex digits. Raises OSError."""
    return tree_id({path.name: file_blob_id(path) for path in folder.iterdir()})


def sha256_of(path: Path) -> str:
    """The plain SHA-256 of a file: 64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
