"""Two engines, one verdict; and problems that say where and what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from exprec import schemas
from exprec.recorder.schema import Validator, load_validator
from exprec.recorder.schema.messages import explain
from tests.fixtures.events import EXAMPLES, full_event

_scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -1.0]) | st.sampled_from(["", "a"])
)
_anything = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
)


@settings(max_examples=400)
@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_the_engines_give_the_same_verdict(event_type: str, data: st.DataObject) -> None:
    event = full_event(event_type)
    for key in data.draw(st.lists(st.sampled_from(sorted(event)), max_size=2)):
        event[key] = data.draw(_anything)
    name = f"event.{event_type}.v1"
    assert load_validator(name).is_valid(event) == (explain(schemas.load(name), event) == [])


@pytest.mark.parametrize("name", schemas.names())
def test_every_schema_is_a_valid_schema_that_needs_nothing_outside_itself(name: str) -> None:
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"exprec:{name}"
    assert schema["title"]
    for reference in _references(schema):
        assert reference.startswith("#")
    Validator(schema)


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [reference for part in schema for reference in _references(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [reference for part in schema.values() for reference in _references(part)]


def test_a_reference_out_of_the_schema_is_never_fetched() -> None:
    with pytest.raises(Exception, match=r"example\.org"):
        Validator({"$ref": "https://example.org/schema.json"})


INTEGER_SCHEMAS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "integer"}, 1.0),
    ({"type": ["integer", "null"]}, 1.0),
    ({"properties": {"a": {"type": "integer"}}}, {"a": 1.0}),
    ({"additionalProperties": {"type": "integer"}}, {"b": 1.0}),
    ({"items": {"properties": {"a": {"type": "integer"}}}}, [{"a": 1}, {"a": 1.0}]),
    ({"if": {"type": "array"}, "then": {"items": {"type": "integer"}}}, [1, 1.0]),
    ({"allOf": [{"properties": {"a": {"type": "integer"}}}]}, {"a": 1.0}),
    ({"$defs": {"cents": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/cents"}}}, {"a": 1.0}),
]


@pytest.mark.parametrize(("schema", "value"), INTEGER_SCHEMAS)
def test_an_integer_is_not_a_float_wherever_the_schema_says_integer(schema: dict[str, Any], value: Any) -> None:
    assert Validator(schema).problems(value)
    assert not Validator(schema).is_valid(value)
    whole = json.loads(json.dumps(value).replace("1.0", "1"))
    assert Validator(schema).is_valid(whole)


def test_problems_are_all_listed_with_their_keys() -> None:
    schema = {
        "type": "object",
        "properties": {"ticks": {"type": "integer", "minimum": 1}, "mode": {"enum": ["a", "b"]}},
        "required": ["ticks", "name"],
        "additionalProperties": False,
    }
    found = Validator(schema).problems({"ticks": 0, "mode": "c", "tick": 1, "nmae": 2})
    assert [str(problem) for problem in found] == [
        "ticks: must be at least 1, not 0",
        "mode: must be one of 'a', 'b', not 'c'",
        "name: this key is required and missing",
        "tick: unknown key; did you mean 'ticks'? (known: mode, ticks)",
        "nmae: unknown key (known: mode, ticks)",
    ]


def test_a_refused_key_is_refused_with_its_reason() -> None:
    schema = {"properties": {"limits": {"not": {}, "x-exprec-refused": "limits are not modelled"}}}
    (problem,) = Validator(schema).problems({"limits": {}})
    assert str(problem) == "limits: a mapping is refused: limits are not modelled"
