"""How wide a text is on a terminal, in cells.

What is asked of it is visible text; it knows neither lines nor columns.
"""

from __future__ import annotations

import re

_NARROW = re.compile("[ -~→…–≠]*")
"""Characters of one cell each, of which nearly all of a display consists: those of ASCII, and exprec's own."""


def is_narrow(text: str) -> bool:
    """Whether each character is known to take one cell, without looking into the tables of Unicode."""
    return _NARROW.fullmatch(text) is not None


def cell_len(text: str) -> int:
    """How many cells a text takes."""
    if is_narrow(text):
        return len(text)
    # Imported here because most commands print nothing that needs the tables.
    from rich.cells import cell_len

    return cell_len(text)


def cropped(text: str, cells: int) -> str:
    """The text, cut or filled with spaces so that it takes so many cells."""
    if is_narrow(text):
        return text[:cells].ljust(cells)
    from rich.cells import set_cell_size

    return set_cell_size(text, cells)


def folded(text: str, cells: int) -> list[str]:
    """The text in pieces of at most so many cells, each as long as can be."""
    if is_narrow(text):
        return [text[start : start + cells] for start in range(0, len(text), cells)]
    from rich.cells import chop_cells

    return chop_cells(text, cells)
