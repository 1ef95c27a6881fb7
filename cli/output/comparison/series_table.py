"""Tables of metrics by iteration: both values side by side, and the difference of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from exprec.cli.output.comparison.values import change_text, number_pair
from exprec.cli.output.sections import NumberTable
from exprec.cli.output.tables import cell_lengths, column_widths, pad_cell
from exprec.recorder.diagnostics import visible
from exprec.recorder.diff import result
from exprec.recorder.display import cell_len

_WIDTH = 96
"""The maximum width of a table in cells; columns that do not fit go into another table."""


def series_tables(series: Sequence[result.Series], name: Callable[[result.Series], str]) -> tuple[NumberTable, ...]:
    """Return series as named columns, in several tables if they do not fit into one."""
    return tuple(_number_table(each, name) for each in _group_series(series, name))


def _group_series(
    series: Sequence[result.Series], name: Callable[[result.Series], str]
) -> Iterator[list[result.Series]]:
    """Yield groups of series that fit into a table."""
    group: list[result.Series] = []
    width = 0
    for each in series:
        column = max(cell_len(text) for text in (visible(name(each)), *_column(each.points.items))) + 2
        if group and width + column > _WIDTH - len("iteration"):
            yield group
            group, width = [], 0
        group.append(each)
        width += column
    yield group


def _number_table(series: Sequence[result.Series], name: Callable[[result.Series], str]) -> NumberTable:
    columns = [
        {point[:2]: text for point, text in zip(each.points.items, _column(each.points.items), strict=True)}
        for each in series
    ]
    places = sorted({place for column in columns for place in column})
    cells = [tuple(column.get(place, "=") for column in columns) for place in places]
    rows: list[tuple[tuple[int, int], int, tuple[str, ...]]] = []
    for (iteration, ordinal), row in zip(places, cells, strict=True):
        if rows and not ordinal and (iteration - 1, row) == rows[-1][1:] and not rows[-1][0][1]:
            rows[-1] = (rows[-1][0], iteration, row)
        else:
            rows.append(((iteration, ordinal), iteration, row))
    labelled = ((_place_label(*place, last), *row) for place, last, row in rows)
    return NumberTable(("iteration", *map(name, series)), tuple(labelled))


def _place_label(iteration: int, ordinal: int, last: int) -> str:
    if last > iteration:
        return f"{iteration} to {last}"
    return f"{iteration} #{ordinal + 1}" if ordinal else str(iteration)


def _column(points: Sequence[result.Point]) -> list[str]:
    """Return the cell of each point: both values and the difference of numbers, aligned with those of other points."""
    cells = [(*number_pair(point.old, point.new), change_text(point.old, point.new)) for point in points]
    widths = column_widths(map(cell_lengths, cells))
    aligned = ([pad_cell(*pair, right=True) for pair in zip(texts, widths, strict=True)] for texts in cells)
    return [f"{old} → {new}{f'  {change}' if widths[2] else ''}" for old, new, change in aligned]
