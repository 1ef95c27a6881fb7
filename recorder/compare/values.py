"""Two JSON values to the list of their differences, each at the deepest place that differs.

It knows nothing of what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from exprec.recorder.errors import KeyPath


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()
"""Stands on the side of a difference that has no value there."""


class Difference(NamedTuple):
    """One place that differs; `old` or `new` is ABSENT where only the other side has a value."""

    path: KeyPath
    old: Any
    new: Any


def differences(old: Any, new: Any, path: KeyPath = ()) -> Iterator[Difference]:
    """Every difference between two JSON values, in the order of sorted keys and of positions."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for position in range(max(len(old), len(new))):
            left = old[position] if position < len(old) else ABSENT
            right = new[position] if position < len(new) else ABSENT
            yield from differences(left, right, (*path, position))
    elif type(old) is not type(new) or old != new:
        # 1 and 1.0, or 1 and true, are other bytes: they differ although Python calls them equal.
        yield Difference(path, old, new)
