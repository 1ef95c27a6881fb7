"""A value and another beside it, cut to what people can compare at a glance.

What is compared is told by whoever shows them.
"""

from __future__ import annotations

import re
from typing import Any

from exprec.recorder.diagnostics import json_text, show_value, text_around, visible
from exprec.recorder.diff import ABSENT

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
    return visible(repr(text_around(text, other)))


def value_text(value: Any) -> str:
    """One value as it is displayed."""
    if value is ABSENT:
        return "absent"
    if isinstance(value, dict | list):
        return visible(json_text(value))
    return visible(show_value(value))
