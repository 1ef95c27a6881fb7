"""Structural diff of JSON values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

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


_NESTED = (dict, list)
_MAX_LINES = 8


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
        # `_make` takes four fifths of the time of `Difference(...)`: 115 µs instead of 144 for 100 differences.
        found.append(Difference._make((path, old, new)))
    elif kind is dict and not (are_others and are_others(old, new)):
        keys = sorted(old if old.keys() == new.keys() else old.keys() | new.keys())
        for key in keys:
            left, right = old.get(key, ABSENT), new.get(key, ABSENT)
            # Most values are scalars: no call for them.
            if type(left) in _NESTED or type(left) is not type(right):
                _collect(left, right, (*path, key), are_others, found)
            elif left != right and (left == left or right == right):
                # NaN differs from itself, and two records with it are equal.
                found.append(Difference._make(((*path, key), left, right)))
    elif kind is list:
        for index in range(max(len(old), len(new))):
            left = old[index] if index < len(old) else ABSENT
            right = new[index] if index < len(new) else ABSENT
            _collect(left, right, (*path, index), are_others, found)
    elif old != new and (old == old or new == new):
        found.append(Difference._make((path, old, new)))
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
    """Return a difference from a recorded value as one line; of texts, the first line that differs."""
    path, old, new = difference
    name = key_name(path)
    if old is ABSENT:
        return f"{name}: not recorded, now {show_value(new)}"
    if new is ABSENT:
        return f"{name}: recorded {show_value(old)}, now missing"
    if not isinstance(old, str) or not isinstance(new, str):
        return f"{name}: recorded {show_value(old)}, now {show_value(new)}"
    line = _first_differing_line(old, new)
    location = f", line {line.number}" if "\n" in old or "\n" in new else ""
    return f"{name}{location}: recorded {text_around(line.old, line.new)!r}, now {text_around(line.new, line.old)!r}"


class _DifferingLine(NamedTuple):
    number: int
    old: str
    new: str


def _first_differing_line(old: str, new: str) -> _DifferingLine:
    """Return the first line in which two texts differ; its number is from 1."""
    pairs = zip_longest(old.split("\n"), new.split("\n"), fillvalue="")
    return next(_DifferingLine(number, *pair) for number, pair in enumerate(pairs, 1) if pair[0] != pair[1])


def difference_lines(found: Sequence[Difference]) -> list[str]:
    """Return the first differences as indented lines, and the number of the others."""
    lines = [f"  {difference_text(each)}" for each in found[:_MAX_LINES]]
    if len(found) > _MAX_LINES:
        lines.append(f"  and {len(found) - _MAX_LINES} more differences")
    return lines
