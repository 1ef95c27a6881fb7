"""Differences collected up to a limit and counted beyond it, so that memory does not grow with the runs.

It knows nothing of what is collected.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from exprec.recorder.diff.json_values import ABSENT, Difference
from exprec.recorder.diff.result import Listed
from exprec.recorder.format import canonical_json

Item = TypeVar("Item")

MOST_BYTES = 8 * 1024 * 1024
"""The weight of what is kept of a kind, whatever the limit allows: a policy or a prompt can be large."""


class Kept(Generic[Item]):
    """The first items, and how many there were."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = MOST_BYTES
        self.items: list[Item] = []
        self.count = 0

    @property
    def is_full(self) -> bool:
        return len(self.items) >= self._limit or self._room <= 0

    def add(self, item: Item, size: int = 0) -> bool:
        """Keep an item of this many bytes if there is room for it, else count it only; returns whether it is kept."""
        self.count += 1
        if self.is_full:
            return False
        self._room -= size
        self.items.append(item)
        return True

    def listed(self) -> Listed[Item]:
        return Listed(tuple(self.items), self.count)


def weight(difference: Difference) -> int:
    """About how many bytes a difference takes."""
    sides = (difference.old, difference.new)
    return sum(len(canonical_json.encode(value)) for value in sides if value is not ABSENT)
