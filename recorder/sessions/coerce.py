"""The values that a program hands over, as the plain JSON values that are recorded: exactly, or not at all.

What JSON itself can keep is told in `canonical`; here is what Python has besides, and what to do about it.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from exprec.recorder.errors import NotEncodable

_EXACT_KINDS = "biufU"
"""The kinds of NumPy types that have an equal value in JSON: booleans, integers, floats and texts."""
_DEEPEST = 300


def plain(value: Any, field: str = "", depth: int = 0) -> Any:
    """`value`, the part of a record that is called `field`, with every NumPy scalar as the equal Python value.

    Raises NotEncodable, with the name of the field and what to record instead, for a path, a date or time, a set, an
    array or bytes; `canonical` refuses whatever else JSON has not.
    """
    kind = type(value)
    if depth > _DEEPEST:
        # Nested too deeply, or within itself: refused by whoever encodes it.
        return value
    if kind is dict:
        prefix = f"{field}." if field else ""
        return {key: plain(part, f"{prefix}{key}", depth + 1) for key, part in value.items()}
    if kind is list or kind is tuple:
        return [plain(part, f"{field}[{position}]", depth + 1) for position, part in enumerate(value)]
    if kind.__module__.partition(".")[0] == "numpy" and getattr(value, "shape", None) == ():
        return _scalar(value, field)
    advice = _advice(value)
    if advice is not None:
        raise NotEncodable(field, f"a {kind.__name__} is not a JSON value; {advice}")
    return value


def _scalar(value: Any, field: str) -> Any:
    exact = value.item()
    # An extended float gives itself, a date an integer.
    if value.dtype.kind not in _EXACT_KINDS or type(exact) not in (bool, int, float, str):
        reason = f"a {type(value).__name__} of type {value.dtype} has no equal JSON value; convert it as you mean it"
        raise NotEncodable(field, reason)
    return exact


def _advice(value: Any) -> str | None:
    """What to record in place of a value of a common type that JSON has not; None for all others."""
    if isinstance(value, PurePath):
        return "record str(path), or keep the file itself with run.artifact(path)"
    if isinstance(value, set | frozenset):
        return "it has no order: record sorted(...)"
    if isinstance(value, bytes | bytearray | memoryview):
        return "record .hex(), or keep them in a file with run.artifact(path)"
    if type(value).__module__ == "datetime":
        return "record str(...), and only what is the same in each execution: else each has an address of its own"
    if hasattr(value, "tolist"):
        return "record .tolist(), or keep it in a file with run.artifact(path)"
    if hasattr(value, "item"):
        return "record .item()"
    return None
