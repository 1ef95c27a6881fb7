"""Where a line is broken that is wider than the terminal: at spaces, and within a word that fits into no row.

It knows no colours, and nothing of what the line says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exprec.cli.render.cells import cell_len, cropped, folded

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
    row = text[: next(iter(_breaks(text, room)), len(text))]
    space = len(row) - len(row.rstrip())
    row = row[: len(row) - min(space, max(len(row) - room, 0))]
    # Space may be wide, too.
    return row if cell_len(row) <= room else cropped(row, room)


def _breaks(text: str, room: int) -> list[int]:
    """The positions at which a text is broken, so that what lies between two of them, without the space at its end,
    takes at most `room` cells."""
    breaks: list[int] = []
    used = 0
    for match in _WORD.finditer(text):
        start, word = match.start(), match[0]
        cells = cell_len(word.rstrip())
        if cells <= room - used:
            used += cell_len(word)
        elif cells > room:
            # It fits into no row.
            for piece in folded(word, room):
                breaks.append(start)
                start += len(piece)
                used = cell_len(piece)
        elif used:
            breaks.append(start)
            used = cell_len(word)
    return [each for each in breaks if each]
