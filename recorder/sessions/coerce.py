"""Coercion of a program's values, NumPy scalars among them, to the equal JSON values."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from exprec.recorder.errors import NotEncodable

_EXACT_KINDS = "biufU"
"""The kinds of NumPy types that have an exact JSON form: booleans, integers, floats and strings."""
_INEXACT_KINDS = {
    "c": "a complex number of NumPy",
    "f": "an extended float of NumPy",
    "m": "a duration of NumPy",
    "M": "a date of NumPy",
    "O": "an object of NumPy",
    "S": "a byte string of NumPy",
    "V": "a structured scalar of NumPy",
}
_MAX_DEPTH = 300


def coerce_value(value: Any, field: str = "", depth: int = 0) -> Any:
    """Return `value` with every NumPy scalar replaced by the equal Python value.

    `field` is the name of the value in messages. Raises NotEncodable, with the field and what to record instead, for
    a path, a date or time, a set, an array or bytes. Everything else is left to the encoder.
    """
    kind = type(value)
    if depth > _MAX_DEPTH:
        # Too deep, or a cycle: the encoder refuses it.
        return value
    if kind is dict:
        prefix = f"{field}." if field else ""
        return {key: coerce_value(part, f"{prefix}{key}", depth + 1) for key, part in value.items()}
    if kind is list or kind is tuple:
        return [coerce_value(part, f"{field}[{position}]", depth + 1) for position, part in enumerate(value)]
    if kind.__module__.partition(".")[0] == "numpy" and getattr(value, "shape", None) == ():
        return _coerce_scalar(value, field)
    advice = _find_advice(value)
    if advice is not None:
        raise NotEncodable(field, f"a {kind.__name__} is not a JSON value; {advice}")
    return value


def _coerce_scalar(value: Any, field: str) -> Any:
    exact = value.item()
    # `item` of an extended float is that float, and of a date an integer.
    if value.dtype.kind not in _EXACT_KINDS or type(exact) not in (bool, int, float, str):
        # Not the names of its types, which differ between versions of NumPy and between machines.
        kind = _INEXACT_KINDS.get(value.dtype.kind, "a NumPy scalar of this type")
        raise NotEncodable(field, f"{kind} has no equal JSON value; convert it as you mean it")
    return exact


def _find_advice(value: Any) -> str | None:
    """What to record in place of a value of a common type without a JSON form; None for other types."""
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
