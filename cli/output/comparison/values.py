"""Two values side by side, as text in which their difference is visible."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from exprec.cli.output.sections import KEY, NEW, OLD
from exprec.recorder.diagnostics import json_text, key_name, show_value, text_around, visible
from exprec.recorder.diff import ABSENT, Difference, result
from exprec.recorder.display import Span, short_number

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT_DIGEST = 12


def value_pair(old: Any, new: Any) -> tuple[str, str]:
    """Return two values as text; long strings are cut around their first difference."""
    if isinstance(old, str) and isinstance(new, str):
        if _DIGEST.fullmatch(old) and _DIGEST.fullmatch(new) and old[:_SHORT_DIGEST] != new[:_SHORT_DIGEST]:
            return f"{old[:_SHORT_DIGEST]}…", f"{new[:_SHORT_DIGEST]}…"
        return _text(old, new), _text(new, old)
    return value_text(old), value_text(new)


def _text(text: str, other: str) -> str:
    return visible(repr(text_around(text, other)), quoted=True)


def value_text(value: Any) -> str:
    """Return one value as text; `absent` for ABSENT."""
    if value is ABSENT:
        return "absent"
    if isinstance(value, dict | list):
        return visible(json_text(value), quoted=True)
    return visible(show_value(value), quoted=True)


def number_pair(old: Any, new: Any) -> tuple[str, str]:
    """Return two values as text: numbers with six significant digits, or with all if they would look equal."""
    if result.are_numbers(old, new):
        before, after = (short_number(value) if isinstance(value, float) else str(value) for value in (old, new))
        if before != after:
            return before, after
    return value_pair(old, new)


def change_text(old: Any, new: Any) -> str:
    """Return the signed difference of two numbers; empty if either is not a number, or not finite."""
    if not result.are_numbers(old, new) or not (math.isfinite(old) and math.isfinite(new)):
        return ""
    difference = new - old
    return f"{difference:+}" if type(difference) is int else f"{difference:+.4g}"


def difference_spans(difference: Difference) -> Iterator[Span]:
    """Return the spans of a difference: the name of the field and both values."""
    path, old, new = difference
    return arrow_spans(key_name(path), *value_pair(old, new))


def arrow_spans(name: str, old: str, new: str) -> Iterator[Span]:
    """Yield the spans of `name old → new`; an empty name is left out."""
    if name:
        yield name, KEY
        yield " ", ""
    yield old, OLD
    yield " → ", ""
    yield new, NEW
