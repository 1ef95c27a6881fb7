"""The command `exprec log`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.cli import exprec
from tests.fixtures.paths import CASTRO, ROOT

EVERY = ROOT / "tests" / "data" / "every_event.yaml"
TWO = CASTRO / "two-period.yaml"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of three runs; the second was executed twice and is tagged."""
    folder = tmp_path_factory.mktemp("log")
    (folder / "none.jsonl").write_bytes(b"")
    exprec("run", "-q", TWO, cwd=folder)
    exprec("run", "-q", EVERY, cwd=folder)
    exprec("run", "-q", TWO, "--model", "scripted:none.jsonl", cwd=folder, code=3)
    exprec("run", "-q", EVERY, cwd=folder)
    (every,) = (each["run_id"] for each in _rows(folder, "--name", "every"))
    exprec("tag", "fig-1", every[:8], cwd=folder)
    return folder


def _rows(folder: Path, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    done = exprec("log", "--json", *arguments, cwd=folder, code=code)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_line_per_run_newest_first(recorded: Path) -> None:
    done = exprec("log", cwd=recorded)
    header, *lines = done.stdout.decode().splitlines()
    rows = _rows(recorded)
    assert header.split()[:4] == ["run", "name", "status", "mode"]
    assert [line.split()[0] for line in lines] == [row["run_id"][:8] for row in rows]
    assert [row["status"] for row in rows] == ["failed", "completed", "completed"]
    every = rows[1]
    costs = f"{every['first_cost']}→{every['best_cost']}→{every['final_cost']}"
    recorded_at = every["recorded_at"][:16].replace("T", " ")
    assert lines[1].endswith("fig-1")
    for part in ("every event", "bootstrap", costs, recorded_at, "  2  "):
        assert part in lines[1]
    assert "→–→–" in lines[0]
    assert max(len(line) for line in lines) <= 110
    assert done.stderr == b""
    assert (every["executions"], every["tags"], every["sealed"]) == (2, ["fig-1"], True)


def test_metrics_are_those_of_the_run(recorded: Path) -> None:
    (row,) = _rows(recorded, "--name", "castro", "--status", "completed")
    shown = exprec("show", row["run_id"], "--json", cwd=recorded).stdout.splitlines()
    events = [json.loads(line) for line in shown]
    starts = [event for event in events if event["event_type"] == "iteration_start"]
    assert row["mode"] == events[0]["evaluation_mode"]
    assert (row["iterations"], row["first_cost"]) == (len(starts), starts[0]["total_cost"])
    for key in ("best_cost", "final_cost", "converged"):
        assert row[key] == events[-1][key]


def test_selection_order_and_limit(recorded: Path) -> None:
    names = [row["name"] for row in _rows(recorded, "--sort", "name")]
    assert names == ["castro-two-period", "castro-two-period", "every event"]
    assert [row["status"] for row in _rows(recorded, "--sort", "cost")][-1] == "failed"
    assert [row["iterations"] for row in _rows(recorded, "--sort", "iterations")] == [1, 3, 13]
    assert [row["name"] for row in _rows(recorded, "--tag", "fig-*")] == ["every event"]
    assert len(_rows(recorded, "--limit", "2")) == 2
    done = exprec("log", "--status", "running", cwd=recorded)
    assert done.stdout == b""
    assert b"none of 3 runs in the store runs matches the filters" in done.stderr
    exprec("log", "--limit", "0", cwd=recorded, code=2)


def test_lines_are_not_wrapped_or_coloured_by_default(recorded: Path) -> None:
    plain = exprec("log", cwd=recorded).stdout
    assert exprec("log", cwd=recorded, env={"COLUMNS": "30"}).stdout == plain
    assert b"\x1b" not in plain
    assert b"\x1b[" in exprec("log", "--color", "always", cwd=recorded).stdout


def test_a_damaged_run_does_not_stop_the_list(folder: Path) -> None:
    (failed,) = _rows(folder, "--status", "failed")
    (folder / "runs" / failed["run_id"] / "run.json").write_bytes(b"{")
    done = exprec("log", cwd=folder, code=5)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 4
    (line,) = (each for each in lines if each.startswith(failed["run_id"][:8]))
    assert " damaged " in line
    assert f"exprec: {failed['run_id'][:8]}: runs/{failed['run_id']}/run.json: not JSON" in done.stderr.decode()
    (row,) = (each for each in _rows(folder, code=5) if each["run_id"] == failed["run_id"])
    assert (row["status"], row["name"]) == ("damaged", "")
    assert "not JSON" in row["problem"]


def test_other_results_of_the_same_inputs_are_marked_and_explained(folder: Path) -> None:
    (run,) = _rows(folder, "--tag", "fig-1")
    source = folder / "runs" / run["run_id"]
    shutil.copytree(source, folder / "runs" / ("f" * 64))
    done = exprec("log", cwd=folder)
    marked = {line.split()[0] for line in done.stdout.decode().splitlines() if "≠" in line}
    assert marked == {f"{run['run_id'][:8]}≠", "ffffffff≠"}
    assert "exprec: ≠ another run has the same inputs" in done.stderr.decode()
    assert sum(row["shares_inputs"] for row in _rows(folder)) == 2


def test_a_work_folder_is_listed_before_the_runs(folder: Path) -> None:
    (run,) = _rows(folder, "--tag", "fig-1")
    work = folder / "runs" / ".work" / "0123456789abcdef"
    shutil.copytree(folder / "runs" / run["run_id"], work)
    work.with_name(work.name + ".json").write_bytes(b'{"format":1,"name":"cut off","type":"generic"}\n')
    first, *_ = _rows(folder)
    assert (first["run_id"], first["name"], first["status"]) == (work.name, "cut off", "interrupted")
    assert exprec("log", cwd=folder).stdout.decode().splitlines()[1].startswith("01234567  cut off")
    exprec("show", "01234567", cwd=folder)


def test_empty_store_is_listed_without_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for store in ("missing", "empty"):
        done = exprec("log", "--store", store, cwd=tmp_path)
        assert done.stdout == b""
        assert f"the store {store} has no runs yet" in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    (tmp_path / "empty" / "thesis.tex").write_text("mine")
    exprec("log", "--store", "empty", cwd=tmp_path, code=5)
