"""Canonical JSON: values to bytes and back, without any value that would not come back equal.

Canonical means UTF-8, sorted keys, no spaces (or an indent of two in files that people read), and one final newline.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from exprec.recorder.errors import NotEncodable
from exprec.recorder.format import layout
from exprec.recorder.format.utf8 import has_surrogate

if orjson.dumps(1e16) != b"1e+16":
    # Versions before 3.11.7 write such numbers in other bytes: runs would get other run ids.
    from exprec.recorder.requirements import unmet_dependency

    raise unmet_dependency("orjson")

_COMPACT = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_APPEND_NEWLINE
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_INDENTED = _COMPACT | orjson.OPT_INDENT_2
_SHALLOW_BYTES = 2 * layout.MAX_DEPTH
"""A value with more than MAX_DEPTH levels has more bytes: two brackets for each level."""
FLOAT_SCHEMA = "float.v1"
"""The schema of the form of floats that JSON cannot hold: a run that contains one has it in `schemas.json`."""
FLOAT_MARK = b'{"$float":'
"""What a line of canonical JSON with such a form contains."""
_FLOAT_KEY = "$float"
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
# In a string the quotes would be escaped.
_FLOAT_FORM = re.compile(rb'\{\s*"\$float":\s*"(?:nan|-?inf)"\s*\}')


def encode(value: Any, *, indent: bool = False) -> bytes:
    """Return the canonical bytes of a JSON value: one line, or indented for files that people read.

    Raises NotEncodable, naming the field, for NaN, infinities, integers beyond 64 bits, lone surrogates, keys that
    are not strings, and types that JSON does not have.
    """
    return encode_checked(value, indent=indent)[0]


def encode_checked(value: Any, *, indent: bool = False) -> tuple[bytes, Any]:
    """Return the canonical bytes of a value, and the value decoded from them. Raises NotEncodable.

    The two values are compared, because an encoder may alter a value silently: orjson writes NaN as null, and an enum
    as its value.
    """
    try:
        data = orjson.dumps(value, None, _INDENTED if indent else _COMPACT)
    except TypeError as error:
        _refuse(value)
        # Not the words of orjson: a failed run records this message.
        raise NotEncodable("", "the value has no JSON form") from error
    back = orjson.loads(data)
    # What is unequal and not refused are tuples, which become arrays.
    if back != value or (len(data) > _SHALLOW_BYTES and _is_too_deep(data, back)):
        _refuse(value)
    return data, back


def encode_program_value(value: Any, *, indent: bool = False) -> tuple[bytes, Any]:
    """Return the bytes of a value of a program, and the value decoded from them; floats may be NaN or infinite.

    These are written as `{"$float": "nan"}`, and remain so in the decoded value; see `restore_floats`. Raises
    NotEncodable for any other value that JSON does not have, and for an object of just this shape.
    """
    try:
        data, back = encode_checked(value, indent=indent)
    except NotEncodable:
        _refuse(value, allows_floats=True)
        return encode_checked(form_floats(value), indent=indent)
    if has_float_form(data):
        _refuse(value, allows_floats=True)
    return data, back


def form_floats(value: Any, depth: int = 0) -> Any:
    """Return a value with the form that is recorded in place of each float that JSON cannot hold.

    Raises NotEncodable for a value that is nested too deeply.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT_KEY: str(float(value))}
    if isinstance(value, dict | list | tuple) and depth > layout.MAX_DEPTH:
        raise NotEncodable("", "nested too deeply")
    if isinstance(value, dict):
        return {key: form_floats(part, depth + 1) for key, part in value.items()}
    return [form_floats(part, depth + 1) for part in value] if isinstance(value, list | tuple) else value


def restore_floats(value: Any, depth: int = 0) -> Any:
    """Return a decoded value with the float in place of each form; the inverse of `form_floats`."""
    # Another program may have nested values more deeply than exprec writes them.
    if depth > layout.MAX_DEPTH:
        return value
    if isinstance(value, dict):
        name = float_name(value)
        return {key: restore_floats(part, depth + 1) for key, part in value.items()} if name is None else _FLOATS[name]
    return [restore_floats(part, depth + 1) for part in value] if isinstance(value, list) else value


def float_name(value: Any) -> str | None:
    """Return `nan`, `inf` or `-inf` for the form of such a float; None for any other value."""
    if type(value) is not dict or len(value) != 1:
        return None
    name = value.get(_FLOAT_KEY)
    return name if type(name) is str and name in _FLOATS else None


