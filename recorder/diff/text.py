"""The lines in which two texts differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from exprec.recorder.diff.result import Hunk

_MAX_ALIGNED_LINES = 500
"""More lines are not aligned, which takes quadratic time: if both sides have the same number of lines, these are
compared one by one; if not, they differ as a whole."""

Block = tuple[slice, slice]
"""The lines of the old and of the new text that differ."""


def text_hunks(old: str | None, new: str | None) -> tuple[Hunk, ...]:
    """Return the lines in which two texts differ, with the equal line before and after each hunk.

    None is a text without any line. Exchanging the texts exchanges `old` and `new` and nothing else.
    """
    # difflib finds other lines equal when the texts are exchanged, so the lower one is always the first.
    if (new is not None, new or "") < (old is not None, old or ""):
        return tuple(
            Hunk(hunk.new_line, hunk.old_line, hunk.before, hunk.new, hunk.old, hunk.after)
            for hunk in text_hunks(new, old)
        )
    left, right = ([] if text is None else text.split("\n") for text in (old, new))
    return tuple(_hunks(left, right))


def _hunks(old: list[str], new: list[str]) -> Iterator[Hunk]:
    start = _count_equal(zip(old, new, strict=False))
    end = _count_equal(zip(reversed(old[start:]), reversed(new[start:]), strict=False))
    for removed, added in _blocks(old[start : len(old) - end], new[start : len(new) - end]):
        first, last = start + removed.start, start + removed.stop
        new_first, new_last = start + added.start, start + added.stop
        yield Hunk(
            first + 1,
            new_first + 1,
            tuple(old[max(first - 1, 0) : first]),
            tuple(old[first:last]),
            tuple(new[new_first:new_last]),
            tuple(old[last : last + 1]),
        )


def _blocks(old: list[str], new: list[str]) -> Iterator[Block]:
    if max(len(old), len(new)) <= _MAX_ALIGNED_LINES:
        for tag, first, last, new_first, new_last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                yield slice(first, last), slice(new_first, new_last)
    elif len(old) != len(new):
        yield slice(0, len(old)), slice(0, len(new))
    else:
        yield from _line_by_line(old, new)


def _line_by_line(old: list[str], new: list[str]) -> Iterator[Block]:
    """Yield runs of lines that differ from the line with the same number."""
    differing = [index for index, (left, right) in enumerate(zip(old, new, strict=True)) if left != right]
    start = 0
    for number, index in enumerate(differing, 1):
        if number == len(differing) or differing[number] != index + 1:
            lines = slice(differing[start], index + 1)
            yield lines, lines
            start = number


def _count_equal(pairs: Iterable[tuple[str, str]]) -> int:
    count = 0
    for left, right in pairs:
        if left != right:
            break
        count += 1
    return count
