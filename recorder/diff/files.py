"""The files of two runs that are not in exprec's own form: which differ, and in which lines if they are texts.

It compares bytes; what they mean, nobody here knows.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import NamedTuple

from exprec.recorder.diff.collector import Kept
from exprec.recorder.diff.result import FileChange, Hunk, Listed
from exprec.recorder.diff.text import hunks
from exprec.recorder.format import ByteSource, layout
from exprec.recorder.store.run_directory import RunDirectory

_LARGE_BYTES = 1024 * 1024
"""Larger texts are not aligned line by line: where they part is told."""
_CHUNK_BYTES = 1024 * 1024
_PART_BYTES = 4096
_PART_LINES = 5
"""How much of either is shown of large texts from there on."""


class FileComparison(NamedTuple):
    """The files that differ."""

    outputs: Listed[FileChange]
    artifacts: Listed[FileChange]


def compare_files(old: RunDirectory, new: RunDirectory, limit: int) -> FileComparison:
    """What differs in the outputs and the artifacts of two runs, of each at most `limit` files, and of each file
    `limit` places.

    Memory does not grow with the files. Raises Damaged, StorageFailure.
    """
    before, after = old.other_files(), new.other_files()
    outputs: Kept[FileChange] = Kept(limit)
    artifacts: Kept[FileChange] = Kept(limit)
    for name in sorted(before.keys() | after.keys()):
        if old.is_sealed and new.is_sealed and _recorded(old, name) == _recorded(new, name):
            continue
        change = _change(name, _opened(old, name, before), _opened(new, name, after), limit)
        if change is not None:
            kept = outputs if name in layout.STREAMS else artifacts
            kept.add(change, sum(len(line) for hunk in change.hunks.items for part in hunk[2:] for line in part))
    return FileComparison(outputs.listed(), artifacts.listed())


def _recorded(run: RunDirectory, name: str) -> object:
    return run.head["files"].get(name)


def _opened(run: RunDirectory, name: str, sizes: Mapping[str, int]) -> _File | None:
    return _File(run.files.open(name), sizes[name]) if name in sizes else None


def _change(name: str, left: _File | None, right: _File | None, limit: int) -> FileChange | None:
    """How a file differs; None where it does not."""
    shown = name.removeprefix(f"{layout.ARTIFACTS_FOLDER}/")
    if left is None or right is None:
        return FileChange(shown, None if left is None else left.size, None if right is None else right.size)
    place = _parting(left, right)
    if place is None:
        return None
    is_large = max(left.size, right.size) > _LARGE_BYTES
    found = _first_hunk(left, right, place) if is_large else _hunks(left, right)
    if found is None:
        return FileChange(shown, left.size, right.size, is_large=is_large)
    listed = Listed(found[:limit], len(found))
    return FileChange(shown, left.size, right.size, is_text=True, is_large=is_large, hunks=listed)


class _File:
    """A file and its size in bytes."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self.read = source.read
        self.size = size


class _Parting(NamedTuple):
    """Where the first line that differs begins in both files, and its number, from 1."""

    offset: int
    line: int


def _parting(old: _File, new: _File) -> _Parting | None:
    """Where two files part; None if they are equal."""
    offset, begin, line = 0, 0, 1
    while True:
        left, right = (file.read(offset, _CHUNK_BYTES) for file in (old, new))
        same = len(left) if left == right else _shared(left, right)
        line += left.count(b"\n", 0, same)
        newline = left.rfind(b"\n", 0, same)
        begin = offset + newline + 1 if newline >= 0 else begin
        if left != right:
            return _Parting(begin, line)
        if not left:
            return None
        offset += len(left)


def _shared(left: bytes, right: bytes) -> int:
    """How many bytes at the beginning are equal, of two texts that differ."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if left[:middle] == right[:middle] else (low, middle - 1)
    return low


def _hunks(old: _File, new: _File) -> tuple[Hunk, ...] | None:
    """Where two texts differ; None where one of them is none."""
    left, right = (_text(file.read(0, _LARGE_BYTES)) for file in (old, new))
    if left is None or right is None:
        return None
    # A newline at the end of both begins no line.
    ends = left.endswith("\n") and right.endswith("\n")
    return hunks(left[:-1], right[:-1]) if ends else hunks(left, right)


def _first_hunk(old: _File, new: _File, place: _Parting) -> tuple[Hunk, ...] | None:
    """The beginning of the first place where two large texts differ; None where it is no text there."""
    left, right = (_text(file.read(place.offset, _PART_BYTES), is_cut=True) for file in (old, new))
    if left is None or right is None:
        return None
    before, after = ("\n".join(text.split("\n")[:_PART_LINES]) for text in (left, right))
    first = place.line - 1
    return tuple(
        hunk._replace(old_line=hunk.old_line + first, new_line=hunk.new_line + first)
        for hunk in hunks(before, after)[:1]
    )


def _text(data: bytes, *, is_cut: bool = False) -> str | None:
    """The text, or None for bytes that are none; of what was cut, without the rest of a character at its end."""
    if b"\0" in data:
        return None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not is_cut)
    except UnicodeDecodeError:
        return None
