"""Canonical encoding: the same bytes for the same value, and a refusal for what JSON cannot keep."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.errors import NotEncodable
from exprec.recorder.format import canonical_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_what_is_encoded_comes_back_equal_and_of_the_same_types(value: Any) -> None:
    data, back = canonical_json.encode_checked(value)
    assert repr(back) == repr(json.loads(data)) or back == value
    assert canonical_json.decode(data) == value
    assert canonical_json.encode(canonical_json.decode(data)) == data
    assert canonical_json.is_canonical(data, canonical_json.decode(data))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9), min_size=2))
def test_order_of_insertion_leaves_no_trace(value: dict[str, int]) -> None:
    turned = dict(reversed(value.items()))
    assert canonical_json.encode(value) == canonical_json.encode(turned)


def test_compact_and_indented_forms() -> None:
    value = {"b": [1, 2.5], "a": {"ü": None}}
    assert canonical_json.encode(value) == '{"a":{"ü":null},"b":[1,2.5]}\n'.encode()
    assert canonical_json.encode(value, indent=True) == (
        '{\n  "a": {\n    "ü": null\n  },\n  "b": [\n    1,\n    2.5\n  ]\n}\n'.encode()
    )


class Colour(Enum):
    RED = object()


REFUSED: list[tuple[Any, str, str]] = [
    ({"a": [0, {"cost": math.nan}]}, "a[1].cost", "nan"),
    ({"a": math.inf}, "a", "inf"),
    ({"a": -math.inf}, "a", "-inf"),
    ({"a": 2**64}, "a", "64 bits"),
    ({"a": -(2**63) - 1}, "a", "64 bits"),
    ({"a": {"b": "x\ud800"}}, "a.b", "surrogate"),
    ({"a": {"k\udfff": 1}}, "a", "surrogate"),
    ({"a": {1: 2}}, "a", "not a string"),
    ({"a": {1, 2}}, "a", "set"),
    ({"a": b"x"}, "a", "bytes"),
    ({"a": date(2026, 1, 1)}, "a", "date"),
    ({"a": UUID(int=1)}, "a", "UUID"),
    ({"a": Colour.RED}, "a", "Colour"),
    ({"a": 1 + 2j}, "a", "complex"),
    ({"a": {"b": object()}}, "a.b", "object"),
]


@pytest.mark.parametrize(("value", "field", "reason"), REFUSED, ids=[f"{field}-{why}" for _, field, why in REFUSED])
def test_what_json_cannot_keep_is_refused_by_field(value: Any, field: str, reason: str) -> None:
    with pytest.raises(NotEncodable) as raised:
        canonical_json.encode(value)
    assert raised.value.field == field
    assert reason in raised.value.reason


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 10**5000}, "a: an integer of more than 40 digits is beyond 64 bits"),
        ({"a": {object(): 1}}, "a: a key of type object is not a string"),
        ({"a": {(1, 2): 1}}, "a: a key of type tuple is not a string"),
        ({"a": {10**5000: 1}}, "a: a key of type int is not a string"),
        ({"a": {1.5: 1}}, "a: the key 1.5 is not a string"),
        ({"a": {"é\ud800": 1}}, "a: the key '\\xe9\\ud800' has a lone surrogate, which UTF-8 cannot hold"),
    ],
)
def test_why_is_told_in_the_same_words_each_time(value: Any, message: str) -> None:
    with pytest.raises(NotEncodable) as raised:
        canonical_json.encode(value)
    assert str(raised.value) == f"{message}; exprec refuses it rather than record something else"


def test_no_words_and_no_limit_of_the_encoder_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orjson.dumps", _fail)
    with pytest.raises(NotEncodable, match="the value has no JSON form"):
        canonical_json.encode(1)
    deep: Any = []
    for _ in range(254):
        deep = [deep]
    # An encoder with another limit.
    monkeypatch.setattr("orjson.dumps", lambda value, *_, **__: json.dumps(value, separators=(",", ":")).encode())
    assert canonical_json.encode(deep[0]) == b"[" * 254 + b"]" * 254
    assert not canonical_json.is_canonical(b"[" * 255 + b"]" * 255, deep)
    with pytest.raises(NotEncodable, match="nested too deeply"):
        canonical_json.encode(deep)


def _fail(*_: Any, **__: Any) -> bytes:
    raise TypeError("words of some version")


def test_what_nests_too_deeply_is_refused() -> None:
    value: list[Any] = []
    for _ in range(1000):
        value = [value]
    with pytest.raises(NotEncodable, match="nested too deeply"):
        canonical_json.encode(value)


@pytest.mark.parametrize("wrap", [lambda inner: (inner,), lambda inner: {"a": inner}], ids=["arrays", "objects"])
def test_what_must_be_looked_at_may_have_254_levels(wrap: Callable[[Any], Any]) -> None:
    value: Any = ()
    for _ in range(253):
        value = wrap(value)
    assert canonical_json.decode(canonical_json.encode(value)) == canonical_json.encode_checked(value)[1]
    with pytest.raises(NotEncodable, match="nested too deeply"):
        canonical_json.encode(wrap(value))


def test_only_what_json_cannot_keep_is_accused() -> None:
    kept = [2**64 - 1, -(2**63), 0.5, "ü", True, None, (1,), {"b": []}]
    with pytest.raises(NotEncodable) as raised:
        canonical_json.encode({"a": kept, "z": math.nan})
    assert raised.value.field == "z"


def test_a_tuple_is_an_array() -> None:
    assert canonical_json.encode_checked({"a": (1, 2)}) == (b'{"a":[1,2]}\n', {"a": [1, 2]})


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":1}\n',
        b'{"a": 1}\n',
        b'{"b":1,"a":1}\n',
        b'{"a":1}',
        b'{"a":18446744073709551616}\n',
        b'{"a":1e0}\n',
        b"[" * 300 + b"]" * 300 + b"\n",
    ],
    ids=lambda line: line[:24].decode().strip(),
)
def test_other_spellings_of_a_value_are_not_canonical(line: bytes) -> None:
    assert not canonical_json.is_canonical(line, canonical_json.decode(line))
