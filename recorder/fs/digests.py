"""Both digests of a file in one pass: the SHA-256 that `run.json` records, and the git id."""

from __future__ import annotations

import os
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
    # Imported here because it loads slowly, and to show a run nothing is hashed.
    import hashlib

    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        plain, blob = hashlib.sha256(), hashlib.sha256(b"blob %d\0" % size)
        while chunk := stream.read(_CHUNK_BYTES):
            plain.update(chunk)
            blob.update(chunk)
    return Digest(size, plain.hexdigest(), blob.digest())
