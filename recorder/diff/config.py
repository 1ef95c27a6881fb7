"""Structural diff of configs; list items are matched by id or name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exprec.recorder.diff.json_values import ABSENT, Difference, differences
from exprec.recorder.errors import KeyPath

_NAME_KEYS = ("id", "name")


def config_differences(old: Any, new: Any, path: KeyPath = ()) -> Iterator[Difference]:
    """Yield every difference between two configs, each at the deepest path.

    List items are matched by their `id` or `name`, which is then part of the path, if all have one and those of both
    lists are in the same order. Otherwise they are matched by index, in lists of different length without the equal
    items at the end.
    """
    if isinstance(old, list) and isinstance(new, list):
        named = _match_by_name(old, new)
        if named is not None:
            yield from config_differences(*named, path)
            return
        end = _count_equal_at_end(old, new) if len(old) != len(new) else 0
        old, new = old[: len(old) - end], new[: len(new) - end]
        for index in range(max(len(old), len(new))):
            left, right = (side[index] if index < len(side) else ABSENT for side in (old, new))
            yield from config_differences(left, right, (*path, index))
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from config_differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    else:
        yield from differences(old, new, path)


def _match_by_name(old: list[Any], new: list[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the items by their names; None if one has no name, or the shared names are in another order."""
    for key in _NAME_KEYS:
        sides = [_items_by(key, side) for side in (old, new)]
        if all(sides):
            before, after = sides
            if [name for name in before if name in after] == [name for name in after if name in before]:
                return before, after
    return None


def _items_by(key: str, items: list[Any]) -> dict[str, Any]:
    """Return the items by the string under a key; nothing if one has none or two have the same."""
    named = {item[key]: item for item in items if isinstance(item, dict) and isinstance(item.get(key), str)}
    return named if len(named) == len(items) else {}


def _count_equal_at_end(old: list[Any], new: list[Any]) -> int:
    count = 0
    for left, right in zip(reversed(old), reversed(new), strict=False):
        if differences(left, right):
            break
        count += 1
    return count
