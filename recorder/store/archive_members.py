"""The content of compressed files, in which secrets are searched for: members of zip files, and gzip streams."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import gzip

MAX_MEMBER_BYTES = 64 * 1024 * 1024
"""Uncompressed bytes of all members of a file that are searched."""
MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
"""Of the list of members at the end of a zip file: Python reads all of it, into 15 times the memory."""

_PIECE_BYTES = 64 * 1024
_ZIP_START, _GZIP_START = b"PK\x03\x04", b"\x1f\x8b"
_ZIP_END = b"PK\x05\x06"
_LONGEST_END = 22 + 0xFFFF


def is_compressed(file: IO[bytes]) -> bool:
    """Return whether a file has members that `read_members` yields. Raises OSError."""
    file.seek(0)
    start = file.read(len(_ZIP_START))
    return start == _ZIP_START or start.startswith(_GZIP_START)


def read_members(file: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the name and the uncompressed pieces of each member, up to MAX_MEMBER_BYTES; nothing for other files.

    What cannot be uncompressed is left out. Take the pieces of a member before the next member. Raises OSError.
    """
    file.seek(0)
    start = file.read(len(_ZIP_START))
    file.seek(0)
    if start == _ZIP_START:
        yield from _zip_members(file)
    elif start.startswith(_GZIP_START):
        # Imported here because few artifacts are compressed.
        import gzip

        with gzip.GzipFile(fileobj=file) as stream:
            yield "its gzip stream", _pieces(stream, [MAX_MEMBER_BYTES])


def _zip_members(file: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    import zipfile

    left = [MAX_MEMBER_BYTES]
    if _directory_bytes(file) > MAX_DIRECTORY_BYTES:
        return
    try:
        archive = zipfile.ZipFile(file)
        for member in archive.infolist()[:MAX_MEMBERS]:
            with archive.open(member) as stream:
                yield member.filename, _pieces(stream, left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, zlib.error):
        # Damaged, encrypted, or of a method that Python lacks.
        return


def _directory_bytes(file: IO[bytes]) -> int:
    """Return the size of the list of members by the end record of a zip file; 0 without one."""
    size = file.seek(0, os.SEEK_END)
    # The record has 22 bytes, and a comment of at most 65,535 after it.
    file.seek(max(size - _LONGEST_END, 0))
    _, _, record = file.read().rpartition(_ZIP_END)
    file.seek(0)
    return int.from_bytes(record[8:12], "little")


def _pieces(stream: IO[bytes] | gzip.GzipFile, left: list[int]) -> Iterator[bytes]:
    """Yield a stream in pieces, and count them down from `left`."""
    import zipfile

    try:
        while left[0] > 0 and (piece := stream.read(min(_PIECE_BYTES, left[0]))):
            left[0] -= len(piece)
            yield piece
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error):
        return
