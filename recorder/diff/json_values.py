"""Structural diff of JSON values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple, cast

from exprec.recorder.diagnostics import key_name, show_value, text_around
from exprec.recorder.errors import KeyPath


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()
"""The side of a difference that has no value at its path."""


class Difference(NamedTuple):
    """The values at one path; `old` or `new` is ABSENT if the other side alone has a value there."""

    path: KeyPath
    old: Any
    new: Any


_new_difference = cast(Callable[[tuple[KeyPath, Any, Any]], Difference], partial(tuple.__new__, Difference))
"""A difference of its parts, in half the time that `Difference` takes, because that is a function in Python."""
_NESTED = (dict, list)
_SHOWN_DIFFERENCES = 8


def differences(
    old: Any, new: Any, path: KeyPath = (), *, are_others: Callable[[Any, Any], bool] | None = None
) -> list[Difference]:
    """Return every difference between two JSON values, each at the deepest path, ordered by key and index.

    Two objects for which `are_others` returns True differ as a whole.
    """
    return _collect(old, new, path, are_others, [])


def _collect(
    old: Any, new: Any, path: KeyPath, are_others: Callable[[Any, Any], bool] | None, found: list[Difference]
) -> list[Difference]:
    kind = type(old)
    if kind is not type(new):
        # 1 and 1.0, or 1 and true, are equal in Python and different in JSON.
        found.append(_new_difference((path, old, new)))
    elif kind is dict and not (are_others and are_others(old, new)):
        keys = sorted(old if old.keys() == new.keys() else old.keys() | new.keys())
        for key in keys:
            left, right = old.get(key, ABSENT), new.get(key, ABSENT)
            # Most values are scalars: no call for them.
            if type(left) in _NESTED or type(left) is not type(right):
                _collect(left, right, (*path, key), are_others, found)
            elif left != right:
                found.append(_new_difference(((*path, key), left, right)))
    elif kind is list:
        for index in range(max(len(old), len(new))):
            left = old[index] if index < len(old) else ABSENT
            right = new[index] if index < len(new) else ABSENT
            _collect(left, right, (*path, index), are_others, found)
    elif old != new:
        found.append(_new_difference((path, old, new)))
    return found


def most_telling_first(found: Iterable[Difference]) -> list[Difference]:
    """Sort differences: decisions first, then numbers and names, sentences last; shallow before deep."""
    return sorted(found, key=_telling_order)


def _telling_order(difference: Difference) -> tuple[int, int]:
    sides = (difference.old, difference.new)
    is_decision = all(type(side) is bool for side in sides)
    is_sentence = all(type(side) is str for side in sides) and any(" " in side for side in sides)
    return 0 if is_decision else 2 if is_sentence else 1, len(difference.path)


def difference_text(difference: Difference) -> str:
    """A recorded value and the current one, in one line; of texts, the first line in which they differ."""
    path, old, new = difference
    name = key_name(path)
    if old is ABSENT:
        return f"{name}: not recorded, now {show_value(new)}"
    if new is ABSENT:
        return f"{name}: recorded {show_value(old)}, now not there"
    if not isinstance(old, str) or not isinstance(new, str):
        return f"{name}: recorded {show_value(old)}, now {show_value(new)}"
    number, before, after = _first_other_line(old, new)
    place = f", line {number}" if "\n" in old or "\n" in new else ""
    shown, other = (text_around(one, two) for one, two in ((before, after), (after, before)))
    return f"{name}{place}: recorded {shown!r}, now {other!r}"


def _first_other_line(old: str, new: str) -> tuple[int, str, str]:
    """The first line in which two texts differ: its number, from 1, and the line in each text."""
    lines = zip_longest(old.split("\n"), new.split("\n"), fillvalue="")
    return next((number, one, two) for number, (one, two) in enumerate(lines, 1) if one != two)


def difference_lines(found: Sequence[Difference]) -> list[str]:
    """The first of the differences, one indented line each, and the number of the others."""
    lines = [f"  {difference_text(each)}" for each in found[:_SHOWN_DIFFERENCES]]
    if len(found) > _SHOWN_DIFFERENCES:
        lines.append(f"  and in {len(found) - _SHOWN_DIFFERENCES} more places")
    return lines
