"""Values of events as text, for reading at a glance."""

from __future__ import annotations

import re
from typing import Any

from exprec.recorder.diagnostics import json_text
from exprec.recorder.diff import ABSENT
from exprec.recorder.errors import NotEncodable

_LONGEST_NUMBER = 8
_SIMPLE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]{0,39}")
_NUMBERS = frozenset((int, float))
"""The types that Python writes as JSON does, except with an exponent."""
_TOO_DEEP = "…"
"""Placeholder for a value that is nested too deeply to be encoded."""


def value_as_json(value: Any, *, whole: bool = False) -> str:
    """Return a value as JSON, cut where it is long unless `whole`; `absent` for ABSENT."""
    if type(value) in _NUMBERS and "e" not in (number := repr(value)):
        return number
    if value is ABSENT:
        return "absent"
    try:
        return json_text(value, longest=None) if whole else json_text(value)
    except NotEncodable:
        # A log written by another program may nest values more deeply than exprec writes them.
        return _TOO_DEEP


def short_value(value: Any) -> str:
    """Return a value for reading at a glance.

    Simple words have no quotes, floats six significant digits; everything else is JSON, cut where it is long.
    """
    if isinstance(value, float):
        return short_number(value)
    if isinstance(value, dict | list):
        try:
            return value_as_json(_rounded(value))
        except RecursionError:
            return _TOO_DEEP
    if isinstance(value, str) and _SIMPLE_WORD.fullmatch(value) and value not in ("true", "false", "null"):
        return value
    return value_as_json(value)


def short_cost(cost: float, *, signed: bool = False) -> str:
    """Return a cost: an integer with all its digits, a float with six significant ones; `signed` with its sign."""
    text = str(cost) if isinstance(cost, int) else short_number(cost)
    return f"+{text}" if signed and cost >= 0 else text


def short_costs(old: float, new: float) -> str:
    """Return the change from one cost to another, with all digits if fewer would look equal."""
    texts = [short_cost(cost) for cost in (old, new)]
    if old != new and texts[0] == texts[1]:
        texts = [value_as_json(cost) for cost in (old, new)]
    return " → ".join(texts)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(short_number(value)) if isinstance(value, float) else value


def short_number(value: float) -> str:
    """Return a float with six significant digits, and all digits before the point."""
    text = json_text(value)
    if len(text) <= _LONGEST_NUMBER:
        return text
    return f"{value:.1f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"
