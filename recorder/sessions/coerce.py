"""Coercion of a program's values to the equal JSON values, or to paths, and advice about those that have none."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import PurePath
from typing import Any

from exprec.recorder.errors import InvalidInput, NotEncodable, Problem
from exprec.recorder.format import canonical_json

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
_NO_VALUE = object()


def coerce_value(value: Any, field: str = "", depth: int = 0) -> Any:
    """Return `value` with every part that equals a JSON value replaced by that value.

    These are scalars of NumPy, torch and their like, mappings that equal a dict of their items, and instances of
    subclasses of the JSON types. They are recognised by what they can do, so that no library is imported.

    `field` is the name of the value in messages. Raises NotEncodable, with the field and what to record instead, for
    anything else.
    """
    kind = type(value)
    if kind is str or kind is int or kind is float:
        _check_plain(value, field)
        return value
    if value is None or kind is bool:
        return value
    if depth > _MAX_DEPTH:
        # At once, because a value that contains itself twice has more parts at each level.
        raise NotEncodable(field, "nested too deeply; record its parts in events of their own")
    if kind is dict:
        return _coerce_items(value, field, depth)
    if isinstance(value, Mapping) and _is_equal(dict(value), value):
        return _coerce_items(dict(value), field, depth)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [coerce_value(part, f"{field}[{position}]", depth + 1) for position, part in enumerate(value)]
    scalar = _find_scalar(value, field)
    if scalar is not _NO_VALUE:
        _check_plain(scalar, field)
        return scalar
    raise NotEncodable(field, f"a {kind.__name__} is not a JSON value; {_find_advice(value)}")


def _check_plain(value: Any, field: str) -> None:
    """Raise NotEncodable for an integer or a text that cannot be recorded."""
    if type(value) is int:
        advice = "record str(...), or float(...) if that is exact enough"
    elif type(value) is str:
        advice = "record text.encode('utf-8', 'backslashreplace').decode()"
    else:
        return
    reason = canonical_json.reason_against(value)
    if reason is not None:
        raise NotEncodable(field, f"{reason}; {advice}")


def _coerce_items(items: dict[Any, Any], field: str, depth: int) -> dict[str, Any]:
    prefix = f"{field}." if field else ""
    coerced = {}
    for key, part in items.items():
        if not isinstance(key, str):
            raise NotEncodable(
                field, f"{canonical_json.key_text(key)} is not a string; record {{str(key): value, ...}}"
            )
        # Of subclasses of str, as NumPy has one, the text.
        coerced[str.__str__(key)] = coerce_value(part, f"{prefix}{key}", depth + 1)
    return coerced


def _is_equal(plain: Any, value: Any) -> bool:
    try:
        return bool(plain == value)
    except Exception:
        # What a program's own comparison raises, such as NumPy's for an array.
        return False


def _find_scalar(value: Any, field: str) -> Any:
    """Return the equal text or number of a scalar; _NO_VALUE for other values. Raises NotEncodable for inexact ones."""
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        return _coerce_item(value, field)
    if isinstance(value, str):
        return str.__str__(value)
    if _find_special_advice(value) is not None:
        # Some of these have an equal float for some values only.
        return _NO_VALUE
    conversions: tuple[tuple[str, Callable[[Any], Any]], ...] = (("__index__", operator.index), ("__float__", float))
    for method, convert in conversions:
        if hasattr(type(value), method):
            try:
                plain = convert(value)
            except Exception:
                continue
            # An integer of a subclass would be encoded as an object.
            plain = int(plain) if method == "__index__" else plain
            if _is_equal(plain, value) or plain != plain:
                return plain
    return _NO_VALUE


def _coerce_item(value: Any, field: str) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    try:
        exact = value.item()
    except Exception:
        # Such as a tensor without data.
        exact = None
    # `item` of an extended float is that float, and of a date an integer.
    if (isinstance(kind, str) and kind not in _EXACT_KINDS) or type(exact) not in (bool, int, float, str):
        # Not the names of its types, which differ between versions of NumPy and between machines.
        library = type(value).__module__.partition(".")[0]
        unknown = "a NumPy scalar of this type" if library == "numpy" else "a scalar of this type"
        name = _INEXACT_KINDS.get(kind, unknown) if isinstance(kind, str) else unknown
        raise NotEncodable(field, f"{name} has no equal JSON value; convert it as you mean it")
    return exact


_ONCE = "and only what is the same in each execution: else each has another run id"


@cache
def _advice_by_type() -> tuple[tuple[type | tuple[type, ...], str], ...]:
    # Imported here because most programs record none of these.
    import enum
    from decimal import Decimal
    from fractions import Fraction
    from uuid import UUID

    return (
        (Decimal, "record str(...), which keeps every digit, or float(...)"),
        (Fraction, "record str(...), or float(...)"),
        (enum.Enum, "record its .value or its .name"),
        (UUID, f"record str(...), {_ONCE}"),
        (PurePath, "record str(path), or keep the file itself with run.artifact(path)"),
        ((set, frozenset), "it has no order: record sorted(...)"),
        ((bytes, bytearray, memoryview), "record .hex(), or keep them in a file with run.artifact(path)"),
        (complex, "record [value.real, value.imag]"),
        (Mapping, "record the dict that you mean"),
    )


def _find_special_advice(value: Any) -> str | None:
    """What to record in place of a value of a common type without a JSON form; None for other types."""
    # An IntEnum equals its number.
    if isinstance(value, int | float):
        return None
    if hasattr(type(value), "__dataclass_fields__"):
        return "record dataclasses.asdict(...)"
    # By name, because only one module may have a clock.
    if any(each.__module__ == "datetime" for each in type(value).__mro__):
        return f"record str(...), {_ONCE}"
    return next((advice for types, advice in _advice_by_type() if isinstance(value, types)), None)


def _find_advice(value: Any) -> str:
    """What to record in place of a value without a JSON form."""
    special = _find_special_advice(value)
    if special is not None:
        return special
    if hasattr(value, "_fields"):
        return "record ._asdict(), or list(...)"
    if hasattr(value, "tolist"):
        return "record .tolist(), or keep it in a file with run.artifact(path)"
    if hasattr(value, "item"):
        return "record .item()"
    if isinstance(value, Iterable) and not isinstance(value, type):
        return "record list(...)"
    return "record the text, the number, the list or the dict that says what you mean"


def coerce_path(value: Any, what: str) -> str:
    """Return a path, or the text of one, as text. Raises InvalidInput, with what to give instead, for anything else."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(path, str):
        return path
    if isinstance(path, bytes | bytearray | memoryview):
        advice = "write them into a file and give its path, or decode a path with os.fsdecode(...)"
        reason = f"must be a path, not bytes; {advice}"
    elif hasattr(path, "savefig"):
        reason = "must be a path, not a figure; save it with .savefig(path), and give that path"
    elif hasattr(path, "read") or hasattr(path, "write"):
        reason = "must be a path, not an open file; close it, so that it is complete, and give its path"
    else:
        reason = f"must be a path, not a value of type {type(path).__name__}; write it into a file, and give its path"
    raise InvalidInput([Problem((), f"{what} {reason}")])
