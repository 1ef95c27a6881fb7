"""Values to canonical JSON bytes and back, refusing every value that would not come back equal.

It knows nothing of events or files. Canonical means: UTF-8, keys sorted, no space (or an indent of
two in the files that people read), one final newline.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson

from exprec.recorder.errors import NotEncodable
from exprec.recorder.format.utf8 import has_surrogate

_COMPACT = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_APPEND_NEWLINE
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_INDENTED = _COMPACT | orjson.OPT_INDENT_2
# Signed and unsigned 64-bit integers: the range in which orjson keeps every digit.
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
_MAX_DEPTH = 250


def encode(value: Any, *, indent: bool = False) -> bytes:
    """The canonical bytes of a JSON value: one line, or indented for files that people read.

    Raises NotEncodable, naming the field, for NaN, infinities, integers beyond 64 bits, lone
    surrogates, keys that are not strings and types JSON does not have.
    """
    return encode_checked(value, indent=indent)[0]


def encode_checked(value: Any, *, indent: bool = False) -> tuple[bytes, Any]:
    """The canonical bytes and the value read back from them.

    What was written is read back and compared, because an encoder may alter silently: orjson writes
    NaN as null and an enum as its value.
    """
    try:
        data = orjson.dumps(value, None, _INDENTED if indent else _COMPACT)
    except TypeError as error:
        _refuse(value)
        raise NotEncodable("", str(error)) from error
    back = orjson.loads(data)
    if back != value:
        # Unequal without a refusal leaves tuples, which JSON has as arrays.
        _refuse(value)
    return data, back


decode: Callable[[bytes], Any] = orjson.loads
"""The value of JSON bytes. Raises ValueError for anything that is not JSON."""


def is_canonical(data: bytes, value: Any, *, indent: bool = False) -> bool:
    """Whether `data` is exactly what `encode` writes for `value` (so: no duplicate key, no lost digit)."""
    try:
        return orjson.dumps(value, option=_INDENTED if indent else _COMPACT) == data
    except TypeError:
        return False


def _refuse(value: Any) -> None:
    """Raise NotEncodable for the first part of `value` that JSON cannot keep; return if there is none."""
    pending: list[tuple[str, Any, int]] = [("", value, 0)]
    while pending:
        field, part, depth = pending.pop()
        reason = "nested too deeply" if depth > _MAX_DEPTH else _reason_against(part)
        if reason is not None:
            raise NotEncodable(field, reason)
        if isinstance(part, dict):
            for key in part:
                if type(key) is not str:
                    raise NotEncodable(field, f"the key {key!r} is not a string")
                if has_surrogate(key):
                    raise NotEncodable(field, f"the key {key!r} has a lone surrogate, which UTF-8 cannot hold")
            prefix = f"{field}." if field else ""
            pending.extend((f"{prefix}{key}", part[key], depth + 1) for key in reversed(part))
        elif isinstance(part, list | tuple):
            pending.extend((f"{field}[{i}]", part[i], depth + 1) for i in reversed(range(len(part))))


def _reason_against(part: Any) -> str | None:
    kind = type(part)
    if part is None or kind in (bool, dict, list, tuple):
        return None
    if kind is int:
        return None if _MIN_INTEGER <= part <= _MAX_INTEGER else f"the integer {part} is beyond 64 bits"
    if kind is float:
        return None if math.isfinite(part) else f"{part} is not a number that JSON has"
    if kind is str:
        return "the string has a lone surrogate, which UTF-8 cannot hold" if has_surrogate(part) else None
    return f"a {kind.__name__} is not a JSON value"
