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


def cell_lengths(row: Iterable[str]) -> list[int]:
    """Return the length of each text of a row in cells."""
    return list(map(cell_len, row))


def column_widths(lengths: Iterable[Sequence[int]]) -> list[int]:
    """Return the width of each column in cells, given the lengths of the texts in each row."""
    return [max(column) for column in zip(*lengths, strict=True)]


def align_row(
    cells: Sequence[Span], lengths: Sequence[int], widths: Sequence[int], *, right: Container[int] = ()
) -> tuple[Span, ...]:
    """Return a row of styled cells with these lengths, aligned to columns of these widths by unstyled spaces.

    The columns with an index in `right` are aligned to the right.
    """
    spans: list[Span] = []
    gap = ""
    for index, cell in enumerate(cells):
        space = " " * (widths[index] - lengths[index])
        before, after = (space, "") if index in right else ("", space)
        spans += ((gap + before, ""), cell)
        gap = after + GAP
    return tuple(spans)


def table_rows(rows: Sequence[Sequence[str]], *, right: Container[int] = ()) -> Iterator[str]:
    """Yield each row of a table as a line; the columns with an index in `right` are aligned to the right."""
    lengths = [cell_lengths(row) for row in rows]
    widths = column_widths(lengths)
    for row, measured in zip(rows, lengths, strict=True):
        aligned = align_row([(cell, "") for cell in row], measured, widths, right=right)
        yield "".join(text for text, _ in aligned).rstrip()
