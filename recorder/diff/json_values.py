"""Two JSON values to the list of their differences, each at the deepest place that differs.

It knows nothing of what the values mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, cast

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


_new_difference = cast(Callable[[tuple[KeyPath, Any, Any]], Difference], partial(tuple.__new__, Difference))
"""A difference of its parts, in half the time that `Difference` takes, because that is a function in Python."""
_NESTED = (dict, list)


def differences(
    old: Any, new: Any, path: KeyPath = (), *, are_others: Callable[[Any, Any], bool] | None = None
) -> list[Difference]:
    """Every difference between two JSON values, in the order of sorted keys and of positions.

    Two objects that `are_others` calls different things differ as a whole, not in their parts.
    """
    return _found(old, new, path, are_others, [])


def _found(
    old: Any, new: Any, path: KeyPath, are_others: Callable[[Any, Any], bool] | None, found: list[Difference]
) -> list[Difference]:
    kind = type(old)
    if kind is not type(new):
        # 1 and 1.0, or 1 and true, are other bytes: they differ although Python calls them equal.
        found.append(_new_difference((path, old, new)))
    elif kind is dict and not (are_others and are_others(old, new)):
        keys = sorted(old if old.keys() == new.keys() else old.keys() | new.keys())
        for key in keys:
            left, right = old.get(key, ABSENT), new.get(key, ABSENT)
            # Without a call for what has no parts, as nearly all of a policy.
            if type(left) in _NESTED or type(left) is not type(right):
                _found(left, right, (*path, key), are_others, found)
            elif left != right:
                found.append(_new_difference(((*path, key), left, right)))
    elif kind is list:
        for position in range(max(len(old), len(new))):
            left = old[position] if position < len(old) else ABSENT
            right = new[position] if position < len(new) else ABSENT
            _found(left, right, (*path, position), are_others, found)
    elif old != new:
        found.append(_new_difference((path, old, new)))
    return found


def most_telling_first(found: Iterable[Difference]) -> list[Difference]:
    """Decisions first, then numbers and names, sentences last, and what lies deep behind what does not."""
    return sorted(found, key=_tells_little)


def _tells_little(difference: Difference) -> tuple[int, int]:
    sides = (difference.old, difference.new)
    is_decision = all(type(side) is bool for side in sides)
    is_sentence = all(type(side) is str for side in sides) and any(" " in side for side in sides)
    return 0 if is_decision else 2 if is_sentence else 1, len(difference.path)
