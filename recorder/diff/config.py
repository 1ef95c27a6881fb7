"""Two configs to their differences, in which the items of a list keep their partners when others come or go.

It knows no key of a config.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exprec.recorder.diff.json_values import ABSENT, Difference, differences
from exprec.recorder.errors import KeyPath

_NAMES = ("id", "name")


def config_differences(old: Any, new: Any, path: KeyPath = ()) -> Iterator[Difference]:
    """Every difference, each at its deepest place.

    Items that have an `id` or a `name` are compared, and stand in the path, by it, as long as their order is the
    same. Of lists of another length the equal items at both ends are partners.
    """
    if isinstance(old, list) and isinstance(new, list):
        named = _by_name(old, new)
        if named is not None:
            yield from config_differences(*named, path)
            return
        end = _shared_end(old, new) if len(old) != len(new) else 0
        old, new = old[: len(old) - end], new[: len(new) - end]
        for position in range(max(len(old), len(new))):
            left, right = (side[position] if position < len(side) else ABSENT for side in (old, new))
            yield from config_differences(left, right, (*path, position))
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from config_differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    else:
        yield from differences(old, new, path)


def _by_name(old: list[Any], new: list[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The items of both lists by their names; None unless each has one, and those of both are in the same order."""
    for key in _NAMES:
        sides = [_named(side, key) for side in (old, new)]
        if all(sides):
            before, after = sides
            if [name for name in before if name in after] == [name for name in after if name in before]:
                return before, after
    return None


def _named(items: list[Any], key: str) -> dict[str, Any]:
    """The items by the text under their key; empty unless each has one of its own."""
    found = {item[key]: item for item in items if isinstance(item, dict) and isinstance(item.get(key), str)}
    return found if len(found) == len(items) else {}


def _shared_end(old: list[Any], new: list[Any]) -> int:
    """How many items at the end are equal; those at the beginning stay out of it."""
    count = 0
    for left, right in zip(reversed(old), reversed(new), strict=False):
        if differences(left, right):
            break
        count += 1
    return count
