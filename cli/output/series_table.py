"""The values of series as tables by iteration, old and new side by side with the difference of numbers.

Which series are shown, and under which title, is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from exprec.cli.output.report import Figures
from exprec.cli.output.values import value_pair
from exprec.recorder.diagnostics import visible
from exprec.recorder.diff import result
from exprec.recorder.display import cell_len, short_number

_WIDTH = 96
"""Cells a table of figures may take; columns that do not fit stand in another table."""


def tables(series: Sequence[result.Series], name: Callable[[result.Series], str]) -> tuple[Figures, ...]:
    """The series as columns with their names, in several tables where they do not fit beside each other."""
    return tuple(_figures(each, name) for each in _beside(series, name))


def _beside(series: Sequence[result.Series], name: Callable[[result.Series], str]) -> Iterator[list[result.Series]]:
    """The series in groups that fit into a table."""
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


def _figures(series: Sequence[result.Series], name: Callable[[result.Series], str]) -> Figures:
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
    return Figures(("iteration", *map(name, series)), tuple(labelled))


def _place_label(iteration: int, ordinal: int, last: int) -> str:
    if last > iteration:
        return f"{iteration} to {last}"
    return f"{iteration} #{ordinal + 1}" if ordinal else str(iteration)


def _column(points: Sequence[result.Point]) -> list[str]:
    """The values of each point and the difference of numbers, below each other."""
    cells = [(*figure_pair(point.old, point.new), change_text(point.old, point.new)) for point in points]
    widths = [max(cell_len(cell[part]) for cell in cells) for part in range(3)]
    return [
        f"{_right(old, widths[0])} → {_right(new, widths[1])}{f'  {_right(change, widths[2])}' if widths[2] else ''}"
        for old, new, change in cells
    ]


def figure_pair(old: Any, new: Any) -> tuple[str, str]:
    """Two values of a series, numbers with as many digits as tell something, or all if they would look equal."""
    if result.are_numbers(old, new):
        before, after = (short_number(value) if isinstance(value, float) else str(value) for value in (old, new))
        if before != after:
            return before, after
    return value_pair(old, new)


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text


def change_text(old: Any, new: Any) -> str:
    """The difference of two numbers with its sign; nothing where either is none."""
    if not result.are_numbers(old, new):
        return ""
    difference = new - old
    return f"{difference:+}" if type(difference) is int else f"{difference:+.4g}"