def has_float_form(data: bytes) -> bool:
    """Return whether a document or a line has the form of a float that JSON cannot hold."""
    return b'"$float":' in data and _FLOAT_FORM.search(data) is not None


def plain_floats(text: str) -> str:
    """Return canonical JSON of one line for reading, with `nan` in place of `{"$float":"nan"}`."""
    return re.sub(r'\{"\$float":"(nan|-?inf)"\}', r"\1", text) if _FLOAT_KEY in text else text


decode: Callable[[bytes], Any] = orjson.loads
"""Decode JSON bytes. Raises ValueError for anything else."""


def is_canonical(data: bytes, value: Any, *, indent: bool = False) -> bool:
    """Return whether `data` is exactly what `encode` writes for `value`: no duplicate key, no lost digit."""
    try:
        if orjson.dumps(value, option=_INDENTED if indent else _COMPACT) != data:
            return False
    except TypeError:
        return False
    return len(data) <= _SHALLOW_BYTES or not _is_too_deep(data, value)


def is_deeper(value: Any, most_levels: int) -> bool:
    """Return whether a JSON value has more levels of arrays and objects."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most_levels):
        parts = (part for each in level for part in (each.values() if isinstance(each, dict) else each))
        level = [part for part in parts if isinstance(part, dict | list)]
    return bool(level)


def _is_too_deep(data: bytes, value: Any) -> bool:
    # The limit of orjson is the same at present, and may be another in a later version.
    return data.count(b"{") + data.count(b"[") > layout.MAX_DEPTH and is_deeper(value, layout.MAX_DEPTH)


def _refuse(value: Any, *, allows_floats: bool = False) -> None:
    """Raise NotEncodable for the first part of a value that JSON cannot represent, if there is one.

    With `allows_floats` NaN and infinities are allowed, and objects that look like their form are refused.
    """
    pending = [_Part(None, "", value, 0)]
    while pending:
        place = pending.pop()
        part, depth = place.value, place.depth
        is_too_deep = depth >= layout.MAX_DEPTH and isinstance(part, dict | list | tuple)
        reason = "nested too deeply" if is_too_deep else reason_against(part)
        if allows_floats and reason is None and (name := float_name(part)) is not None:
            reason = f'an object {{"$float": "{name}"}} means the number {name}; record that number'
        if reason is not None and not (allows_floats and type(part) is float):
            raise NotEncodable(place.field(), reason)
        if isinstance(part, dict):
            for key in part:
                if type(key) is not str:
                    raise NotEncodable(place.field(), f"{key_text(key)} is not a string")
                if has_surrogate(key):
                    raise NotEncodable(place.field(), f"the key {key!a} has a lone surrogate, which UTF-8 cannot hold")
            pending.extend(_Part(place, key, part[key], depth + 1) for key in reversed(part))
        elif isinstance(part, list | tuple):
            pending.extend(_Part(place, index, part[index], depth + 1) for index in reversed(range(len(part))))


class _Part(NamedTuple):
    """A part of a value, and what contains it. It gets its name for a message alone: a key may be long."""

    parent: _Part | None
    key: str | int
    value: Any
    depth: int

    def field(self) -> str:
        """Return the path of the part in the value; empty for the value itself."""
        keys: list[str | int] = []
        place = self
        while place.parent is not None:
            keys.append(place.key)
            place = place.parent
        name = ""
        for key in reversed(keys):
            name = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}" if name else key
        return name


def reason_against(part: Any) -> str | None:
    """Return why JSON cannot represent a value, its parts aside; None if it can."""
    kind = type(part)
    if part is None or kind in (bool, dict, list, tuple):
        return None
    if kind is int:
        if layout.MIN_INTEGER <= part <= layout.MAX_INTEGER:
            return None
        is_long = abs(part) >= 10**layout.MAX_DIGITS
        shown = f"an integer of more than {layout.MAX_DIGITS} digits" if is_long else f"the integer {part}"
        return f"{shown} is beyond 64 bits"
    if kind is float:
        return None if math.isfinite(part) else f"{part} is not a number that JSON has"
    if kind is str:
        return "the string has a lone surrogate, which UTF-8 cannot hold" if has_surrogate(part) else None
    return f"a {kind.__name__} is not a JSON value"


def key_text(key: Any) -> str:
    """Return a key that is not a string, in the same words each time: the text of an object may have its address."""
    is_short = type(key) in (type(None), bool, float) or (type(key) is int and abs(key) < 10**layout.MAX_DIGITS)
    return f"the key {key!r}" if is_short else f"a key of type {type(key).__name__}"
