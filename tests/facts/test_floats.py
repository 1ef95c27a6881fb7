"""Floats that JSON cannot hold: NaN and the infinities."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from exprec import schemas
from exprec.recorder import EventTypes, record
from exprec.recorder.errors import InvalidEvent, NotEncodable
from exprec.recorder.format import canonical_json
from exprec.recorder.schema import compile_untrusted
from exprec.recorder.state.provider import DatabaseStateProvider
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.damages import READER
from tests.fixtures.runs import SealedRun

NAN, INF = math.nan, math.inf
LOSS = {"properties": {"loss": {"type": "number", "minimum": 0}}, "required": ["loss"], "additionalProperties": False}


def _training(store: Path, losses: list[float], **config: Any) -> RunDirectory:
    with record("training", config, store=store, schemas={"epoch": LOSS}, strict=False) as run:
        for epoch, loss in enumerate(losses, 1):
            run.event("epoch", iteration=epoch, loss=loss)
            run.event("other", iteration=epoch, deep={"losses": [loss, 1]})
        run.result(last=losses[-1])
    return RunDirectory(run.path)


def _check(run: RunDirectory) -> None:
    assert list(verify_run(run)) == []
    READER.verify(run.path)


def _lines(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "events.jsonl").read_bytes().splitlines()]


@pytest.mark.fact("F107")
@pytest.mark.parametrize(("value", "name"), [(NAN, "nan"), (INF, "inf"), (-INF, "-inf")])
def test_such_a_float_is_recorded_by_its_name_and_read_as_it_was(value: float, name: str, tmp_path: Path) -> None:
    run = _training(tmp_path, [0.5, value], rates=[value])
    _check(run)
    form = {"$float": name}
    assert [event.get("loss", event.get("deep")) for event in _lines(run)[2:4]] == [form, {"losses": [form, 1]}]
    assert json.loads((run.path / "run.json").read_bytes())["result"] == {"last": form}
    assert json.loads((run.path / "config.json").read_bytes()) == {"rates": [form]}
    provider = DatabaseStateProvider(run)
    events = list(provider.get_all_events())
    result = provider.get_final_result()
    assert result is not None
    read = [events[2]["loss"], events[3]["deep"]["losses"][0], result["last"], run.head["result"]["last"]]
    read += [provider.config["rates"][0], provider.get_iteration_events(1)[0]["loss"]]
    assert [type(each) for each in read] == [float] * 6
    assert list(map(str, read)) == [str(value)] * 6


@pytest.mark.fact("F107")
def test_a_command_sends_it_as_python_writes_it(tmp_path: Path) -> None:
    lines = '{"event_type":"epoch","loss":NaN}\n{"event_type":"epoch","loss":[-Infinity,Infinity]}\n'
    code = f"import os; open(os.environ['EXPREC_EVENTS'], 'a').write({lines!r})"
    done = exprec("run", "--store", tmp_path / "runs", "--json", "--", sys.executable, "-c", code, cwd=tmp_path)
    forms = [json.loads(line).get("loss") for line in done.stdout.splitlines()]
    assert forms[:2] == [{"$float": "nan"}, [{"$float": "-inf"}, {"$float": "inf"}]]
    (folder,) = (tmp_path / "runs").glob("?" * 64)
    _check(RunDirectory(folder))


@pytest.mark.fact("F107")
@pytest.mark.parametrize("own", [{"$float": "nan"}, {"a": [{"$float": "-inf"}]}])
def test_an_object_that_looks_like_it_is_refused(own: Any, tmp_path: Path) -> None:
    with record("own", store=tmp_path) as run:
        with pytest.raises(NotEncodable, match=r"means the number -?(nan|inf); record that number"):
            run.event("epoch", loss=own)
        with pytest.raises(NotEncodable, match=r"^loss.*: an object .* means the number"):
            run.result(loss=own)
        run.event("epoch", loss=[{"$float": "NaN"}, {"$float": "nan", "more": 1}, {"$float": None}])
    assert canonical_json.FLOAT_SCHEMA not in SealedRun(run.path).schemas
    with pytest.raises(NotEncodable, match="means the number"):
        record("own", {"x": own}, store=tmp_path)


@pytest.mark.fact("F107")
@pytest.mark.parametrize("number", ["1e999", "-1e400", "[1, 1E+309]", "1" + "0" * 309 + ".0"])
def test_a_number_that_is_only_too_large_is_no_infinity(number: str, tmp_path: Path) -> None:
    line = f'{{"event_type":"epoch","loss":{number},"other":NaN}}'
    code = f"import os; open(os.environ['EXPREC_EVENTS'], 'a').write({line!r})"
    done = exprec("run", "--store", tmp_path / "runs", "--", sys.executable, "-c", code, cwd=tmp_path, code=3)
    assert b"line 1 of EXPREC_EVENTS: has a number beyond the largest float" in done.stderr


@pytest.mark.fact("F108")
def test_a_run_with_one_has_the_schema_of_it_and_no_other_run(tmp_path: Path) -> None:
    for losses, config in (([0.5, NAN], {}), ([0.5], {"rate": INF})):
        with_one = SealedRun(_training(tmp_path, losses, **config).path)
        assert with_one.schemas["float.v1"] == schemas.load("float.v1")
        for event in with_one.events:
            name = event["event_type"] if event["event_type"] != "other" else ""
            Draft202012Validator(with_one.schemas[f"event.{name}.v1".replace("..", ".")]).validate(event)
    without = SealedRun(_training(tmp_path, [0.5]).path)
    assert "float.v1" not in without.schemas
    assert without.schemas["event.epoch.v1"]["properties"]["loss"] == LOSS["properties"]["loss"]  # type: ignore[index]


@pytest.mark.fact("F108")
def test_the_schema_of_it_is_needed_and_is_the_released_one(tmp_path: Path) -> None:
    for change, message in (("add", "is unused"), ("edit", "differs from the released schema")):
        run = _training(tmp_path / change, [0.5] if change == "add" else [NAN])
        path = run.path / "schemas.json"
        changed = {**json.loads(path.read_bytes()), "float.v1": dict(schemas.load("float.v1"))}
        if change == "edit":
            changed["float.v1"]["title"] = "Another"
        path.write_bytes(canonical_json.encode(changed, indent=True))
        problems = [problem for problem in verify_run(run) if problem.source and "schemas.json" in problem.source]
        assert any(problem.key == "float.v1" and message in problem.message for problem in problems)
        with pytest.raises(AssertionError):
            READER.verify(run.path)


@pytest.mark.fact("F108")
def test_without_the_schema_such_an_object_is_what_the_program_recorded(tmp_path: Path) -> None:
    """As a version of exprec recorded it that did not know the form."""
    run = _training(tmp_path / "runs", [0.5])
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    data = (copy / "events.jsonl").read_bytes().replace(b'{"losses":[0.5,1]}', b'{"$float":"nan"}')
    (copy / "events.jsonl").write_bytes(data)
    head = json.loads((copy / "run.json").read_bytes())
    head["files"]["events.jsonl"] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    (copy / "run.json").write_bytes(canonical_json.encode(head, indent=True))
    old = RunDirectory(copy.rename(copy.with_name(folder_id(copy))))
    _check(old)
    assert [event.get("deep") for event in DatabaseStateProvider(old).get_all_events()][1] == {"$float": "nan"}
    assert b'deep {"$float":"nan"}' in exprec("show", f"{old.path}/").stdout


NUMBERS: list[tuple[Any, Any, bool]] = [
    ({"type": "number", "minimum": 0}, NAN, True),
    ({"type": ["number", "null"]}, INF, True),
    ({"type": "number", "anyOf": [{"minimum": 0}, True]}, NAN, True),
    ({"type": "integer"}, NAN, False),
    ({"type": "string"}, NAN, False),
    ({"enum": [0.5, 1.5]}, NAN, False),
    ({"type": "number", "enum": [0.5]}, NAN, False),
    ({"not": {"type": "number"}}, NAN, False),
    ({"type": "array", "items": {"type": "number"}}, [0.5, NAN], True),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "number"}]}, [1, NAN], True),
    ({"type": "object", "additionalProperties": {"$ref": "#/$defs/n"}}, {"type": NAN, "a": 1.5}, True),
    ({"type": "object", "dependentRequired": {"type": ["number"]}}, {"type": 1, "number": NAN}, True),
    ({"if": {"type": "number"}, "then": True, "else": False}, NAN, True),
    ({"oneOf": [{"type": "number"}, {"type": "string"}]}, NAN, True),
    ({}, NAN, True),
]


@pytest.mark.fact("F108")
@pytest.mark.parametrize(("schema", "value", "is_allowed"), NUMBERS)
def test_a_declared_type_takes_it_wherever_it_takes_a_number(
    schema: Any, value: Any, is_allowed: bool, tmp_path: Path
) -> None:
    declared = {"epoch": {"properties": {"x": schema}, "$defs": {"n": {"type": "number"}}}}
    with record("declared", store=tmp_path, schemas=declared) as run:
        if not is_allowed:
            with pytest.raises(InvalidEvent, match="x"):
                run.event("epoch", x=value)
            return
        run.event("epoch", x=value)
    stored = RunDirectory(run.path)
    assert list(verify_run(stored)) == []
    embedded = SealedRun(run.path).schemas["event.epoch.v1"]
    Draft202012Validator(embedded).validate(_lines(stored)[0])
    compile_untrusted(embedded)
    # A recorded type is declared again by `exprec rerun`, which is to record the same bytes.
    again = EventTypes.recorded(SealedRun(run.path).schemas, strict=True)
    assert again.schema("event.epoch.v1", has_floats=True) == embedded


def test_a_command_that_is_executed_again_gives_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "epoch.schema.json").write_text(json.dumps(LOSS))
    (tmp_path / "job.py").write_text(
        "import json, os\n"
        "with open(os.environ['EXPREC_EVENTS'], 'a') as file:\n"
        "    print(json.dumps({'event_type': 'epoch', 'loss': float('nan')}), file=file)\n"
    )
    options = ("--schemas", "types", "--input", "job.py", "-q")
    done = exprec("run", *options, "--", sys.executable, "job.py", cwd=tmp_path)
    assert b"3 events, same run id" in exprec("rerun", done.stdout.decode().strip(), "--trust", cwd=tmp_path).stdout


def test_it_is_shown_and_compared_plainly(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    old, new = (_training(store, [0.5, NAN, last]) for last in (1.5, INF))
    shown = exprec("show", new.run_id, "--store", store).stdout.decode()
    assert 'epoch 2  loss nan\nother 2  deep {"losses":[nan,1]}\nepoch 3  loss inf\n' in shown
    assert "Completed  last inf\n" in shown
    compared = exprec("diff", old.run_id, new.run_id, "--store", store, code=1).stdout.decode()
    assert "1.5 → inf\n" in compared
    assert "nan" not in compared
    as_json = json.loads(exprec("diff", old.run_id, new.run_id, "--json", "--store", store, code=1).stdout)
    assert as_json["result"]["listed"] == [{"path": ["result", "last"], "old": 1.5, "new": {"$float": "inf"}}]


def test_an_interrupted_append_and_a_display_keep_it(tmp_path: Path) -> None:
    heard = []

    class Listening:
        def open(self, provider: Any) -> None:
            pass

        def show(self, event: Any) -> None:
            heard.append(event)
            if len(heard) == 1:
                raise ValueError("a display that fails")

        def close(self, provider: Any) -> None:
            pass

    with record("again", store=tmp_path, display=Listening()) as run:
        with pytest.raises(ValueError, match="fails"):
            run.event("epoch", loss=NAN)
        run.event("epoch", loss=-INF)
    assert str(heard[0]["loss"]) == "nan"
    _check(RunDirectory(run.path))
    assert "float.v1" in SealedRun(run.path).schemas
