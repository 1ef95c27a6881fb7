"""Text on a terminal: styled lines, and how many cells a text takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import NamedTuple, cast

Span = tuple[str, str]
"""A piece of text and the name of its style; the empty name is plain."""

_NARROW = re.compile("[ -~→…–≠]*")
"""Characters known to take one cell, most of any display: printable ASCII, and what exprec itself adds."""

UNICODE = "17.0.0"
"""The version of Unicode that gives the widths. Without one, rich takes its newest or that of the environment, and
`show` would print other bytes after an update of rich."""


class Line(NamedTuple):
    """A line of a display, of any length.

    Where it is too wide for the console it continues on a new row, `hang` cells deeper than it began. A line that is
    `whole` is never broken, so that it can be copied.
    """

    spans: tuple[Span, ...] = ()
    indent: int = 0
    hang: int = 2
    whole: bool = False

    @staticmethod
    def of(*parts: Span | str, indent: int = 0, hang: int = 2) -> Line:
        """Make a line of spans and plain strings."""
        return new_line((tuple([(part, "") if isinstance(part, str) else part for part in parts]), indent, hang, False))


new_line = cast(Callable[[tuple[tuple[Span, ...], int, int, bool]], Line], partial(tuple.__new__, Line))
"""Make a Line of a tuple of all its fields: 0.16 µs, instead of 0.29 with `Line._make` and 0.47 with `Line(...)`,
which are Python functions."""


def count_noun(number: int, noun: str) -> str:
    """Return a number of things: `1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def is_narrow(text: str) -> bool:
    """Return whether each character is known to take one cell, without the Unicode tables."""
    return _NARROW.fullmatch(text) is not None


def cell_len(text: str) -> int:
    """Return how many cells a visible text takes."""
    # Not `is_narrow`: a listing and a log ask this for every cell.
    if _NARROW.fullmatch(text) is not None:
        return len(text)
    cells: int = _rich_cells().cell_len(text, UNICODE)
    return cells


def crop_text(text: str, cells: int) -> str:
    """Cut or pad a visible text so that it takes `cells` cells."""
    if is_narrow(text):
        return text[:cells].ljust(cells)
    missing = cells - cell_len(text)
    # rich.cells.set_cell_size measures by its newest tables.
    return text + " " * missing if missing >= 0 else _rich_cells().split_text(text, cells, UNICODE)[0]


def fold_text(text: str, cells: int) -> list[str]:
    """Split a visible text into pieces of at most `cells` cells, each as long as possible."""
    if is_narrow(text):
        return [text[start : start + cells] for start in range(0, len(text), cells)]
    pieces: list[str] = _rich_cells().chop_cells(text, cells, UNICODE)
    return pieces


@cache
def _rich_cells() -> ModuleType:
    # Imported here because most commands print nothing that needs the Unicode tables.
    from rich import cells

    try:
        is_known = cells.split_graphemes("\u200d", UNICODE) == ([(0, 1, 0)], 0)
    except AttributeError:
        is_known = False
    if not is_known:
        # Versions before 14.3.3 measure other widths, and split some texts without end.
        from exprec.recorder.requirements import unmet_dependency

        raise unmet_dependency("rich")
    return cells
