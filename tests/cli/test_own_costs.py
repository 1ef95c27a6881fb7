"""Experiments with costs of their own unit and type, from the run to its listing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.cli import exprec
from tests.fixtures.git import commit_all, git
from tests.fixtures.runs import run_ids

WAIT = """\
def wait(scenario, policies, seed):
    return {agent: each["parameters"]["x"] * scenario["scale"] + seed % 3 / 8 for agent, each in policies.items()}
"""
EXPERIMENT = """\
name: queue
simulator: queue_model:wait
costs: {unit: ms, type: number}
scenario: {scale: SCALE}
optimized_agents: [ONE]
evaluation: {mode: bootstrap, num_samples: 3, ticks: 1}
convergence: {max_iterations: 3}
llm: {model: search}
policy_constraints:
  allowed_parameters: [{name: x, param_type: float, min_value: 0, max_value: 1}]
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of two runs."""
    folder = tmp_path_factory.mktemp("costs")
    (folder / "queue_model.py").write_text(WAIT)
    for name, scale in (("fast", "0.25"), ("slow", "2.5")):
        (folder / f"{name}.yaml").write_text(EXPERIMENT.replace("SCALE", scale))
        exprec("run", "-q", f"{name}.yaml", cwd=folder)
        rows = [json.loads(line) for line in exprec("log", "--json", cwd=folder).stdout.splitlines()]
        exprec("tag", name, next(row["run_id"] for row in rows if not row["tags"]), cwd=folder)
    return folder


def test_a_run_and_its_display_are_the_same_bytes(recorded: Path) -> None:
    live = exprec("run", "--jobs", "2", "-v", "fast.yaml", "--store", "again", cwd=recorded).stdout
    assert live == exprec("show", "fast", "-v", cwd=recorded).stdout
    assert b"all costs in ms" in live
    assert b" ms " in live
    for absent in (b"cents", b"settled", b"payment"):
        assert absent not in live
    assert set(run_ids(recorded, "again")) <= set(run_ids(recorded))


def test_it_is_verified_and_executed_again(recorded: Path) -> None:
    exprec("verify", "--all", cwd=recorded)
    assert b"identical" in exprec("rerun", "slow", cwd=recorded).stdout


def test_listings_name_the_unit(recorded: Path) -> None:
    rows = [json.loads(line) for line in exprec("log", "--json", cwd=recorded).stdout.splitlines()]
    assert [(row["cost_unit"], type(row["final_cost"])) for row in rows] == [("ms", float)] * 2
    lines = exprec("log", cwd=recorded).stdout.decode().splitlines()[1:]
    assert all(" ms  " in line for line in lines)


def test_a_comparison_names_the_unit(recorded: Path) -> None:
    done = exprec("diff", "fast", "slow", cwd=recorded, code=1).stdout.decode()
    assert "Cost in ms at the start of an iteration\n" in done
    assert " ms more (" in done.partition("B ends with ")[2]
    assert "cent" not in done
    compared = json.loads(exprec("diff", "--json", "fast", "slow", cwd=recorded, code=1).stdout)
    assert compared["old"]["cost_unit"] == "ms"


def test_costs_in_different_units_are_not_compared(recorded: Path) -> None:
    text = EXPERIMENT.replace("SCALE", "0.25").replace("unit: ms", "unit: s")
    (recorded / "seconds.yaml").write_text(text)
    exprec("run", "-q", "seconds.yaml", "--store", "other", cwd=recorded)
    (other,) = run_ids(recorded, "other")
    done = exprec("diff", "fast", f"other/{other}", "--store", "runs", cwd=recorded, code=1).stdout.decode()
    assert " ms, " in done
    assert " s, " in done
    assert "Cost in ms → s at" not in done
    assert "B ends with" not in done


def test_a_review_names_the_unit(recorded: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "queue_model.py").write_text(WAIT)
    (tmp_path / "fast.yaml").write_text(EXPERIMENT.replace("SCALE", "0.25"))
    commit_all(tmp_path, "before")
    exprec("run", "-q", "fast.yaml", cwd=tmp_path)
    git(tmp_path, "checkout", "-q", "-b", "work")
    commit_all(tmp_path, "a run")
    assert b" ms  " in exprec("review", "main", cwd=tmp_path).stdout
    assert b" ms</code> |" in exprec("review", "main", "--md", cwd=tmp_path).stdout
