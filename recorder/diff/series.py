"""Values that both runs have again and again, where they differ.

Costs, parameters and the numbers of any other event are collected alike; what they mean is not told here.
"""

from __future__ import annotations

from typing import Any

from exprec.recorder.diff.collector import Kept, weight
from exprec.recorder.diff.json_values import Difference
from exprec.recorder.diff.result import Listed, Point, Range, Series
from exprec.recorder.errors import KeyPath

_MOST_SERIES = 200


class SeriesTable:
    """The series of one kind, of each the first points up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._series: dict[tuple[str, str | None, KeyPath], Kept[Point]] = {}

    def add(self, event_type: str, agent: str | None, path: KeyPath, point: Point) -> bool:
        """Note that a value differs; False if that would be one series too many."""
        name = (event_type, agent, path)
        if name not in self._series:
            if len(self._series) >= _MOST_SERIES:
                return False
            self._series[name] = Kept(self._limit)
        is_figure = is_number(point.old) and is_number(point.new)
        self._series[name].add(point, 0 if is_figure else weight(Difference(path, point.old, point.new)))
        return True

    def listed(self) -> Listed[Series]:
        """The series by type of event, agent (none first) and path."""
        ordered = sorted(self._series.items(), key=lambda item: (item[0][0], item[0][1] or "", item[0][2]))
        return Listed(tuple(Series(*name, points.listed()) for name, points in ordered), len(ordered))


class Ranges:
    """Numbers of iterations that come in order, as ranges of consecutive ones."""

    def __init__(self, limit: int) -> None:
        self._ranges: Kept[list[int]] = Kept(limit)
        self._last: int | None = None

    def add(self, number: int) -> None:
        """Add a number, which may be the last one again."""
        if number == self._last:
            return
        if self._last is not None and number == self._last + 1:
            # Of a range that is only counted, so is its end.
            if len(self._ranges.items) == self._ranges.count:
                self._ranges.items[-1][1] = number
        else:
            self._ranges.add([number, number])
        self._last = number

    def listed(self) -> Listed[Range]:
        return Listed(tuple((first, last) for first, last in self._ranges.items), self._ranges.count)


def is_number(value: Any) -> bool:
    """Whether a value can be a point of a curve; true and false cannot."""
    return type(value) in (int, float)
