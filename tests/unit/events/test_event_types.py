"""Event types that an author declares: which schemas can be used, and what they make of events."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import InvalidEvent, InvalidInput
from exprec.recorder.events import EventTypes
from exprec.recorder.events.common import ANY_EVENT_SCHEMA
from exprec.recorder.schema import Schema, Validator
from exprec.recorder.schema.declared import DISPLAY
from exprec.recorder.store.log import EventLog

EPOCH: Schema = {
    "title": "One pass over the data",
    "properties": {"loss": {"type": "number"}, "steps": {"type": "integer", "minimum": 1}},
    "required": ["loss"],
    "additionalProperties": False,
    DISPLAY: "epoch {iteration}: loss {loss:.3f}",
}
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _problems(schema: Any, kind: Any = "epoch") -> str:
    with pytest.raises(InvalidInput) as caught:
        EventTypes({kind: schema})
    (problem,) = caught.value.problems
    assert problem.key == str(kind)
    return str(problem)


def _refusal(types: EventTypes, event_type: str, iteration: int = 0, **fields: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        EventLog(types=types).append(event_type, iteration, fields)
    return str(caught.value)


def _log(types: EventTypes, event_type: str, iteration: int = 0, **fields: Any) -> dict[str, Any]:
    return EventLog(types=types).append(event_type, iteration, fields).event


class TestEvents:
    def test_the_embedded_schema_is_that_of_whole_events_and_needs_nothing_else(self) -> None:
        types = EventTypes({"epoch": EPOCH})
        found = types.check("epoch")
        assert found is not None
        name, _ = found
        assert name == "event.epoch.v1"
        whole = types.schema(name)
        event = _log(types, "epoch", 1, loss=0.5, steps=3)
        assert Validator(json.loads(json.dumps(whole))).is_valid(event)
        assert whole["required"] == ["event_type", "iteration", "loss", "seq"]
        assert whole[DISPLAY] == EPOCH[DISPLAY]
        assert "required" in EPOCH, "the schema of the caller stays as it is"
        assert EPOCH["required"] == ["loss"]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"loss": "low"}, "event epoch: loss: must be a number, not 'low'"),
            ({}, "event epoch: loss: this key is required and missing"),
            ({"loss": 1, "steps": 0}, "event epoch: steps: must be at least 1, not 0"),
            ({"loss": 1, "steps": 1.0}, "event epoch: steps: must be an integer, not 1.0"),
            ({"loss": 1, "steps": 1.5}, "event epoch: steps: must be an integer, not 1.5"),
            ({"loss": 1, "lsos": 2}, "event epoch: lsos: unknown key; did you mean 'loss'? (known: loss, steps)"),
        ],
    )
    def test_an_event_that_breaks_its_schema_is_refused_with_the_name_of_the_field(
        self, fields: dict[str, Any], message: str
    ) -> None:
        assert _refusal(EventTypes({"epoch": EPOCH}), "epoch", 1, **fields) == message

    def test_a_negative_iteration_is_refused(self) -> None:
        message = _refusal(EventTypes({"epoch": EPOCH}), "epoch", -1, loss=1)
        assert message == "event epoch: iteration: must be at least 0, not -1"

    def test_undeclared_types_are_refused_as_soon_as_one_is_declared(self) -> None:
        types = EventTypes({"epoch": EPOCH}, strict=None)
        assert types.is_strict
        message = _refusal(types, "epohc")
        assert "unknown event type; did you mean 'epoch'? (known: epoch)" in message
        assert "strict=False" in message

    @pytest.mark.parametrize("declared", [None, {"epoch": EPOCH}])
    def test_they_are_taken_if_not_strict_and_checked_by_the_schema_of_any_event(self, declared: Any) -> None:
        types = EventTypes(declared, strict=False)
        log = EventLog(types=types)
        assert log.append("other", 2, {"anything": [1, None]}).event["anything"] == [1, None]
        assert log.schema_names == {ANY_EVENT_SCHEMA}
        assert "iteration" in _refusal(types, "other", "one")  # type: ignore[arg-type]

    def test_without_declared_types_none_is_refused_unless_strict(self) -> None:
        assert not EventTypes(strict=None).is_strict
        assert "declare it by a schema" in _refusal(EventTypes(strict=True), "epoch")

    @pytest.mark.parametrize("kind", ["", "Epoch", "1st", "a-b", "a.b", "a" * 65, "epoch\n", "événement", "../x"])
    def test_a_type_has_a_name_that_can_be_part_of_a_file_name(self, kind: str) -> None:
        assert "is no event type" in _refusal(EventTypes(strict=False), kind)
        assert "is no event type" in _problems({}, kind)

    @pytest.mark.parametrize("kind", ["run_end", "experiment_failed", "llm_call", "command_end"])
    def test_a_type_of_exprecs_own_cannot_be_declared(self, kind: str) -> None:
        assert f"declares '{kind}', which is a type of exprec's own; name yours otherwise" in _problems({}, kind)

    def test_several_types_and_several_problems(self) -> None:
        types = EventTypes({"epoch": EPOCH, "note": {}})
        assert types.known == ["epoch", "note"]
        assert _log(types, "note", text="x")["text"] == "x"
        with pytest.raises(InvalidInput) as caught:
            EventTypes({"epoch": {"type": 3}, "note": EPOCH, "run_end": {}, 7: {}})  # type: ignore[dict-item]
        assert [problem.key for problem in caught.value.problems] == ["epoch", "run_end", "7"]

    def test_types_can_be_told_from_a_schema_as_its_template(self) -> None:
        types = EventTypes({"epoch": EPOCH, "plain": {}})
        assert list(types.templates) == ["epoch"]
        assert types.templates["epoch"].render({"iteration": 3, "loss": 0.25}) == "epoch 3: loss 0.250"
        embedded = {**types.schemas, "event.run_end.v1": {DISPLAY: "not one of these"}, "event.epoch.v2": EPOCH}
        assert list(EventTypes.recorded_templates(embedded)) == ["epoch"]
        # From a log of somebody else, a schema may be anything.
        others: list[Any] = [None, [], {}, {DISPLAY: 3}, {DISPLAY: "{loss"}]
        assert [EventTypes.recorded_templates({"event.x.v1": each}) for each in others] == [{}] * 5


class TestSchemas:
    @pytest.mark.parametrize(
        ("schema", "reason"),
        [
            ([], "must be a JSON object, not a list"),
            ("epoch", "must be a JSON object, not 'epoch'"),
            ({"type": "objekt"}, "is not a valid JSON Schema: type: "),
            ({"required": "loss"}, "is not a valid JSON Schema: required: "),
            ({"properties": []}, "is not a valid JSON Schema: properties: "),
            ({"properties": {"loss": {"minimum": "0"}}}, "is not a valid JSON Schema: properties.loss.minimum: "),
            ({"properties": {"loss": {"pattern": "(("}}}, "is not a valid JSON Schema: properties.loss.pattern: "),
            ({"properties": {"loss": {"enum": float("nan")}}}, "cannot be recorded: properties.loss.enum: nan"),
            ({"type": "array"}, "describes the fields of an event: type must be object, not 'array'"),
            ({"$schema": "http://json-schema.org/draft-07/schema#"}, f"only {DRAFT} is supported"),
            ({DISPLAY: 3}, f"has {DISPLAY}, which must be a string, not 3"),
            ({DISPLAY: "{loss"}, f"has {DISPLAY}, which has a single '{{' at character 1"),
            (
                {"properties": {"loss": {}}, "additionalProperties": False, DISPLAY: "{los}"},
                f"has {DISPLAY}, which names los: unknown field; did you mean 'loss'?",
            ),
        ],
    )
    def test_what_cannot_be_used_is_refused_with_type_key_and_reason(self, schema: Any, reason: str) -> None:
        message = _problems(schema)
        assert message.startswith("epoch: the schema ")
        assert reason in message

    @pytest.mark.parametrize("name", ["seq", "event_type", "iteration"])
    def test_a_field_named_like_one_that_every_event_has_is_refused(self, name: str) -> None:
        assert f"has the field {name}, which exprec gives every event" in _problems({"properties": {name: {}}})

    @pytest.mark.parametrize("schema", [{"type": ["object", "null"]}, {"$schema": DRAFT}, {"$id": "urn:x:epoch"}, {}])
    def test_what_authors_write_at_the_top_is_no_obstacle(self, schema: Schema) -> None:
        assert _log(EventTypes({"epoch": schema}), "epoch", loss=1)["loss"] == 1

    @pytest.mark.parametrize(
        ("closing", "schema"),
        [
            ("maxProperties", {"maxProperties": 2}),
            ("minProperties", {"minProperties": 2}),
            ("propertyNames", {"propertyNames": {"maxLength": 4}}),
            ("patternProperties '^[a-z_]*$'", {"patternProperties": {"^[a-z_]*$": {"type": "number"}}}),
            ("additionalProperties", {"allOf": [{"properties": {"a": {}}, "additionalProperties": False}]}),
            ("additionalProperties", {"anyOf": [{"not": {"additionalProperties": {"type": "number"}}}]}),
            ("unevaluatedProperties", {"if": {}, "then": {"unevaluatedProperties": False}}),
            ("additionalProperties", {"dependentSchemas": {"a": {"additionalProperties": False}}}),
            ("additionalProperties", {"$ref": "#/$defs/e", "$defs": {"e": {"additionalProperties": False}}}),
        ],
    )
    def test_a_schema_without_room_for_the_fields_of_every_event_is_refused(self, closing: str, schema: Schema) -> None:
        message = _problems(schema)
        assert f"forbids, by {closing}, the fields that exprec gives every event" in message

    @pytest.mark.parametrize(
        "schema",
        [
            {"properties": {"a": {}}, "additionalProperties": False},
            {"properties": {"a": {}}, "unevaluatedProperties": False},
            {"properties": {"a": {"maxProperties": 2, "additionalProperties": {"type": "integer"}}}},
            {"patternProperties": {"^loss_": {"type": "number"}}, "additionalProperties": {"type": "object"}},
            {"allOf": [{"$ref": "#/$defs/e"}], "$defs": {"e": {"required": ["a"]}}},
        ],
    )
    def test_one_that_closes_what_stands_below_or_at_the_top_has_room(self, schema: Schema) -> None:
        assert _log(EventTypes({"epoch": schema}), "epoch", 1, a={"b": 1})["iteration"] == 1

    @pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
    @pytest.mark.parametrize("properties", [{"a": {}}, {}])
    def test_one_that_is_closed_at_the_top_refuses_other_fields(self, keyword: str, properties: Schema) -> None:
        types = EventTypes({"epoch": {"properties": properties, keyword: False}})
        assert _refusal(types, "epoch", b=1) == f"event epoch: b: unknown key (known: {'a' if properties else 'none'})"

    @pytest.mark.parametrize("closed", [{"additionalProperties": False}, {"properties": {"c": False}}])
    def test_a_field_that_may_not_be_there_is_named(self, closed: Schema) -> None:
        types = EventTypes({"epoch": {"properties": {"a": closed}}})
        reason = "may not be here, says the schema" if "properties" in closed else "unknown key (known: none)"
        assert _refusal(types, "epoch", a={"c": 1}) == f"event epoch: a.c: {reason}"


class TestReferences:
    def test_a_reference_within_the_schema_is_followed(self) -> None:
        schema: Schema = {
            "properties": {"tree": {"$ref": "#/$defs/tree"}, "rate": {"anyOf": [{"$ref": "#/$defs/rate"}]}},
            "$defs": {
                "tree": {"properties": {"size": {"type": "integer"}, "in": {"$ref": "#/$defs/tree"}}},
                "rate": {"type": "number", "maximum": 1},
            },
        }
        types = EventTypes({"epoch": schema})
        deep = {"size": 1, "in": {"in": {"size": 2}}}
        assert _log(types, "epoch", tree=deep, rate=0.5)["tree"] == deep
        deep["in"] = {"in": {"size": "two"}}
        assert _refusal(types, "epoch", tree=deep) == "event epoch: tree.in.in.size: must be an integer, not 'two'"
        assert "rate: 3 is none of what its schema allows" in _refusal(types, "epoch", rate=3)

    @pytest.mark.parametrize(
        "reference",
        [
            "https://example.org/epoch.json",
            "http://localhost:1/x#/$defs/a",
            "file:///etc/passwd",
            "other.schema.json",
            "#/$defs/missing",
            "#/properties/list/items",
            "#anchor",
            "#",
            "",
        ],
    )
    def test_any_other_is_refused_and_never_fetched(self, reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: Any) -> None:
            raise AssertionError("nothing is ever fetched")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        for schema in (
            {"properties": {"a": {"$ref": reference}}, "$defs": {"a": {}}},
            {"allOf": [{"properties": {"a": {"items": {"$dynamicRef": reference}}}}]},
        ):
            message = _problems(schema)
            assert "has no target in it; nothing is ever fetched" in message
            assert f"'{reference}'" in message

    def test_an_id_within_a_schema_is_refused(self) -> None:
        schema = {"properties": {"a": {"$id": "https://example.org/a", "$ref": "#/$defs/a"}}, "$defs": {"a": {}}}
        assert "has an $id within it" in _problems(schema)


class TestIntegers:
    """`integer` means an integer wherever a schema has one: 1.0 is other bytes than 1."""

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1.0),
            ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, 1.0),
            ({"prefixItems": [{"type": "string"}, {"type": "integer"}]}, ["a", 1.0]),
            ({"patternProperties": {"^n": {"type": "integer"}}}, {"n1": 1.0}),
            ({"dependentSchemas": {"a": {"properties": {"b": {"type": "integer"}}}}}, {"a": 0, "b": 1.0}),
            ({"contains": {"type": "integer"}}, ["x", 1.0]),
            ({"properties": {"type": {"type": ["integer", "null"]}}}, {"type": 1.0}),
            ({"properties": {"const": {"type": "integer"}}}, {"const": 1.0}),
            ({"unevaluatedItems": {"type": "integer"}}, [1.0]),
            ({"$ref": "#/$defs/node"}, {"in": {"in": {"n": 1.0}}}),
        ],
    )
    def test_a_float_is_none_wherever_it_stands(self, schema: Schema, value: Any) -> None:
        node = {"properties": {"n": {"type": "integer"}, "in": {"$ref": "#/$defs/node"}}}
        types = EventTypes({"epoch": {"properties": {"value": schema}, "$defs": {"node": node}}})
        assert "value" in _refusal(types, "epoch", value=value)
        assert _log(types, "epoch", value=json.loads(json.dumps(value).replace("1.0", "1")))

    @pytest.mark.parametrize("beside", [{}, {"allOf": [{"minimum": 0}]}, {"if": {"minimum": 5}, "else": {}}])
    def test_nor_where_it_is_one_of_several_types(self, beside: Schema) -> None:
        types = EventTypes({"epoch": {"properties": {"value": {"type": ["integer", "null"], **beside}}}})
        assert _refusal(types, "epoch", value=1.0) == "event epoch: value: must be an integer or null, not 1.0"
        assert _refusal(types, "epoch", value="x") == "event epoch: value: must be an integer or null, not 'x'"
        assert _log(types, "epoch", value=1)["value"] == 1
        assert _log(types, "epoch", value=None)["value"] is None

    @pytest.mark.parametrize("schema", [{"type": ["integer", "number"]}, {"const": {"type": "integer"}}])
    def test_what_says_otherwise_is_left_alone(self, schema: Schema) -> None:
        types = EventTypes({"epoch": {"properties": {"value": schema}}})
        assert _log(types, "epoch", value=schema.get("const", 1.0))


class TestPatterns:
    @pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){25}$", "^([a-z]+)*$"])
    def test_no_pattern_hangs_neither_verdict_nor_words(self, pattern: str) -> None:
        types = EventTypes({"epoch": {"properties": {"a": {"pattern": pattern}, "b": {"maxLength": 1}}}})
        began = time.perf_counter()
        message = _refusal(types, "epoch", a="a" * 24 + "!" * 50_000, b="long")
        assert "a: must match the pattern" in message
        assert "b: must have at most 1 character" in message
        assert time.perf_counter() - began < 1

    def test_nor_one_for_the_names_of_fields(self) -> None:
        types = EventTypes({"epoch": {"properties": {"m": {"patternProperties": {"(x+)+$": {"type": "null"}}}}}})
        began = time.perf_counter()
        assert _log(types, "epoch", m={"x" * 5_000 + "!": 1})
        assert time.perf_counter() - began < 1

    @pytest.mark.parametrize("pattern", ["(?=a)b", "(?<=a)b", r"(a)\1", "(a{1000}){1000}"])
    def test_one_that_could_is_refused_with_its_place(self, pattern: str) -> None:
        message = _problems({"properties": {"a": {"pattern": pattern}}})
        assert "is not a valid JSON Schema: properties.a.pattern: " in message


class TestFolder:
    def test_each_file_declares_the_type_it_is_named_after(self, tmp_path: Path) -> None:
        (tmp_path / "epoch.schema.json").write_text(json.dumps(EPOCH))
        (tmp_path / "note.schema.json").write_text("{}")
        (tmp_path / "README.md").write_text("not a schema")
        types = EventTypes.in_folder(tmp_path, strict=None)
        assert types.is_strict
        assert types.known == ["epoch", "note"]

    @pytest.mark.parametrize("name", ["a.b.schema.json", "event.epoch.v1.schema.json", ".schema.json"])
    def test_a_file_with_another_name_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("{}")
        with pytest.raises(InvalidInput, match=r"must be named <type>\.schema\.json") as caught:
            EventTypes.in_folder(tmp_path)
        assert str(tmp_path / name) in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("Epoch.schema.json", "{}", "'Epoch', which is no event type"),
            ("run_end.schema.json", "{}", "which is a type of exprec's own"),
            ("epoch.schema.json", '{"type": 3}', "is not a valid JSON Schema: type: "),
            ("epoch.schema.json", "{", "not valid JSON"),
            ("epoch.schema.json", "[]", "must be a JSON object"),
        ],
    )
    def test_a_problem_is_told_with_the_file(self, tmp_path: Path, name: str, text: str, reason: str) -> None:
        (tmp_path / "note.schema.json").write_text("{}")
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidInput) as caught:
            EventTypes.in_folder(tmp_path)
        assert str(caught.value).startswith(f"{tmp_path / name}:")
        assert reason in str(caught.value)

    def test_a_folder_without_schemas_or_no_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=r"has no file <type>\.schema\.json"):
            EventTypes.in_folder(tmp_path)
        with pytest.raises(InvalidInput, match="is not a folder"):
            EventTypes.in_folder(tmp_path / "missing")
