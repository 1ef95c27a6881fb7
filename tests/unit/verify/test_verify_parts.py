"""The parts of verifying a run that need no run: files in exprec's form, lines, and the schemas by which they go."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.errors import Problem, StorageFailure
from exprec.recorder.events import common
from exprec.recorder.events.spec import newest_schema
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.format import lines as lines_module
from exprec.recorder.store.file_tree import FolderTree
from exprec.recorder.verify import records
from exprec.recorder.verify.documents import read_document
from exprec.recorder.verify.files import ReadFile, RunFiles, read_file
from exprec.recorder.verify.location import RunLocation, RunProblems
from exprec.recorder.verify.messages import RESTORE
from exprec.recorder.verify.records import check_lines, parse_line
from exprec.recorder.verify.schemas import EmbeddedSchemas, explain_failure, released_schema
from tests.fixtures.events import EXAMPLES, full_event, numbered_exchange

FORM = "is not in the canonical form that exprec writes"
OWN = "event.experiment_failed.v1"


def told(problems: Iterator[Problem] | list[Problem]) -> list[tuple[tuple[Any, ...], int | None, str]]:
    return [(problem.path, problem.line, problem.message.removesuffix(f"; {RESTORE}")) for problem in problems]


@pytest.mark.parametrize(
    ("data", "path", "line", "message"),
    [
        (b'{\n  "a": 1\n}', (), 3, FORM),
        (b'{\r\n  "a": 1\r\n}\r\n', (), 1, f"{FORM} (line endings were converted)"),
        (
            b'{\n  "a": 1,\n  "b": {\n    "c": 1,\n    "c": 2\n  }\n}\n',
            ("b", "c"),
            5,
            "duplicate key 'c'; only the last one was read",
        ),
        (b'{\n  "b": 1,\n  "a": 1\n}\n', (), 2, FORM),
        (b'{\n  "a": 1\n]\n', (), 3, "not JSON ("),
        (b"[" * 300 + b"]" * 300, (), None, "not JSON that exprec writes (nested too deeply)"),
    ],
)
def test_bytes_that_are_not_in_the_form_of_exprec(
    tmp_path: Path, data: bytes, path: tuple[str, ...], line: int | None, message: str
) -> None:
    (tmp_path / "file.json").write_bytes(data)
    file = read_file(FolderTree(tmp_path), "file.json")
    assert isinstance(file, ReadFile)
    problems = RunProblems(RunLocation.of(FolderTree(tmp_path)))
    read_document(file, "file.json", problems)
    (found,) = problems.take()
    assert (found.path, found.line, found.source) == (path, line, "file.json")
    assert found.message.startswith(message)
    assert found.message.endswith(f"; {RESTORE}")


def embedded(**given: Any) -> tuple[EmbeddedSchemas, list[tuple[tuple[Any, ...], int | None, str]]]:
    embedded = EmbeddedSchemas(is_expected=True)
    return embedded, told(embedded.embed({name.replace("__", "."): schema for name, schema in given.items()}))


def test_a_schema_that_no_line_needs_is_told() -> None:
    found, problems = embedded(exchange__v1=schemas.load("exchange.v1"), event__epoch__v1={})
    assert problems == []
    unneeded = [(("event.epoch.v1",), None, "is unused: the run has no such record")]
    assert told(found.find_unused(has_exchanges=True, has_floats=False)) == unneeded
    both = [*unneeded, (("exchange.v1",), None, "is unused: the run has no such record")]
    assert told(found.find_unused(has_exchanges=False, has_floats=False)) == both
    assert found.schema("epoch", is_event=True) is not None
    assert told(found.find_unused(has_exchanges=True, has_floats=False)) == []


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
    assert said["event.a.v1"] == "is not a usable schema (a schema must be a JSON object)"
    assert said["other"] == said["event.d.v0"] == "is not the name of a schema of an event or an exchange"
    assert said["event.c.v1"].startswith("is not a usable schema (")
    assert told(EmbeddedSchemas(is_expected=True).embed([])) == [((), None, "must be a JSON object")]


def test_of_a_type_that_nobody_declared_the_schema_of_any_event_is_taken() -> None:
    found, _ = embedded(event__v1=schemas.load("event.v1"))
    taken = found.schema("epoch", is_event=True)
    assert taken is not None
    assert (taken.name, taken.is_known) == ("event.v1", True)
    # One of exprec's own types has a schema of its own.
    assert found.schema(common.EXPERIMENT_FAILED.event_type, is_event=True) is None
    (problem,) = found.report_missing(common.EXPERIMENT_FAILED.event_type, 7, is_event=True)
    assert "has no schema for 'experiment_failed', the type of the record in line 7" in problem.message
    assert found.report_missing(common.EXPERIMENT_FAILED.event_type, 8, is_event=True) == []
    assert found.report_missing("epoch", 8, is_event=True) == []


def test_lines_of_a_run_that_is_not_sealed_go_by_the_schemas_of_this_package() -> None:
    found = EmbeddedSchemas(is_expected=False)
    for kind, is_event, name in (
        (common.EXPERIMENT_FAILED.event_type, True, OWN),
        ("epoch", True, "event.v1"),
        ("exchange", False, "exchange.v2"),
    ):
        schema = found.schema(kind, is_event=is_event)
        assert schema is not None
        assert (schema.name, schema.is_known) == (name, True)
        (problem, *_) = explain_failure(schema, {})
        assert problem.message == "this key is required and missing"
    failed = found.schema(common.EXPERIMENT_FAILED.event_type, is_event=True)
    assert failed is not None
    assert explain_failure(failed, full_event(common.EXPERIMENT_FAILED.event_type)) == []
    assert EmbeddedSchemas(is_expected=True).schema("epoch", is_event=True) is None


def test_a_schema_by_another_hand_is_not_explain_failure() -> None:
    found, _ = embedded(event__epoch__v1={"required": ["loss"]})
    schema = found.schema("epoch", is_event=True)
    assert schema is not None
    assert told(explain_failure(schema, {})) == [((), None, "does not match its schema event.epoch.v1")]


def test_what_the_engine_gives_up_on_is_not_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = released_schema(OWN)

    class Weary:
        def is_valid(self, value: Any) -> bool:
            raise RecursionError

        def problems(self, value: Any) -> list[Problem]:
            raise RecursionError

        def find_excess(self, value: Any) -> Problem | None:
            return None

    weary = schema._replace(validator=Weary())  # type: ignore[arg-type]
    assert schema.name == OWN
    assert told(explain_failure(weary, {})) == [((), None, "cannot be checked against its schema (RecursionError)")]


class Heard:
    """Remembers the lines, each with its offset and number, and finds what is wrong with their bytes."""

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, int, int]] = []

    def check_line(self, line: bytes, start: int, number: int) -> list[Problem]:
        self.lines.append((line, start, number))
        _, problem = parse_line(line)
        return [] if problem is None else [problem]


def checked(folder: Path, content: bytes | None) -> tuple[Heard, bool, list[Problem]]:
    """Check a log with this content: what was heard, whether it was read to its end, and the problems."""
    heard, files = Heard(), RunFiles(RunLocation.of(FolderTree(folder)))
    if content is not None:
        (folder / "events.jsonl").write_bytes(content)
        files.check_names(["events.jsonl"])
        files.problems.take()
    return heard, check_lines("events.jsonl", heard, files), files.problems.take()


@pytest.mark.parametrize("is_long", [True, False])
def test_a_line_may_be_as_long_as_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 16)
    line = canonical_json.encode({"a": "x" * 40})
    monkeypatch.setattr(layout, "MAX_LINE_BYTES", len(line) - 2 if is_long else len(line) - 1)
    heard, is_whole, problems = checked(tmp_path, b'{"a":1}\n' + line)
    limit = [((), 2, f"a line of more than {len(line) - 2} bytes")]
    assert told(problems) == (limit if is_long else [])
    assert heard.lines == [(b'{"a":1}\n', 0, 1), *([] if is_long else [(line, 8, 2)])]
    assert is_whole is not is_long


def test_a_torn_line_is_not_a_record(tmp_path: Path) -> None:
    heard, is_whole, problems = checked(tmp_path, b'{"a":1}\n{"a"')
    assert told(problems) == [((), 2, "the last line is torn: 4 bytes without a newline")]
    assert heard.lines == [(b'{"a":1}\n', 0, 1)]
    assert not is_whole


def test_where_too_much_is_wrong_the_rest_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST_PROBLEMS", 3)
    heard, is_whole, problems = checked(tmp_path, b"[]\n" * 9)
    *wrong, last = told(problems)
    assert wrong == [((), line, "not a JSON object with fields") for line in (1, 2, 3, 4)]
    assert last == ((), 4, "more than 3 problems so far; the lines after this one were not checked")
    assert heard.lines == [(b"[]\n", 3 * line - 3, line) for line in (1, 2, 3, 4)]
    assert not is_whole


def test_a_log_that_cannot_be_read_to_its_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, is_whole, problems = checked(tmp_path, None)
    assert (heard.lines, is_whole, problems) == ([], False, [])
    files = RunFiles(RunLocation.of(FolderTree(tmp_path)))
    (tmp_path / "events.jsonl").write_bytes(b"{}")
    files.check_names(["events.jsonl"])
    files.problems.take()

    def fail(*_: int) -> bytes:
        raise StorageFailure(tmp_path / "events.jsonl", OSError(errno.EIO, "Input/output error"))

    source = files.checked["events.jsonl"].records
    monkeypatch.setattr(source, "read", fail)
    assert not check_lines("events.jsonl", heard, files)
    (problem,) = files.problems.take()
    assert problem.path == ()
    assert problem.message.startswith("cannot be read (Input/output error); make it readable, or ")
    assert heard.lines == []


def test_an_exchange_and_an_event_are_valid_by_their_schemas() -> None:
    assert explain_failure(released_schema("exchange.v2"), numbered_exchange(0)) == []
    for kind in EXAMPLES:
        assert explain_failure(released_schema(newest_schema(kind)), full_event(kind)) == []


def test_a_large_file_of_another_size_is_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exprec.recorder.verify.files._SMALL_BYTES", 10)
    (tmp_path / "stdout").write_bytes(b"x" * 11)
    for recorded, is_hashed in ((None, True), (11, True), (10, False), (2**40, False)):
        file = read_file(FolderTree(tmp_path), "stdout", recorded)
        assert isinstance(file, ReadFile)
        assert (file.digest.size, file.is_hashed) == (11, is_hashed)
    (tmp_path / "stdout").write_bytes(b"x" * 10)
    file = read_file(FolderTree(tmp_path), "stdout", 9)
    assert isinstance(file, ReadFile)
    assert file.is_hashed
