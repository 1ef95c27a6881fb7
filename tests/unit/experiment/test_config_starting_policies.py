"""Policies to start from: where they are given, what is refused, and what an experiment does with them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import InvalidInput
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.runner import GenericExperimentRunner
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import GAME, bank, mapping, of_type, policy

SOURCE = """\
def costs(scenario, policies, seed):
    return {agent: round(1000 * each["parameters"]["x"]) + each["parameters"]["y"] for agent, each in policies.items()}
"""
XY = {
    "allowed_parameters": [
        {"name": "x", "param_type": "float", "min_value": 0, "max_value": 1},
        {"name": "y", "param_type": "int", "min_value": 0, "max_value": 8},
    ]
}
OWN: dict[str, Any] = {"simulator": "simulation:costs", "scenario": {}, "policy_constraints": XY}


def load(folder: Path, policies: Any, **changes: Any) -> ExperimentConfig:
    (folder / "simulation.py").write_text(SOURCE)
    return ExperimentConfig.from_mapping(mapping(starting_policies=policies, **changes), folder)


def own(folder: Path, policies: Any, **changes: Any) -> ExperimentConfig:
    return load(folder, policies, **{**OWN, **changes})


def first_policies(config: ExperimentConfig, folder: Path) -> dict[str, Any]:
    """The policies that an experiment starts from, as its first proposals record them."""
    runner = GenericExperimentRunner(config, config_dir=folder)
    asyncio.run(runner.run())
    assert runner.state_provider is not None
    changes = of_type(runner.state_provider, "policy_change")
    return {event["agent_id"]: event["old_policy"] for event in changes if event["iteration"] == 1}


def refused(folder: Path, policies: Any, **changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as raised:
        load(folder, policies, **changes)
    return [(problem.key, problem.message) for problem in raised.value.problems]


def test_for_every_agent_or_for_one(tmp_path: Path) -> None:
    given = {"all": {"parameters": {"x": 0.75, "y": 1}}, "B": {"parameters": {"x": 1.0, "y": 2}, "name": "b"}}
    config = own(tmp_path, given)
    assert config.starting_policies == {"A": given["all"], "B": given["B"]}
    assert first_policies(config, tmp_path) == config.starting_policies


def test_an_agent_without_one_starts_as_before(tmp_path: Path) -> None:
    start = first_policies(own(tmp_path, {"B": {"parameters": {"x": 1.0, "y": 2}}}), tmp_path)
    assert start == {"A": {"parameters": {"x": 0.5, "y": 4}}, "B": {"parameters": {"x": 1.0, "y": 2}}}
    assert own(tmp_path, None).starting_policies == own(tmp_path, {}).starting_policies == {}
    assert "starting_policies" not in own(tmp_path, None).to_dict()


def test_parameters_that_are_left_out_start_in_the_middle(tmp_path: Path) -> None:
    start = first_policies(own(tmp_path, {"all": {"parameters": {"x": 1.0}}}), tmp_path)
    assert start["A"] == start["B"] == {"parameters": {"x": 1.0, "y": 4}}


def test_it_comes_before_the_policy_in_the_scenario(tmp_path: Path) -> None:
    scenario = {"agents": [{"id": agent, "policy": {"parameters": {"x": 0.0, "y": 0}}} for agent in "AB"]}
    start = first_policies(own(tmp_path, {"A": {"parameters": {"x": 1.0, "y": 8}}}, scenario=scenario), tmp_path)
    assert [start[agent]["parameters"]["y"] for agent in "AB"] == [8, 0]


def test_in_a_file_of_policies(tmp_path: Path) -> None:
    given = {"A": {"parameters": {"x": 0.25, "y": 1}}}
    (tmp_path / "start.json").write_text(json.dumps(given))
    config = own(tmp_path, "start.json")
    assert config.to_dict() == own(tmp_path, given).to_dict()
    assert config.to_dict()["starting_policies"] == given


def test_of_the_payment_simulator(tmp_path: Path) -> None:
    start = policy(0.125)
    scenario = {**GAME, "agents": [bank("A", policy=policy(0.75)), bank("B", policy=policy(0.875))]}
    assert first_policies(load(tmp_path, {"A": start}, scenario=scenario), tmp_path) == {
        "A": start,
        "B": policy(0.875),
    }


def test_what_a_run_records_is_an_experiment_that_starts_alike(tmp_path: Path) -> None:
    recorded = own(tmp_path, {"all": {"parameters": {"x": 0.75}}}).to_dict()
    assert recorded["starting_policies"] == {agent: {"parameters": {"x": 0.75}} for agent in "AB"}
    assert ExperimentConfig.from_mapping(recorded, tmp_path).to_dict() == recorded


def test_each_problem_is_named_with_its_key(tmp_path: Path) -> None:
    given = {
        "all": {"parameters": {"x": 2.0, "y": 0.5, "z": 1}},
        "A": {"parameters": [1]},
        "B": "fast",
        "C": {"parameters": {}},
    }
    assert refused(tmp_path, given, **OWN) == [
        ("starting_policies.all.parameters.x", "must be at most 1.0, not 2.0"),
        ("starting_policies.all.parameters.y", "must be an integer, not 0.5"),
        ("starting_policies.all.parameters.z", "this parameter is not allowed (allowed: x, y)"),
        ("starting_policies.A.parameters", "must be a mapping of parameters to values, not a list"),
        ("starting_policies.B", "must be a policy, not 'fast'"),
        ("starting_policies.C", "unknown optimized agent (known: all, A, B)"),
    ]


def test_policies_of_the_payment_simulator_must_be_valid(tmp_path: Path) -> None:
    wrong = {**policy(0.5), "payment_tree": {"type": "action", "node_id": "leaf", "action": "Realese"}}
    (problem,) = refused(tmp_path, {"A": wrong})
    assert problem[0] == "starting_policies.A.payment_tree.action"
    assert "did you mean 'Release'" in problem[1]
    limits = {"allowed_parameters": [{"name": "initial_liquidity_fraction", "param_type": "float", "max_value": 0.25}]}
    (problem,) = refused(tmp_path, {"A": policy(0.5)}, policy_constraints=limits)
    assert problem == ("starting_policies.A.parameters.initial_liquidity_fraction", "must be at most 0.25, not 0.5")


@pytest.mark.parametrize("value", [5, [], "", "absent.yaml"])
def test_anything_but_policies_is_refused(tmp_path: Path, value: Any) -> None:
    assert [key for key, _ in refused(tmp_path, value)] == ["starting_policies"]


def test_problems_in_a_file_have_its_lines(tmp_path: Path) -> None:
    (tmp_path / "simulation.py").write_text(SOURCE)
    (tmp_path / "start.yaml").write_text("A:\n  parameters:\n    x: 0.5\n    y: 9\n")
    (tmp_path / "experiment.json").write_text(json.dumps(mapping(starting_policies="start.yaml", **OWN)))
    done = exprec("check", "experiment.json", cwd=tmp_path, code=2)
    assert b"start.yaml:4: A.parameters.y: must be at most 8, not 9" in done.stdout + done.stderr
    (tmp_path / "start.yaml").write_text("- A\n")
    done = exprec("run", "experiment.json", cwd=tmp_path, code=2)
    assert b"start.yaml:1: must be a mapping of agents to policies" in done.stdout + done.stderr
