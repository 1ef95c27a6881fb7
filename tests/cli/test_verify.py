"""The command `exprec verify`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures import runs
from tests.fixtures.cli import exprec
from tests.fixtures.paths import CASTRO, ROOT
from tests.fixtures.runs import run_ids

EVERY = ROOT / "tests" / "data" / "every_event.yaml"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of three runs; one of them failed."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "none.jsonl").write_bytes(b"")
    exprec("run", "-q", EVERY, cwd=folder)
    exprec("run", "-q", CASTRO / "two-period.yaml", cwd=folder)
    exprec("run", "-q", CASTRO / "two-period.yaml", "--model", "scripted:none.jsonl", cwd=folder, code=3)
    return folder


def _rows(folder: Path, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    done = exprec("verify", "--json", *arguments, cwd=folder, code=code)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_runs_that_verify(recorded: Path) -> None:
    ids = run_ids(recorded)
    done = exprec("verify", "--all", cwd=recorded)
    counts = [len((recorded / "runs" / run_id / "events.jsonl").read_bytes().splitlines()) for run_id in ids]
    assert done.stdout.decode().splitlines() == [
        f"ok {run_id} ({count} events)" for run_id, count in zip(ids, counts, strict=True)
    ]
    assert done.stderr.decode() == "3 runs verified: no problems\n"
    assert exprec("verify", "--all", "--quick", cwd=recorded).stdout == done.stdout
    some = exprec("verify", ids[1][:8], ids[0], cwd=recorded)
    assert [line.split()[1] for line in some.stdout.decode().splitlines()] == [ids[1], ids[0]]


def test_json_is_an_object_a_run(folder: Path) -> None:
    ids = run_ids(folder)
    assert [(row["run"], row["ok"], row["problems"]) for row in _rows(folder, "--all")] == [
        (run_id, True, []) for run_id in ids
    ]
    (folder / "runs" / ids[1] / "config.json").write_bytes(b"{}\n")
    rows = _rows(folder, "--all", code=1)
    assert [row["ok"] for row in rows] == [True, False, True]
    assert rows[1]["events"] is None
    first = rows[1]["problems"][0]
    assert first["file"] == f"{ids[1]}/config.json"
    assert "restore it" in first["message"]
    assert (first["line"], first["key"]) == (None, "")


def test_a_problem_is_a_line_that_editors_can_follow(folder: Path) -> None:
    (run_id, *_) = run_ids(folder)
    path = folder / "runs" / run_id / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":7,'))
    done = exprec("verify", "--all", cwd=folder, code=1)
    assert f"runs/{run_id}/events.jsonl:2: seq: must be 1, not 7" in done.stdout.decode()
    assert done.stderr.decode().startswith("3 runs verified: 1 run with ")


def test_quick_leaves_schemas_out(folder: Path) -> None:
    (run_id, *_) = run_ids(folder)
    path = folder / "runs" / run_id / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":7,'))
    problems = _rows(folder, run_id, "--quick", code=1)[0]["problems"]
    # The second is the address: what the head says of the log is not proved either.
    assert [problem["file"].split("/")[1] for problem in problems] == ["events.jsonl", "run.json"]


def test_wrong_usage_says_what_to_give(recorded: Path) -> None:
    for arguments in ([], [run_ids(recorded)[0], "--all"]):
        assert b"give either the runs to verify, or --all" in exprec("verify", *arguments, cwd=recorded, code=2).stderr


def test_exit_codes(folder: Path) -> None:
    exprec("verify", "nothing", cwd=folder, code=4)
    exprec("verify", "--all", "--store", "elsewhere", cwd=folder, code=5)
    (run_id, *_) = run_ids(folder)
    (folder / "runs" / "store.json").write_bytes(b"{")
    for arguments in (["--all"], [run_id]):
        assert b"Traceback" not in exprec("verify", *arguments, cwd=folder, code=5).stderr


def test_a_copy_outside_of_a_store(folder: Path) -> None:
    (run_id, *_) = run_ids(folder)
    copy = Path(shutil.copytree(folder / "runs" / run_id, folder / "sent by mail"))
    assert exprec("verify", copy, cwd=folder).stdout.startswith(f"ok {run_id} (".encode())
    assert exprec("verify", "./", cwd=copy).stdout.startswith(f"ok {run_id} (".encode())
    (copy / "schemas.json").unlink()
    done = exprec("verify", "./sent by mail", cwd=folder, code=1)
    assert b"sent by mail/schemas.json: is missing" in done.stdout
    assert _rows(folder, "./sent by mail", code=1)[0]["problems"][0]["file"] == "schemas.json"


def test_unsealed_run_is_verified_up_to_its_end(tmp_path: Path) -> None:
    work = runs.interrupted(Store.open_or_create(tmp_path / "runs"))
    (row,) = _rows(tmp_path, "--all", code=1)
    assert (row["run"], row["ok"]) == (work.name, False)
    (problem,) = row["problems"]
    assert problem["file"] == f".work/{work.name}"
    assert "is not sealed" in problem["message"]
    with (work / "events.jsonl").open("ab") as log:
        log.write(b'{"seq":9}\n{"seq"')
    found = [(problem["line"], problem["key"]) for problem in _rows(tmp_path, work.name, code=1)[0]["problems"]]
    assert (3, "seq") in found
    assert (4, "") in found


def test_a_run_in_progress_is_not_sealed(tmp_path: Path) -> None:
    provider = runs.begin(Store.open_or_create(tmp_path / "runs"))
    (row,) = _rows(tmp_path, "--all", code=1)
    assert "is not sealed (in progress)" in row["problems"][0]["message"]
    provider.close()


def test_help_has_an_example() -> None:
    assert b"exprec verify --all" in exprec("verify", "--help").stdout
