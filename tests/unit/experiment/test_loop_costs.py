"""Experiments whose costs have a unit and a type of their own."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.diff import diff
from exprec.recorder.display import VerboseConfig
from exprec.recorder.errors import ExperimentFailed, InvalidInput
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.query import list_runs
from exprec.recorder.state import ExperimentStateProviderProtocol
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run
from tests.fixtures.display import display_to_text
from tests.fixtures.experiments import mapping, of_type, write_script

MS = {"unit": "ms", "type": "number"}
X = {"allowed_parameters": [{"name": "x", "param_type": "float", "min_value": 0, "max_value": 1}]}
SLOPE = """\
def costs(scenario, policies, seed):
    return {agent: scenario["slope"] * policy["parameters"]["x"] + seed % 7 / 10 for agent, policy in policies.items()}
"""


def config(folder: Path, source: str = SLOPE, **changes: Any) -> ExperimentConfig:
    (folder / "simulation.py").write_text(source)
    given = {
        "simulator": "simulation:costs",
        "scenario": {"slope": 0.3},
        "policy_constraints": X,
        "costs": MS,
        "evaluation": {"mode": "bootstrap", "num_samples": 3, "ticks": 1},
        "convergence": {"max_iterations": 4},
        **changes,
    }
    return ExperimentConfig.from_mapping(mapping(**given), folder)


def ran(folder: Path, store: Store | None = None, **changes: Any) -> ExperimentStateProviderProtocol:
    runner = GenericExperimentRunner(config(folder, **changes), config_dir=folder, store=store)
    asyncio.run(runner.run())
    assert runner.state_provider is not None
    return runner.state_provider


def test_costs_are_floats_and_sums_do_not_depend_on_order(tmp_path: Path) -> None:
    provider = ran(tmp_path)
    for event in of_type(provider, "iteration_start"):
        assert type(event["total_cost"]) is float
        assert event["total_cost"] == math.fsum(event["costs_per_agent"].values())
    for event in of_type(provider, "bootstrap_evaluation"):
        samples = [sample["cost"] for sample in event["seed_results"]]
        assert event["mean_cost"] == math.fsum(samples) / 3
        squares = math.fsum((cost - event["mean_cost"]) ** 2 for cost in samples)
        assert event["std_cost"] == pytest.approx(math.sqrt(squares / 3))
    for event in of_type(provider, "policy_change"):
        assert event["accepted"] == (math.fsum(event["deltas"]) > 0)
        assert {type(delta) for delta in event["deltas"]} == {float}
    totals = [event["total_cost"] for event in of_type(provider, "iteration_start")]
    (end,) = of_type(provider, "experiment_end")
    assert (end["final_cost"], end["best_cost"]) == (totals[-1], min(totals))


def test_the_unit_is_shown_and_recorded(tmp_path: Path) -> None:
    provider = ran(tmp_path)
    assert provider.get_experiment_info()["costs"] == MS
    text = display_to_text(provider, VerboseConfig.all_enabled(), width=200)
    assert "  agents A, B; all costs in ms\n" in text
    assert "cents" not in text
    first = of_type(provider, "policy_change")[0]
    assert first["acceptance_reason"] == (
        "lowers the agent's cost by 0.225 ms in total over 3 samples, 3 of which are better"
    )
    assert "deltas +0.075 +0.075 +0.075\n" in text


def test_integers_may_have_a_unit(tmp_path: Path) -> None:
    source = "def costs(scenario, policies, seed):\n    return {agent: 3 for agent in policies}\n"
    provider = ran(tmp_path, source=source, costs={"unit": "items"})
    assert provider.get_experiment_info()["costs"] == {"unit": "items", "type": "integer"}
    assert next(event["total_cost"] for event in of_type(provider, "iteration_start")) == 6
    assert "all costs in items\n" in display_to_text(provider)


def test_the_default_is_not_recorded(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    without = config(tmp_path, costs=None).to_dict()
    assert "costs" not in without
    assert config(tmp_path / "other", costs={"type": "integer", "unit": "cents"}).to_dict() == without
    assert config(tmp_path, costs={"type": "number"}).to_dict()["costs"] == {"unit": "cents", "type": "number"}


def test_what_a_run_records_is_an_experiment_with_the_same_costs(tmp_path: Path) -> None:
    recorded = config(tmp_path).to_dict()
    assert ExperimentConfig.from_mapping(recorded, tmp_path).to_dict() == recorded


def test_what_other_commands_say_of_it(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    first = ran(tmp_path, store).run_id
    second = ran(tmp_path, store, scenario={"slope": 0.2}).run_id
    rows = {row.run_id: row for row in list_runs(store)}
    assert {row.cost_unit for row in rows.values()} == {"ms"}
    for run_id, row in rows.items():
        result = store.run(run_id).head["result"]
        assert (row.best_cost, row.final_cost) == (result["best_cost"], result["final_cost"])
        assert type(row.first_cost) is float
        assert list(verify_run(RunDirectory(store.path / run_id))) == []
    compared = diff(store.run(str(first)), store.run(str(second)))
    assert (compared.old.cost_unit, compared.old.final_cost) == ("ms", rows[str(first)].final_cost)


@pytest.mark.parametrize("cost", ["float('nan')", "float('inf')", "-1e400", "1e200"])
def test_a_cost_that_is_not_finite_fails_the_experiment(tmp_path: Path, cost: str) -> None:
    source = f"def costs(scenario, policies, seed):\n    return dict.fromkeys(policies, {cost})\n"
    with pytest.raises(ExperimentFailed, match="agent 'A', simulator simulation:costs: its cost "):
        ran(tmp_path, source=source)


def test_costs_of_payments_are_cents(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"costs: is for a simulator of your own; in payments they are integer"):
        ExperimentConfig.from_mapping(mapping(costs=MS), tmp_path)


@pytest.mark.parametrize("unit", ["", " ms", "m\ns", "m" * 41, 5])
def test_a_unit_is_a_short_line(tmp_path: Path, unit: Any) -> None:
    with pytest.raises(InvalidInput, match=r"costs\.unit"):
        config(tmp_path, costs={"unit": unit})


def test_a_model_is_told_the_unit(tmp_path: Path) -> None:
    answers = [{"agent": agent, "answer": {"parameters": {"x": 0.25}}} for agent in "ABABAB"]
    write_script(tmp_path, answers)
    store = Store.open_or_create(tmp_path / "runs")
    limits = {"max_iterations": 3}
    run_id = ran(tmp_path, store, llm={"model": "scripted:answers.jsonl"}, convergence=limits).run_id
    told = [exchange["origin"]["messages"][1]["content"] for exchange in store.run(str(run_id)).exchange_reader()]
    assert len(told) == 6
    assert all(" ms, standard deviation " in text for text in told)
    assert "cost 0.508333 ms instead of 0.583333 ms; accepted (lowers the agent's cost by 0.225 ms" in told[2]
    assert not any("cents" in text or "payment" in text for text in told)
