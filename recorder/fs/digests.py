"""Both digests of a file in one pass: the SHA-256 that `run.json` records, and the git id."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Digest:
    """Size in bytes, plain SHA-256 in hex digits, and the git id as raw bytes."""

    size: int
    sha256: str
    blob: bytes


def digest_of(path: Path) -> Digest:
    """Read a file once, in pieces. Raises OSError."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        return digest_pieces(size, iter(lambda: stream.read(_CHUNK_BYTES), b""))


def digest_pieces(size: int, pieces: Iterable[bytes]) -> Digest:
    """Return the digests of the pieces of a file of `size` bytes."""
    # Imported here because it loads slowly, and to show a run nothing is hashed.
    import hashlib

    plain, blob = hashlib.sha256(), hashlib.sha256(b"blob %d\0" % size)
    for piece in pieces:
        plain.update(piece)
        blob.update(piece)
    return Digest(size, plain.hexdigest(), blob.digest())
