"""Two texts to the lines in which they differ.

It knows nothing of where the texts come from or how the lines look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from exprec.recorder.diff.result import Hunk

_MOST_LINES = 500
"""Longer stretches of lines are not aligned, which would take the square of their number: as many lines on either
side are compared one by one, others differ as a whole."""


def hunks(old: str | None, new: str | None) -> tuple[Hunk, ...]:
    """The lines in which two texts differ, each stretch with the equal line before and after it.

    None is a text without any line. Swapping the texts swaps `old` and `new` and nothing else.
    """
    # Which lines are found to be equal depends on which text comes first.
    if (new is not None, new or "") < (old is not None, old or ""):
        return tuple(
            Hunk(hunk.new_line, hunk.old_line, hunk.before, hunk.new, hunk.old, hunk.after) for hunk in hunks(new, old)
        )
    left, right = ([] if text is None else text.split("\n") for text in (old, new))
    return tuple(_hunks(left, right))


def _hunks(old: list[str], new: list[str]) -> Iterator[Hunk]:
    start = _shared(zip(old, new, strict=False))
    end = _shared(zip(reversed(old[start:]), reversed(new[start:]), strict=False))
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(left), len(right)) > _MOST_LINES:
        blocks = list(_beside(left, right)) if len(left) == len(right) else [[0, len(left), 0, len(right)]]
    else:
        opcodes = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
        blocks = [places for tag, *places in opcodes if tag != "equal"]
    for first, last, new_first, new_last in blocks:
        first, last, new_first, new_last = (start + place for place in (first, last, new_first, new_last))
        yield Hunk(
            first + 1,
            new_first + 1,
            tuple(old[max(first - 1, 0) : first]),
            tuple(old[first:last]),
            tuple(new[new_first:new_last]),
            tuple(old[last : last + 1]),
        )


def _beside(old: list[str], new: list[str]) -> Iterator[list[int]]:
    """Where lines at the same places differ, neighbours together."""
    start: int | None = None
    for place, (left, right) in enumerate(zip(old, new, strict=True)):
        if left != right:
            start = place if start is None else start
        elif start is not None:
            yield [start, place, start, place]
            start = None
    if start is not None:
        yield [start, len(old), start, len(new)]


def _shared(pairs: Iterable[tuple[str, str]]) -> int:
    count = 0
    for left, right in pairs:
        if left != right:
            break
        count += 1
    return count
