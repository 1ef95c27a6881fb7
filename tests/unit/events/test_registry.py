"""A kind of event is one `EventSpec`, one schema and one function that renders it: the registry knows them all."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from exprec import schemas
from exprec.recorder.display import event_lines
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.events import (
    EVENT_SPECS,
    TERMINAL_TYPES,
    EventSpec,
    event_fields,
    exchange_index,
    is_failure,
)
from exprec.recorder.format import layout
from tests.fixtures.events import EXAMPLES, full_event
from tests.fixtures.paths import ROOT

SPECS = pytest.mark.parametrize("spec", EVENT_SPECS.values(), ids=EVENT_SPECS.keys())


def _schema(spec: EventSpec[Any]) -> dict[str, Any]:
    return schemas.load(spec.schema_name)


def test_every_event_schema_is_that_of_one_spec() -> None:
    with_schema = {name.split(".")[1] for name in schemas.names() if name.count(".") == 2 and name[:6] == "event."}
    assert with_schema == set(EVENT_SPECS)


@SPECS
def test_a_kind_is_rendered_by_a_function_of_its_own(spec: EventSpec[Any]) -> None:
    assert event_lines._RENDERERS[spec.event_type].__name__ == f"_{spec.event_type}"
    assert list(event_lines.event_lines(full_event(spec.event_type), VerboseConfig.all_enabled()))


@SPECS
def test_the_payload_type_has_the_fields_of_the_schema(spec: EventSpec[Any]) -> None:
    fields = {name: part for name, part in _schema(spec)["properties"].items() if name not in layout.ENVELOPE}
    if not is_typeddict(spec.payload):
        assert (spec.payload, fields) == (dict[str, Any], {})
        return
    assert list(get_type_hints(spec.payload)) == list(fields)
    hints = get_type_hints(spec.payload, include_extras=True)
    required = {name for name, hint in hints.items() if get_origin(hint) is not NotRequired}
    assert required == {*_schema(spec)["required"]} - {*layout.ENVELOPE}
    for name, hint in get_type_hints(spec.payload).items():
        assert _json_types(hint) == _schema_types(fields[name]), name


_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_CONTAINERS = {list: "array", dict: "object"}


def _json_types(hint: Any) -> set[str]:
    if hint in _JSON_TYPES:
        return {_JSON_TYPES[hint]}
    if (origin := getattr(hint, "__origin__", None)) in _CONTAINERS:
        return {_CONTAINERS[origin]}
    return set().union(*map(_json_types, get_args(hint)))


def _schema_types(part: dict[str, Any]) -> set[str]:
    kinds = part.get("type", "string")
    return {kinds} if isinstance(kinds, str) else set(kinds)


@SPECS
def test_every_switch_is_one_of_the_display(spec: EventSpec[Any]) -> None:
    switches = {spec.switch, spec.rejected_switch} - {None}
    assert switches <= {field.name for field in dataclasses.fields(VerboseConfig)}
    assert spec.scope == "iteration" or not switches, "what frames a run is always shown"


@SPECS
def test_the_fields_that_a_spec_names_are_in_its_schema(spec: EventSpec[Any]) -> None:
    named = spec.measured_fields | ({spec.exchange_field} if spec.exchange_field else set())
    assert named <= _schema(spec)["properties"].keys()
    assert exchange_index(full_event(spec.event_type)) == (None if spec.exchange_field is None else 0)


def test_what_ends_a_run_is_its_result_or_its_failure() -> None:
    assert {"experiment_end", "run_end", "experiment_failed"} == TERMINAL_TYPES
    assert [kind for kind in EXAMPLES if is_failure(full_event(kind))] == ["experiment_failed"]
    assert not is_failure({"seq": 0, "event_type": "epoch", "iteration": 0})


def test_fields_are_what_is_beside_the_envelope() -> None:
    assert event_fields({"seq": 0, "event_type": "x", "iteration": 1, "a": 2}) == {"a": 2}


def _naming(constant: str) -> Iterator[str]:
    for folder in ("recorder", "cli", "schemas"):
        for path in (ROOT / folder).rglob("*.py"):
            names = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))))
            if any(constant in (getattr(node, "id", ""), getattr(node, "attr", "")) for node in names):
                yield str(path.relative_to(ROOT))


def test_few_modules_name_a_kind() -> None:
    """The others ask its spec: besides the spec itself, who emits, renders, audits and orders it."""
    assert sorted(_naming("LLM_CALL")) == [
        "recorder/display/event_lines.py",
        "recorder/events/optimization.py",
        "recorder/experiment/proposal.py",
        "recorder/state/audit.py",
        "recorder/verify/order.py",
    ]
