"""Columns of text, aligned by the cells that they take on a terminal."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from exprec.recorder.display import Span, cell_len

GAP = "  "
"""What separates two columns."""


def pad_cell(text: str, width: int, *, right: bool = False) -> str:
    """Fill a visible text with spaces to `width` cells; with `right` they come before the text."""
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def column_widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """Return the width of each column in cells."""
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def align_row(cells: Sequence[Span], widths: Sequence[int], *, right: Container[int] = ()) -> tuple[Span, ...]:
    """Return a row of styled cells, aligned to columns of these widths by unstyled spaces.

    The columns with an index in `right` are aligned to the right.
    """
    spans: list[Span] = []
    gap = ""
    for index, (text, style) in enumerate(cells):
        space = " " * (widths[index] - cell_len(text))
        before, after = (space, "") if index in right else ("", space)
        spans += ((gap + before, ""), (text, style))
        gap = after + GAP
    return tuple(spans)


def table_rows(rows: Sequence[Sequence[str]], *, right: Container[int] = ()) -> Iterator[str]:
    """Yield each row of a table as a line; the columns with an index in `right` are aligned to the right."""
    widths = column_widths(rows)
    for row in rows:
        yield "".join(text for text, _ in align_row([(cell, "") for cell in row], widths, right=right)).rstrip()
