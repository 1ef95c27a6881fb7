"""Collectors of differences: they keep the first up to a limit and count the rest, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from exprec.recorder.diff.json_values import ABSENT, Difference
from exprec.recorder.diff.result import Point, Range, Series, Truncated, are_numbers
from exprec.recorder.errors import KeyPath
from exprec.recorder.format import canonical_json

Item = TypeVar("Item")

MAX_BYTES = 8 * 1024 * 1024
"""Limit of what one collector keeps, whatever its limit of items: a policy or a prompt can be large."""
_MAX_SERIES = 200


class Collector(Generic[Item]):
    """The first items, and how many there were."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.items: list[Item] = []
        self.count = 0
        self.size = 0
        """In bytes, of the items kept."""

    @property
    def is_full(self) -> bool:
        """Whether further items are only counted."""
        return len(self.items) >= self._limit or self.size >= MAX_BYTES

    def add(self, item: Item, size: int = 0) -> bool:
        """Count an item, and keep it unless the collector is full; return whether it is kept. `size` is in bytes."""
        self.count += 1
        if self.is_full:
            return False
        self.size += size
        self.items.append(item)
        return True

    def skip(self) -> None:
        """Count an item without keeping it."""
        self.count += 1

    def truncated(self) -> Truncated[Item]:
        """Return what was collected, and the count of all of it."""
        return Truncated(tuple(self.items), self.count)


def collect_differences(differences: Iterable[Difference], limit: int) -> Collector[Difference]:
    """Return a collector of these differences."""
    collector: Collector[Difference] = Collector(limit)
    for difference in differences:
        collector.add(difference, difference_size(difference))
    return collector


def difference_size(difference: Difference) -> int:
    """Return the length of both values in canonical JSON, in bytes."""
    sides = (difference.old, difference.new)
    return sum(len(canonical_json.encode(canonical_json.form_floats(value))) for value in sides if value is not ABSENT)


class SeriesCollector:
    """Series of values, with the first points of each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._series: dict[tuple[str, str | None, KeyPath], Collector[Point]] = {}

    def add(self, event_type: str, agent: str | None, path: KeyPath, point: Point) -> bool:
        """Add a point; return False, and do nothing, if it would begin one series too many."""
        name = (event_type, agent, path)
        if name not in self._series:
            if len(self._series) >= _MAX_SERIES:
                return False
            self._series[name] = Collector(self._limit)
        size = 0 if are_numbers(point.old, point.new) else difference_size(Difference(path, point.old, point.new))
        self._series[name].add(point, size)
        return True

    def truncated(self) -> Truncated[Series]:
        """Return the series ordered by event type, agent (None first) and path."""
        ordered = sorted(self._series.items(), key=lambda item: (item[0][0], item[0][1] or "", item[0][2]))
        return Truncated(tuple(Series(*name, points.truncated()) for name, points in ordered), len(ordered))


class RangeCollector:
    """Increasing numbers as ranges of consecutive ones."""

    def __init__(self, limit: int) -> None:
        self._ranges: Collector[list[int]] = Collector(limit)
        self._last: int | None = None

    def add(self, number: int) -> None:
        """Add a number, which may be the last one again."""
        if number == self._last:
            return
        if self._last is not None and number == self._last + 1:
            # A range that is only counted has no end to move.
            if len(self._ranges.items) == self._ranges.count:
                self._ranges.items[-1][1] = number
        else:
            self._ranges.add([number, number])
        self._last = number

    def truncated(self) -> Truncated[Range]:
        """Return what was collected, and the count of all of it."""
        return Truncated(tuple((first, last) for first, last in self._ranges.items), self._ranges.count)
