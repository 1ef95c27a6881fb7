"""The output streams and artifacts of two runs that differ, with the lines in which texts do."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import NamedTuple

from exprec.recorder.diff.collector import Collector
from exprec.recorder.diff.result import FileChange, FileDiff, Hunk, Truncated
from exprec.recorder.diff.text import text_hunks
from exprec.recorder.format import ByteSource, layout
from exprec.recorder.store import RunDirectory

_LARGE_BYTES = 1024 * 1024
"""Of larger texts, the lines are not aligned; only the first difference is listed."""
_CHUNK_BYTES = 1024 * 1024
_EXCERPT_BYTES = 4096
_EXCERPT_LINES = 5
"""Limits of what is listed of large texts from the first difference on."""


def compare_files(old: RunDirectory, new: RunDirectory, limit: int) -> FileDiff:
    """Return the outputs and artifacts that differ: at most `limit` files, and `limit` hunks of each.

    Memory does not grow with the files. Raises Damaged, StorageFailure.
    """
    before, after = old.other_files(), new.other_files()
    outputs: Collector[FileChange] = Collector(limit)
    artifacts: Collector[FileChange] = Collector(limit)
    for name in sorted(before.keys() | after.keys()):
        if old.is_sealed and new.is_sealed and _digest(old, name) == _digest(new, name):
            continue
        change = _compare_file(name, _open_file(old, name, before), _open_file(new, name, after), limit)
        if change is not None:
            collector = outputs if name in layout.STREAMS else artifacts
            collector.add(change, sum(hunk.size for hunk in change.hunks.items))
    return FileDiff(outputs.truncated(), artifacts.truncated(), _changed_names(old, new))


def _digest(run: RunDirectory, name: str) -> object:
    return run.head["files"].get(name)


def _changed_names(old: RunDirectory, new: RunDirectory) -> tuple[str, ...]:
    if not (old.is_sealed and new.is_sealed):
        return ()
    names = sorted(old.head["files"].keys() | new.head["files"].keys())
    return tuple(name for name in names if _digest(old, name) != _digest(new, name))


def _open_file(run: RunDirectory, name: str, sizes: Mapping[str, int]) -> _File | None:
    return _File(run.files.open(name), sizes[name]) if name in sizes else None


def _compare_file(name: str, left: _File | None, right: _File | None, limit: int) -> FileChange | None:
    """Return how a file differs; None if it does not."""
    shown = name.removeprefix(f"{layout.ARTIFACTS_FOLDER}/")
    if left is None or right is None:
        return FileChange(shown, None if left is None else left.size, None if right is None else right.size)
    start = _first_difference(left, right)
    if start is None:
        return None
    is_large = max(left.size, right.size) > _LARGE_BYTES
    hunks = _first_hunk(left, right, start) if is_large else _all_hunks(left, right)
    if hunks is None:
        return FileChange(shown, left.size, right.size, is_large=is_large)
    truncated = Truncated(hunks[:limit], len(hunks))
    return FileChange(shown, left.size, right.size, is_text=True, is_large=is_large, hunks=truncated)


class _File:
    """A file that is open for reading, and its size in bytes."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self.read = source.read
        self.size = size


class _LineStart(NamedTuple):
    """The offset of a line, and its number, from 1."""

    offset: int
    line: int


def _first_difference(old: _File, new: _File) -> _LineStart | None:
    """Return where the first line that differs begins in both files; None if they are equal."""
    offset, start, line = 0, 0, 1
    while True:
        left, right = (file.read(offset, _CHUNK_BYTES) for file in (old, new))
        equal = len(left) if left == right else _common_prefix_length(left, right)
        line += left.count(b"\n", 0, equal)
        newline = left.rfind(b"\n", 0, equal)
        start = offset + newline + 1 if newline >= 0 else start
        if left != right:
            return _LineStart(start, line)
        if not left:
            return None
        offset += len(left)


def _common_prefix_length(left: bytes, right: bytes) -> int:
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if left[:middle] == right[:middle] else (low, middle - 1)
    return low


def _all_hunks(old: _File, new: _File) -> tuple[Hunk, ...] | None:
    """Return the hunks of two texts; None if one of the files is not a text."""
    left, right = (_decode_text(file.read(0, _LARGE_BYTES)) for file in (old, new))
    if left is None or right is None:
        return None
    # A newline at the end of both does not begin another line.
    ends = left.endswith("\n") and right.endswith("\n")
    return text_hunks(left[:-1], right[:-1]) if ends else text_hunks(left, right)


def _first_hunk(old: _File, new: _File, start: _LineStart) -> tuple[Hunk, ...] | None:
    """Return the beginning of the first hunk of two large files; None if one of them is not a text there."""
    left, right = (_decode_text(file.read(start.offset, _EXCERPT_BYTES), is_cut=True) for file in (old, new))
    if left is None or right is None:
        return None
    before, after = ("\n".join(text.split("\n")[:_EXCERPT_LINES]) for text in (left, right))
    skipped = start.line - 1
    return tuple(
        hunk._replace(old_line=hunk.old_line + skipped, new_line=hunk.new_line + skipped)
        for hunk in text_hunks(before, after)[:1]
    )


def _decode_text(data: bytes, *, is_cut: bool = False) -> str | None:
    """Return the text, or None if the bytes are not UTF-8 or have a zero byte.

    With `is_cut` the data may end within a character, which is left out.
    """
    if b"\0" in data:
        return None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not is_cut)
    except UnicodeDecodeError:
        return None
