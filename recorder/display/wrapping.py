"""Where a line is broken that is wider than the terminal: at spaces, and within a word that fits into no row.

It knows no colours, and nothing of what the line says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exprec.recorder.display.cells import cell_len, cropped, folded, is_narrow

_WORD = re.compile(r"\s*\S+\s*")


def rows(text: str, room: int, hang: int) -> Iterator[tuple[int, int]]:
    """Where each row begins and ends in a text, without the space at its end.

    The first row has `room` cells, the others `hang` fewer; the spaces before the second row are left out.
    """
    first = _first_row(text, room)
    yield 0, len(first.rstrip())
    start = len(text) - len(text[len(first) :].lstrip(" "))
    for end in (*(start + each for each in _breaks(text[start:], room - hang)), len(text)):
        yield start, start + len(text[start:end].rstrip())
        start = end


def _first_row(text: str, room: int) -> str:
    """The first row, with as much of the space at its end as there is room for."""
    row = text[: next(_breaks(text, room), len(text))]
    space = len(row) - len(row.rstrip())
    row = row[: len(row) - min(space, max(len(row) - room, 0))]
    # Space may be wide, too.
    return row if cell_len(row) <= room else cropped(row, room)


def _breaks(text: str, room: int) -> Iterator[int]:
    """The positions at which a text is broken, so that what lies between two of them, without the space at its end,
    takes at most `room` cells."""
    return _breaks_at_spaces(text, room) if is_narrow(text) and _fits(text, room) else _breaks_by_words(text, room)


def _fits(text: str, room: int) -> bool:
    """Whether each word of a narrow text fits into a row, with the space that it may begin with."""
    return max(map(len, text.split()), default=0) + len(text) - len(text.lstrip(" ")) <= room


def _breaks_at_spaces(text: str, room: int) -> Iterator[int]:
    start, length = 0, len(text.rstrip(" "))
    while start + room < length:
        edge = start + room
        start = length - len(text[edge:length].lstrip(" ")) if text[edge] == " " else text.rindex(" ", start, edge) + 1
        yield start


def _breaks_by_words(text: str, room: int) -> Iterator[int]:
    used = 0
    for match in _WORD.finditer(text):
        start, word = match.start(), match[0]
        cells = cell_len(word.rstrip())
        if cells <= room - used:
            used += cell_len(word)
        elif cells > room:
            # It fits into no row.
            for piece in folded(word, room):
                if start:
                    yield start
                start += len(piece)
                used = cell_len(piece)
        elif used:
            if start:
                yield start
            used = cell_len(word)
