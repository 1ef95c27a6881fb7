"""A value and another beside it, cut to what people can compare at a glance.

What is compared is told by whoever shows them.
"""

from __future__ import annotations

import re
from typing import Any

from exprec.recorder.diff.json_values import ABSENT
from exprec.recorder.display.text import visible
from exprec.recorder.format import canonical_json
from exprec.recorder.schema.engine import show_value

_LONGEST_VALUE = 60
_LONGEST_LINE = 160
_BEFORE = 16
"""Characters shown of a long text before the place from which on it differs."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT_DIGEST = 12


def value_pair(old: Any, new: Any) -> tuple[str, str]:
    """Two values as they are displayed; of long texts the part from which on they differ."""
    if isinstance(old, str) and isinstance(new, str):
        if _DIGEST.fullmatch(old) and _DIGEST.fullmatch(new) and old[:_SHORT_DIGEST] != new[:_SHORT_DIGEST]:
            return f"{old[:_SHORT_DIGEST]}…", f"{new[:_SHORT_DIGEST]}…"
        return _text(old, new), _text(new, old)
    return value_text(old), value_text(new)


def _text(text: str, other: str) -> str:
    return visible(repr(text_around(text, other, _LONGEST_VALUE)))


def value_text(value: Any) -> str:
    """One value as it is displayed."""
    if value is ABSENT:
        return "absent"
    if isinstance(value, dict | list):
        return visible(cut(canonical_json.encode(value).decode().rstrip("\n"), _LONGEST_VALUE))
    return visible(show_value(value))


def cut(text: str, longest: int) -> str:
    """The text, with an ellipsis for what is beyond so many characters."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def text_around(text: str, other: str, longest: int = _LONGEST_LINE) -> str:
    """The text, or where it is long the part of it from which on it is another than `other`."""
    if max(len(text), len(other)) <= longest:
        return text
    start = max(_shared(text, other) - _BEFORE, 0)
    return f"{'…' if start else ''}{cut(text[start:], longest)}"


def _shared(text: str, other: str) -> int:
    length = min(len(text), len(other))
    return next((place for place in range(length) if text[place] != other[place]), length)
