"""`exprec check`: its output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from exprec.cli.commands.check import check
from tests.fixtures.cli import make_runner

EXAMPLES = Path(__file__).parents[2] / "examples" / "castro"
POLICY = {
    "version": "2.0",
    "policy_id": "p",
    "payment_tree": {"type": "action", "node_id": "r", "action": "Release"},
}


def run(*arguments: object) -> Result:
    return make_runner().invoke(check, [str(argument) for argument in arguments])


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(POLICY))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text("name: x\nscenario: none.yaml\nevaluation:\n  ticks: two\nllm: {model: search}\n")
    return path


def test_valid_files_of_each_kind(policy: Path) -> None:
    experiment, scenario = EXAMPLES / "two-period.yaml", EXAMPLES / "two-period-scenario.yaml"
    result = run(experiment, scenario, policy)
    assert result.stdout == f"{experiment}: ok (experiment)\n{scenario}: ok (scenario)\n{policy}: ok (policy)\n"
    assert result.stderr == "3 files checked: no problems\n"
    assert result.exit_code == 0


def test_every_problem_is_a_line(broken: Path) -> None:
    result = run(broken)
    lines = result.stdout.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        [f"{broken}:1", "optimized_agents"],
        [f"{broken}:1", "convergence"],
        [f"{broken}:2", "scenario"],
        [f"{broken}:4", "evaluation.ticks"],
    ]
    assert lines[3] == f"{broken}:4: evaluation.ticks: must be an integer, not 'two'"
    assert result.stderr == "1 file checked: 4 problems in 1 file\n"
    assert result.exit_code == 2


def test_one_bad_file_does_not_hide_the_others(broken: Path, policy: Path, tmp_path: Path) -> None:
    result = run(tmp_path / "none.yaml", broken, tmp_path, policy)
    assert result.stdout.startswith(f"{tmp_path}/none.yaml: there is no such file")
    assert result.stdout.endswith(f"{policy}: ok (policy)\n")
    assert f"{tmp_path}: is a folder" in result.stdout
    assert result.stderr == "4 files checked: 6 problems in 3 files\n"
    assert result.exit_code == 2


def test_problems_of_policies_and_scenarios_have_lines(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(POLICY, indent=1).replace("Release", "Relase"))
    (tmp_path / "s.yaml").write_text("simulation:\n  ticks_per_day: 2\n  num_days: 3\n  rng_seed: 1\nagents: []\n")
    result = run(tmp_path / "p.json", tmp_path / "s.yaml")
    assert f"{tmp_path}/p.json:7: payment_tree.action: " in result.stdout
    assert f"{tmp_path}/s.yaml:3: simulation.num_days: " in result.stdout
    assert f"{tmp_path}/s.yaml:5: agents: " in result.stdout


def test_warnings_are_not_problems_and_go_to_stderr(tmp_path: Path) -> None:
    content = json.loads(run_json(EXAMPLES / "three-period.yaml").stdout)
    assert content["warnings"] == []
    text = (EXAMPLES / "three-period.yaml").read_text().replace("three-period-sc", f"{EXAMPLES}/three-period-sc")
    path = tmp_path / "e.yaml"
    path.write_text(text + "output: {verbose: true}\n")
    result = run(path)
    assert result.stdout == f"{path}: ok (experiment)\n"
    assert result.stderr.startswith(f"warning: {path}:{text.count(chr(10)) + 1}: output: ")
    assert result.exit_code == 0
    assert len(json.loads(run_json(path).stdout)["warnings"]) == 1


def run_json(*files: Path) -> Result:
    return run("--json", *files)


def test_json_is_one_object_a_file(broken: Path, policy: Path) -> None:
    result = run_json(broken, policy, broken.parent / "none.yaml")
    first, second, third = (json.loads(line) for line in result.stdout.splitlines())
    assert {key: first[key] for key in ("file", "kind", "ok", "warnings")} == {
        "file": str(broken),
        "kind": "experiment",
        "ok": False,
        "warnings": [],
    }
    assert first["problems"][-1] == {
        "file": str(broken),
        "line": 4,
        "key": "evaluation.ticks",
        "message": "must be an integer, not 'two'",
    }
    assert second == {"file": str(policy), "kind": "policy", "ok": True, "problems": [], "warnings": []}
    assert (third["kind"], third["ok"], len(third["problems"])) == (None, False, 1)
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (POLICY, "policy"),
        ({"simulation": {}}, "scenario"),
        ({"agents": []}, "scenario"),
        ({"name": "x"}, "experiment"),
        ({}, "experiment"),
        ([], "experiment"),
        (None, "experiment"),
    ],
)
def test_the_kind_follows_from_the_content(tmp_path: Path, value: Any, kind: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(value))
    assert json.loads(run_json(path).stdout)["kind"] == kind


def test_a_key_with_control_characters_stays_on_its_line(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    path.write_text(json.dumps({"name": "x", "a\n\x1b[31mb": 1}))
    result = run(path)
    assert "a\\n\\x1b[31mb: unknown key" in result.stdout
    assert "\x1b" not in result.stdout
    assert all(line.startswith(f"{path}:1: ") for line in result.stdout.splitlines())


def test_help_has_an_example_and_no_file_is_wrong_usage() -> None:
    assert "exprec check experiment.yaml" in run("--help").stdout
    assert run().exit_code == 2
