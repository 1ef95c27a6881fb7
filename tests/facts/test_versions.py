"""Versions of schemas and formats, what schemas say beyond JSON Schema, and stores in branches of a repository."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from exprec import schemas
from exprec.recorder.errors import Damaged, InvalidEvent, NotAStore
from exprec.recorder.events import optimization
from exprec.recorder.events.spec import newest_schema
from exprec.recorder.schema import engine, find_problems
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.events import EXAMPLES, full_event
from tests.fixtures.experiments import write_script
from tests.fixtures.git import commit_all, git
from tests.fixtures.paths import ROOT
from tests.fixtures.runs import Run, begin, record

PINNED = "schema_digests.json"
"""SHA-256 of the content of every schema that runs are recorded with."""

RECORDED = re.compile(r"(event(\..*)?|exchange|float|run|attestation|store)\.v\d+")


def _digest(name: str) -> str:
    content = json.dumps(schemas.load(name), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.fact("F66")
def test_the_name_of_a_schema_has_its_version() -> None:
    files = sorted((ROOT / "schemas").glob("*.json"))
    assert len(files) == len(schemas.names()) >= 17
    for path in files:
        name = path.name.removesuffix(".schema.json")
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)?\.v[1-9]\d*", name)
        assert json.loads(path.read_bytes())["$id"] == f"exprec:{name}"


@pytest.mark.fact("F66")
def test_the_content_of_a_schema_does_not_change() -> None:
    """A released schema that fails here must be restored, and the change made in a file of the next version."""
    pinned = json.loads((Path(__file__).parent / PINNED).read_bytes())
    assert pinned == {name: _digest(name) for name in schemas.names() if RECORDED.fullmatch(name)}


@pytest.mark.fact("F66")
def test_a_run_embeds_the_content_of_the_file(asked: Run) -> None:
    for name, embedded in asked.schemas.items():
        assert embedded == json.loads((ROOT / "schemas" / f"{name}.schema.json").read_bytes())


@pytest.mark.fact("F67")
def test_a_newer_format_is_refused(searched: Run, tmp_path: Path) -> None:
    copy = searched.copied(tmp_path)
    head = copy.folder / "run.json"
    head.write_bytes(head.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(Damaged, match="format 2 is newer than"):
        RunDirectory(copy.folder).reader()
    assert b"format 2 is newer than" in exprec("show", copy.run_id, "--store", copy.store, code=5).stderr
    (copy.folder / "of the next format").touch()
    (problem,) = verify_run(RunDirectory(copy.folder))
    assert (problem.key, problem.line) == ("format", head.read_text("utf-8").splitlines().index('  "format": 2,') + 1)
    assert b"format 2 is newer than" in exprec("verify", copy.run_id, "--store", copy.store, code=1).stdout
    (copy.store / "store.json").write_bytes(b'{"format":2}\n')
    with pytest.raises(NotAStore, match="format 2 is newer than"):
        Store(copy.store)
    before = sorted(path.name for path in copy.store.rglob("*"))
    for command in (("show", copy.run_id), ("run", searched.experiment)):
        assert b"format 2 is newer than" in exprec(*command, "--store", copy.store, code=5).stderr
    assert sorted(path.name for path in copy.store.rglob("*")) == before


@pytest.mark.fact("F68")
def test_one_point_zero_is_not_an_integer(store: Store) -> None:
    places: list[tuple[str, dict[str, Any]]] = [
        (optimization.ITERATION_START.event_type, {"total_cost": 7000.0}),
        (optimization.ITERATION_START.event_type, {"costs_per_agent": {"BANK_A": 1.0}}),
        (optimization.POLICY_CHANGE.event_type, {"deltas": [1, 2.0]}),
        (optimization.LLM_CALL.event_type, {"prompt_tokens": 1.0}),
    ]
    provider = begin(store)
    for kind, changes in places:
        iteration, fields = EXAMPLES[kind]
        with pytest.raises(InvalidEvent, match="must be an integer"):
            provider.record_event(iteration, kind, {**fields, **changes})
        # By JSON Schema itself it would be one.
        Draft202012Validator(schemas.load(newest_schema(kind))).validate({**full_event(kind), **changes})
    provider.close()


def _without_reasons(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_reasons(part) for key, part in value.items() if key != "x-exprec-refused"}
    return [_without_reasons(part) for part in value] if isinstance(value, list) else value


@pytest.mark.fact("F69")
def test_refusal_reason_in_a_schema_does_not_change_the_verdict(searched: Run, tmp_path: Path) -> None:
    schema = schemas.load("scripted_answer.v1")
    reason = schema["else"]["properties"]["answer"]["x-exprec-refused"]
    plain = engine.Validator(_without_reasons(schema))
    assert reason not in json.dumps(_without_reasons(schema))
    for value in ({"answer": "x"}, {"error": "x"}, {"answer": "x", "error": "y"}, {}):
        problems = find_problems(value, "scripted_answer.v1")
        assert bool(problems) == (not plain.is_valid(value)) == (not Draft202012Validator(schema).is_valid(value))
        assert any(reason in str(problem) for problem in problems) == (len(value) == 2)
    script = write_script(tmp_path, [{"answer": "x", "error": "y"}])
    options = ("--store", tmp_path / "runs", "--model", f"scripted:{script}")
    assert reason in exprec("run", searched.experiment, *options, code=2).stderr.decode()


@pytest.mark.fact("F70")
def test_branches_merge_without_conflict(searched: Run, tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    git(tmp_path, "init", "-q", "-b", "main")
    commit_all(tmp_path, "an empty store")
    sealed = []
    for branch, other in (("one", {"name": "first"}), ("two", {"name": "second"})):
        git(tmp_path, "checkout", "-q", "-b", branch, "main")
        store = Store.open_or_create(tmp_path / "runs")
        sealed.append(record(store, other).run_id)
        exprec("run", searched.experiment, "--store", store.path)
        commit_all(tmp_path, branch)
    git(tmp_path, "merge", "-q", "-m", "both", "one")
    store = Store(tmp_path / "runs")
    assert store.run_ids() == sorted([*sealed, searched.run_id])
    assert [folder_id(store.path / run_id) for run_id in store.run_ids()] == store.run_ids()
    assert len(store.attestations(searched.run_id)) == 2


@pytest.mark.fact("F70")
def test_only_the_same_tag_is_in_conflict(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    ids = [record(store, {"name": name}).run_id for name in ("first", "second")]
    git(tmp_path, "init", "-q", "-b", "main")
    commit_all(tmp_path, "two runs")
    tags = tmp_path / "runs" / "tags"
    for branch, run_id in zip(("one", "two"), ids, strict=True):
        git(tmp_path, "checkout", "-q", "-b", branch, "main")
        tags.mkdir(exist_ok=True)
        (tags / "best").write_text(run_id + "\n")
        (tags / branch).write_text(run_id + "\n")
        (tags / "agreed").write_text(ids[0] + "\n")
        commit_all(tmp_path, branch)
    with pytest.raises(subprocess.CalledProcessError):
        git(tmp_path, "merge", "-q", "-m", "both", "one")
    assert git(tmp_path, "diff", "--name-only", "--diff-filter=U") == "runs/tags/best"
