"""Every event type has a schema; one example a rule that breaks it is refused, naming the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.diagnostics import key_name
from exprec.recorder.errors import InvalidEvent
from exprec.recorder.events import EVENT_SPECS, optimization
from exprec.recorder.events.common import ANY_EVENT_SCHEMA
from exprec.recorder.schema import find_problems
from exprec.recorder.store.log import EventLog
from tests.fixtures.events import EVENT_TYPES, EXAMPLES, OTHER_TYPES, full_event
from tests.fixtures.json_values import remove_at, replace_at

Path = tuple[str | int, ...]

_OF_ANOTHER_TYPE: dict[str, Any] = {
    "string": 7,
    "integer": 1.0,
    "number": "7",
    "boolean": 1,
    "object": [],
    "array": {},
    "null": "not null",
}


def _kinds(schema: dict[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _broken(schema: dict[str, Any], value: Any, path: Path = ()) -> Iterator[tuple[str, Path, Any]]:
    """Yield every rule of the schema that applies to the value, with its path and a value that breaks it."""
    yield from _broken_rules(schema, path)
    for name, inner in schema.get("properties", {}).items():
        if value.get(name) is not None:
            yield from _broken(inner, value[name], (*path, name))
    rest = schema.get("additionalProperties")
    if isinstance(rest, dict) and value:
        name = next(iter(value))
        yield from _broken(rest, value[name], (*path, name))
    if "items" in schema and value:
        yield from _broken(schema["items"], value[0], (*path, 0))


def _broken_rules(schema: dict[str, Any], path: Path) -> Iterator[tuple[str, Path, Any]]:
    kinds = _kinds(schema)
    if kinds:
        yield "type", path, _OF_ANOTHER_TYPE[kinds[0]]
    if "const" in schema:
        yield "const", path, "something else"
    if "enum" in schema:
        yield "enum", path, "something else"
    if "minimum" in schema:
        yield "minimum", path, schema["minimum"] - 1
    if "maximum" in schema:
        yield "maximum", path, schema["maximum"] + 1
    if schema.get("minLength"):
        yield "minLength", path, ""
    if schema.get("minItems"):
        yield "minItems", path, []
    for name in schema.get("required", ()):
        yield "required", (*path, name), _MISSING
    if schema.get("additionalProperties") is False:
        yield "additionalProperties", (*path, "surprise"), 1


_MISSING = object()


def _cases() -> Iterator[Any]:
    for event_type in EXAMPLES:
        name = EVENT_SPECS[event_type].schema_name
        assert name is not None
        event = full_event(event_type)
        for rule, path, part in _broken(schemas.load(name), event):
            if path:
                yield pytest.param(
                    event_type,
                    path,
                    remove_at(event, path) if part is _MISSING else replace_at(event, path, part),
                    id=f"{event_type}-{rule}-{key_name(path)}",
                )


@pytest.mark.parametrize(("event_type", "path", "broken"), list(_cases()))
def test_an_event_that_breaks_one_rule_is_refused_by_field(event_type: str, path: Path, broken: Any) -> None:
    name = EVENT_SPECS[event_type].schema_name
    assert name is not None
    found = find_problems(broken, name)
    assert path in [problem.path for problem in found]
    assert key_name(path, broken) in [problem.key for problem in found]


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_the_example_of_each_type_is_valid(event_type: str) -> None:
    name = EVENT_SPECS[event_type].schema_name
    assert name is not None
    assert find_problems(full_event(event_type), name) == []


def test_the_vocabulary_is_what_has_a_schema() -> None:
    prefix = "event."
    names = [name for name in schemas.names() if name.startswith(prefix) and name != ANY_EVENT_SCHEMA]
    with_schema = {name.removeprefix(prefix).rpartition(".v")[0] for name in names}
    assert with_schema == {*EVENT_TYPES, *OTHER_TYPES} == set(EXAMPLES)


def test_the_log_refuses_what_the_schema_refuses_and_stays_as_it_was() -> None:
    log = EventLog()
    iteration, fields = EXAMPLES[optimization.ITERATION_START.event_type]
    log.append(optimization.ITERATION_START.event_type, iteration, fields)
    with pytest.raises(InvalidEvent, match=r"costs_per_agent\.BANK_A: must be an integer, not 1\.5"):
        log.append(optimization.ITERATION_START.event_type, 1, {"total_cost": 1, "costs_per_agent": {"BANK_A": 1.5}})
    with pytest.raises(InvalidEvent, match=r"event iteration_strat: event_type: unknown event type; did you mean"):
        log.append("iteration_strat", 1, fields)
    assert [entry.event["seq"] for entry in log.entries()] == [0]
