"""Digests of files and folders: plain SHA-256, and the ids that git gives them in a SHA-256 repository.

The run id is the id of the run's folder. The formulas are git's object format: the id of an object is the SHA-256 of
"<kind> <size>\\0" and its bytes, and a tree lists mode, name and id of its entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import hashlib


class Digest(NamedTuple):
    """The digests of a file."""

    size: int
    """In bytes."""
    sha256: str
    """64 hex digits."""
    blob: bytes
    """The git id, 32 raw bytes."""


def digest_pieces(size: int, pieces: Iterable[bytes]) -> Digest:
    """Return the digests of a file of `size` bytes that arrives in pieces."""
    plain, blob = _sha256(b""), _sha256(b"blob %d\0" % size)
    for piece in pieces:
        plain.update(piece)
        blob.update(piece)
    return Digest(size, plain.hexdigest(), blob.digest())


def sha256_hex(pieces: Iterable[bytes]) -> str:
    """Return the plain SHA-256 of bytes that arrive in pieces: 64 hex digits."""
    plain = _sha256(b"")
    for piece in pieces:
        plain.update(piece)
    return plain.hexdigest()


def blob_id(data: bytes) -> bytes:
    """Return the git id of a file with these bytes: 32 raw bytes."""
    return _sha256(b"blob %d\0" % len(data) + data).digest()


def tree_id(blobs: Mapping[str, bytes]) -> str:
    """Return the git id of a folder, 64 hex digits, given the raw ids of all files below it by path (`a/b`)."""
    entries: dict[str, list[tuple[bytes, bytes, bytes]]] = {"": []}
    for path, blob in blobs.items():
        folder, _, name = path.rpartition("/")
        parent = folder
        while parent not in entries:
            entries[parent] = []
            parent = parent.rpartition("/")[0]
        entries[folder].append((b"100644", name.encode(), blob))
    # Backwards, so that a folder comes before its parent. Without recursion: folders may be nested more deeply than
    # Python's stack.
    for path in sorted(entries.keys() - {""}, reverse=True):
        folder, _, name = path.rpartition("/")
        entries[folder].append((b"40000", name.encode(), _tree_digest(entries[path])))
    return _tree_digest(entries[""]).hex()


def _tree_digest(entries: list[tuple[bytes, bytes, bytes]]) -> bytes:
    """Return the git id of a folder, given mode, name and id of its entries."""
    # git sorts a folder as if its name ended in a slash.
    entries.sort(key=lambda entry: entry[1] + (b"/" if entry[0] == b"40000" else b""))
    body = b"".join(b"%s %s\0%s" % entry for entry in entries)
    return _sha256(b"tree %d\0" % len(body) + body).digest()


def _sha256(data: bytes) -> hashlib._Hash:
    # Imported here because it takes longer than the rest of this module, and to show a run nothing is hashed.
    import hashlib

    return hashlib.sha256(data)
