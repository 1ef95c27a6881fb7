"""The parts of verifying a run that need no run: files in exprec's form, lines, and the schemas by which they go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.errors import Problem
from exprec.recorder.events import common
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.store.log import Entry
from exprec.recorder.verify import records as lines_module
from exprec.recorder.verify.documents import read_indented
from exprec.recorder.verify.messages import RESTORE
from exprec.recorder.verify.records import Check, problems_in_lines
from exprec.recorder.verify.schemas import EmbeddedSchemas, explained, released
from tests.fixtures.events import EXAMPLES, EXCHANGE, full_event

FORM = "is not in the form that exprec writes"
OWN = "event.experiment_failed.v1"


def told(problems: Iterator[Problem] | list[Problem]) -> list[tuple[tuple[Any, ...], int | None, str]]:
    return [(problem.path, problem.line, problem.message.removesuffix(f"; {RESTORE}")) for problem in problems]


@pytest.mark.parametrize(
    ("data", "path", "line", "message"),
    [
        (b'{\n  "a": 1\n}', (), 3, FORM),
        (b'{\r\n  "a": 1\r\n}\r\n', (), 1, f"{FORM} (the line ends were converted)"),
        (
            b'{\n  "a": 1,\n  "b": {\n    "c": 1,\n    "c": 2\n  }\n}\n',
            ("b", "c"),
            5,
            "the key 'c' stands twice, and only",
        ),
        (b'{\n  "b": 1,\n  "a": 1\n}\n', (), 2, FORM),
        (b'{\n  "a": 1\n]\n', (), 3, "not JSON ("),
        (b"[" * 300 + b"]" * 300, (), None, "not JSON that exprec writes (nested too deeply)"),
    ],
)
def test_bytes_that_are_not_in_the_form_of_exprec(
    tmp_path: Path, data: bytes, path: tuple[str, ...], line: int | None, message: str
) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(data)
    (found,) = read_indented(file, "file.json")
    assert (found.path, found.line, found.source) == (path, line, "file.json")
    assert found.message.startswith(message)
    assert found.message.endswith(f"; {RESTORE}")


def embedded(**given: Any) -> tuple[EmbeddedSchemas, list[tuple[tuple[Any, ...], int | None, str]]]:
    embedded = EmbeddedSchemas(is_expected=True)
    return embedded, told(embedded.embed({name.replace("__", "."): schema for name, schema in given.items()}))


def test_a_schema_that_no_line_needs_is_told() -> None:
    found, problems = embedded(exchange__v1=schemas.load("exchange.v1"), event__epoch__v1={})
    assert problems == []
    unneeded = [(("event.epoch.v1",), None, "is needed by no line of the run")]
    assert told(found.unneeded([], has_exchanges=True)) == unneeded
    both = [*unneeded, (("exchange.v1",), None, "is needed by no line of the run")]
    assert told(found.unneeded([], has_exchanges=False)) == both
    assert told(found.unneeded(["epoch"], has_exchanges=True)) == []


def test_a_schema_that_cannot_be_used_is_told_with_the_reason() -> None:
    explosion = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}] * 2}}, "$ref": "#/$defs/a"}
    _, problems = embedded(
        event__a__v1=[],
        event__b__v1={"$ref": "https://example.org/x"},
        other={},
        event__c__v1=explosion,
        event__d__v0={},
    )
    said = {path[0]: message for path, _, message in problems}
    assert said.keys() == {"event.a.v1", "event.b.v1", "other", "event.c.v1", "event.d.v0"}
    assert said["event.a.v1"] == "is not a schema that can be used (a schema must be a JSON object)"
    assert said["other"] == said["event.d.v0"] == "is not the name of a schema of an event or an exchange"
    assert said["event.c.v1"].startswith("is not a schema that can be used (it ")
    assert told(EmbeddedSchemas(is_expected=True).embed([])) == [((), None, "must be a JSON object")]


def test_of_a_type_that_nobody_declared_the_schema_of_any_event_is_taken() -> None:
    found, _ = embedded(event__v1=schemas.load("event.v1"))
    taken = found.schema("epoch", is_event=True)
    assert taken is not None
    assert (taken.name, taken.is_known) == ("event.v1", True)
    # One of exprec's own types has a schema of its own.
    assert found.schema(common.EXPERIMENT_FAILED.event_type, is_event=True) is None
    (problem,) = found.problems_without(common.EXPERIMENT_FAILED.event_type, 7, is_event=True)
    assert "has no schema of 'experiment_failed', which line 7 of the records is" in problem.message
    assert list(found.problems_without(common.EXPERIMENT_FAILED.event_type, 8, is_event=True)) == []
    assert list(found.problems_without("epoch", 8, is_event=True)) == []


def test_lines_of_a_run_that_is_not_sealed_go_by_the_schemas_of_this_package() -> None:
    found = EmbeddedSchemas(is_expected=False)
    for kind, is_event, name in (
        (common.EXPERIMENT_FAILED.event_type, True, OWN),
        ("epoch", True, "event.v1"),
        ("exchange", False, "exchange.v1"),
    ):
        schema = found.schema(kind, is_event=is_event)
        assert schema is not None
        assert (schema.name, schema.is_known) == (name, True)
        (problem, *_) = explained(schema, {})
        assert problem.message == "this key is required and missing"
    failed = found.schema(common.EXPERIMENT_FAILED.event_type, is_event=True)
    assert failed is not None
    assert explained(failed, full_event(common.EXPERIMENT_FAILED.event_type)) == []
    assert EmbeddedSchemas(is_expected=True).schema("epoch", is_event=True) is None


def test_a_schema_by_another_hand_is_not_explained() -> None:
    found, _ = embedded(event__epoch__v1={"required": ["loss"]})
    schema = found.schema("epoch", is_event=True)
    assert schema is not None
    assert told(explained(schema, {})) == [((), None, "is not valid by its schema event.epoch.v1")]


def test_what_the_engine_gives_up_on_is_not_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = released(OWN)

    class Weary:
        def is_valid(self, value: Any) -> bool:
            raise RecursionError

        def problems(self, value: Any) -> list[Problem]:
            raise RecursionError

    weary = schema._replace(validator=Weary())  # type: ignore[arg-type]
    assert schema.name == OWN
    assert told(explained(weary, {})) == [((), None, "cannot be checked by its schema (RecursionError)")]


def _hear(heard: list[tuple[Entry, int]]) -> Check:
    def check(entry: Entry, number: int) -> list[Problem]:
        heard.append((entry, number))
        return []

    return check


@pytest.mark.parametrize("is_long", [True, False])
def test_a_line_may_be_as_long_as_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool) -> None:
    monkeypatch.setattr(lines_module, "_PIECE_BYTES", 16)
    path = tmp_path / "events.jsonl"
    line = canonical_json.encode({"a": "x" * 40})
    monkeypatch.setattr(layout, "MAX_LINE_BYTES", len(line) - 2 if is_long else len(line) - 1)
    path.write_bytes(b'{"a":1}\n' + line)
    limit = [((), 2, f"a line of more than {len(line) - 2} bytes")]
    heard: list[tuple[Entry, int]] = []
    assert told(problems_in_lines(path, _hear(heard))) == (limit if is_long else [])
    # Whoever checks hears that the log goes on with what is no event.
    assert heard[1] == ((Entry({}, b"", 8), 0) if is_long else (Entry({"a": "x" * 40}, line, 8), 2))


def test_where_too_much_is_wrong_the_rest_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "_MOST_TOLD", 3)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"[]\n" * 9)
    heard: list[tuple[Entry, int]] = []
    *wrong, last = told(problems_in_lines(path, _hear(heard)))
    assert wrong == [((), line, "not a JSON object with fields") for line in (1, 2, 3, 4)]
    assert last == ((), 4, "more than 3 problems up to here; no line after this one was looked at")
    expected = [(Entry({}, b"[]\n", 3 * line - 3), line) for line in (1, 2, 3, 4)]
    assert heard == [*expected, (Entry({}, b"", 12), 0)]


def test_a_log_that_cannot_be_read_to_its_end_is_told(tmp_path: Path) -> None:
    heard: list[tuple[Entry, int]] = []
    (problem,) = problems_in_lines(tmp_path / "missing", _hear(heard))
    assert problem.path == ()
    assert problem.message.startswith("cannot be read (No such file or directory); make it readable, or ")
    assert heard == [(Entry({}, b"", 0), 0)]


def test_an_exchange_and_an_event_are_valid_by_their_schemas() -> None:
    assert explained(released("exchange.v1"), {**EXCHANGE, "index": 0}) == []
    for kind in EXAMPLES:
        assert explained(released(f"event.{kind}.v1"), full_event(kind)) == []
