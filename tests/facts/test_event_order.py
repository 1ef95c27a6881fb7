"""The events of an experiment, their order, and the exchanges beside them."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.exchanges import call_fields
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run
from tests.fixtures.damages import READER, edit_records, read_run, reseal, write_run
from tests.fixtures.experiments import mapping, policy
from tests.fixtures.files import read_json
from tests.fixtures.runs import ANSWERS, Run, record

DECISIONS = ("policy_change", "policy_rejected")


def _kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in events]


def _decision(iteration: list[dict[str, Any]], agent: str) -> dict[str, Any]:
    (decision,) = [event for event in iteration if event["event_type"] in DECISIONS and event["agent_id"] == agent]
    return decision


@pytest.mark.fact("F49")
def test_an_experiment_begins_with_its_start(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        assert _kinds(run.events).count("experiment_start") == 1
        first = run.events[0]
        assert (first["event_type"], first["seq"], first["iteration"]) == ("experiment_start", 0, 0)
        assert first["experiment_name"] == run.config["name"]
        assert first["agents"] == run.config["optimized_agents"]


@pytest.mark.fact("F50")
def test_iteration_starts_with_the_costs_of_the_current_policies(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        for iteration in run.iterations():
            assert _kinds(iteration).count("iteration_start") == 1
            start = iteration[0]
            assert start["event_type"] == "iteration_start"
            assert start["total_cost"] == sum(start["costs_per_agent"].values())
            compared = [event for event in iteration if event["event_type"] == "policy_change"]
            # The first agent is judged before any policy of this iteration has changed.
            if compared and compared[0]["agent_id"] == "BANK_A":
                assert compared[0]["old_cost"] == start["costs_per_agent"]["BANK_A"]


@pytest.mark.fact("F51")
def test_only_a_bootstrap_has_samples(every_run: tuple[Run, ...], sampled: Run) -> None:
    for run in every_run:
        expected = run.head["counts"]["iterations"] if run is sampled else 0
        assert len(run.of_type("bootstrap_evaluation")) == expected
    for iteration in sampled.iterations():
        start, evaluation = iteration[:2]
        assert evaluation["event_type"] == "bootstrap_evaluation"
        results = evaluation["seed_results"]
        assert len(results) == len({result["seed"] for result in results}) == 3
        for agent, cost in start["costs_per_agent"].items():
            assert cost == sum(result["costs_per_agent"][agent] for result in results) // 3


@pytest.mark.fact("F52")
def test_each_attempt_of_a_model_is_an_event(asked: Run) -> None:
    calls = [(event["iteration"], event["agent_id"], event["attempt"]) for event in asked.of_type("llm_call")]
    assert calls == [
        (1, "BANK_A", 1),
        (1, "BANK_A", 2),
        (1, "BANK_B", 1),
        (2, "BANK_A", 1),
        (2, "BANK_A", 2),
        (2, "BANK_A", 3),
        (2, "BANK_A", 4),
        (2, "BANK_B", 1),
    ]
    outcomes = [event["outcome"] for event in asked.of_type("llm_call")]
    assert outcomes == ["invalid_json", "usable", "llm_error", *["constraint_violation"] * 4, "usable"]


@pytest.mark.fact("F53", "F55")
def test_usable_proposal_is_compared_with_the_current_policy(searched: Run, asked: Run, sampled: Run) -> None:
    verdicts = set()
    for run in (searched, asked, sampled):
        in_force: dict[str, Any] = {}
        for iteration in run.iterations():
            for event in iteration:
                if event["event_type"] == "policy_change":
                    agent = event["agent_id"]
                    assert event["old_policy"] == in_force.get(agent, event["old_policy"])
                    assert event["accepted"] == (sum(event["deltas"]) > 0)
                    in_force[agent] = event["new_policy"] if event["accepted"] else event["old_policy"]
                    verdicts.add(event["accepted"])
            for agent, policy_in_force in in_force.items():
                assert iteration[-1]["policies"][agent] == policy_in_force
    assert verdicts == {True, False}
    first, last = asked.of_type("policy_change")
    assert (first["new_policy"], first["accepted"]) == (policy(0.25), True)
    assert (last["new_policy"], last["accepted"]) == (policy(0.75), False)


@pytest.mark.fact("F54")
def test_unusable_proposal_is_recorded_as_rejected(asked: Run) -> None:
    decisions = [event for event in asked.events if event["event_type"] in DECISIONS]
    assert [(event["event_type"], event["iteration"], event["agent_id"]) for event in decisions] == [
        ("policy_change", 1, "BANK_A"),
        ("policy_rejected", 1, "BANK_B"),
        ("policy_rejected", 2, "BANK_A"),
        ("policy_change", 2, "BANK_B"),
    ]
    refused, violating = decisions[1:3]
    assert (refused["rejection_reason"], refused["proposed_policy"]) == ("llm_error", None)
    assert violating["rejection_reason"] == "constraint_violation"
    assert violating["proposed_policy"] == policy(0.25, parameters={"initial_liquidity_fraction": 0.25, "other": 1.0})
    before, after = (event["policies"]["BANK_A"] for event in asked.of_type("iteration_end"))
    assert before == after == policy(0.25)


@pytest.mark.fact("F55")
def test_iteration_ends_with_the_current_policies(every_run: tuple[Run, ...], failed: Run) -> None:
    for run in every_run:
        iterations = list(run.iterations())
        for iteration in iterations[:-1] if run is failed else iterations:
            assert _kinds(iteration).count("iteration_end") == 1
            end = iteration[-1]
            assert end["event_type"] == "iteration_end"
            assert end["costs_per_agent"] == iteration[0]["costs_per_agent"]
            accepted = {event["agent_id"]: event["accepted"] for event in iteration if "accepted" in event}
            assert end["accepted_changes"] == {agent: accepted.get(agent, False) for agent in ("BANK_A", "BANK_B")}
            assert end["policies"].keys() == {"BANK_A", "BANK_B"}


@pytest.mark.fact("F55", "F58")
def test_iteration_end_records_the_convergence_measures(searched: Run, asked: Run, sampled: Run) -> None:
    for run in (searched, asked, sampled):
        end = run.events[-1]
        shown = [event["convergence"] for event in run.of_type("iteration_end")]
        assert [each["met"] for each in shown] == [False] * (len(shown) - 1) + [end["converged"]]
        criterion = "bootstrap_stability" if run is sampled else "cost_stability"
        assert {each["criterion"] for each in shown} == {criterion}
        assert end["convergence_reason"] == (criterion if end["converged"] else "max_iterations")
        totals = [event["total_cost"] for event in run.of_type("iteration_start")]
        for index, figures in enumerate(shown):
            if run is sampled:
                best = min(totals[: index + 1])
                assert figures["regret"] == round((totals[index] - best) / best, 6)
            elif index:
                change = abs(totals[index] - totals[index - 1]) / totals[index - 1]
                assert figures["relative_change"] == round(change, 6)


@pytest.mark.fact("F56", "F57")
def test_an_experiment_ends_with_its_end_or_its_failure(every_run: tuple[Run, ...], failed: Run) -> None:
    for run in every_run:
        last, other = ("experiment_end", "experiment_failed")
        if run is failed:
            last, other = other, last
        assert _kinds(run.events).index(last) == len(run.events) - 1
        assert other not in _kinds(run.events)
        assert run.events[-1]["iteration"] == 0


@pytest.mark.fact("F56")
def test_experiment_end_records_the_result(searched: Run, asked: Run, sampled: Run) -> None:
    for run in (searched, asked, sampled):
        totals = [event["total_cost"] for event in run.of_type("iteration_start")]
        end = run.events[-1]
        assert (end["final_cost"], end["best_cost"], end["num_iterations"]) == (totals[-1], min(totals), len(totals))
        reasons = [event["rejection_reason"] for event in run.of_type("policy_rejected")]
        assert end["proposals"] == {
            "usable": len(run.of_type("policy_change")),
            "rejected": len(reasons) - reasons.count("llm_error"),
            "failed": reasons.count("llm_error"),
        }
        assert 1 <= end["best_iteration"] <= end["num_iterations"]


@pytest.mark.fact("F57")
def test_failure_is_recorded_where_the_error_stopped_the_experiment(failed: Run) -> None:
    kinds = ["experiment_start", "iteration_start", "llm_call", "experiment_failed"]
    assert _kinds(failed.events) == kinds
    assert failed.events[-1]["error_type"] == "ScriptExhausted"


@pytest.mark.fact("F58")
def test_agents_take_turns_in_order(searched: Run, asked: Run, sampled: Run) -> None:
    for run in (searched, asked, sampled):
        agents = run.events[0]["agents"]
        turns = 0
        for iteration in run.iterations():
            acting = [event for event in iteration if "agent_id" in event]
            evaluation = 2 if run is sampled else 1
            assert acting == iteration[evaluation:-1]
            if not acting:
                continue
            turns += 1
            assert [event["agent_id"] for event in acting if event["event_type"] in DECISIONS] == agents
            for agent in agents:
                own = [event for event in acting if event["agent_id"] == agent]
                start = acting.index(own[0])
                assert acting[start : start + len(own)] == own
                assert own[-1] == _decision(iteration, agent)
                assert set(_kinds(own[:-1])) <= {"llm_call"}
        # Only the iteration that converges is without turns, also where it could go on.
        converged = run.events[-1]["converged"]
        assert turns == run.head["counts"]["iterations"] - converged
    assert searched.events[-1]["converged"] is True
    assert _kinds(list(searched.iterations())[-1]) == ["iteration_start", "iteration_end"]


@pytest.mark.fact("F59")
def test_an_exchange_belongs_to_its_call(asked: Run, failed: Run) -> None:
    for run in (asked, failed):
        calls = run.of_type("llm_call")
        assert [exchange["index"] for exchange in run.exchanges] == list(range(len(run.exchanges)))
        assert [call["exchange"] for call in calls] == list(range(len(calls)))
        for call, exchange in zip(calls, run.exchanges, strict=True):
            shared = call_fields(exchange)
            assert {key: call[key] for key in shared} == shared
            assert {"agent_id", "attempt", "iteration", "latency_seconds", "model", "prompt_tokens"} <= shared.keys()
    assert Counter(exchange["origin"]["attempt"] for exchange in asked.exchanges) == {1: 4, 2: 2, 3: 1, 4: 1}


@pytest.mark.fact("F59")
def test_an_exchange_is_written_before_its_call(tmp_path: Path, asked: Run) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    written: list[tuple[int, int]] = []

    def listen(event: dict[str, Any]) -> None:
        if event["event_type"] == "llm_call":
            (name,) = store.work_names()
            log = (store.path / ".work" / name / "exchanges.jsonl").read_bytes()
            written.append((event["exchange"], len(log.splitlines())))

    script = asked.experiment.parent / "answers.jsonl"
    config = ExperimentConfig.load(asked.experiment, model=f"scripted:{script}")
    asyncio.run(GenericExperimentRunner(config, None, asked.experiment.parent, store=store, listener=listen).run())
    assert written == [(index, index + 1) for index in range(8)]


@pytest.mark.fact("F60")
def test_a_model_answers_or_fails(asked: Run) -> None:
    given = [(exchange["answer"] is None, exchange["origin"]["error"] is None) for exchange in asked.exchanges]
    assert given == [(("error" in answer), ("error" not in answer)) for answer in ANSWERS]
    assert asked.exchanges[2]["origin"]["error"] == "refused"


@pytest.mark.fact("F61")
def test_latency_is_content(store: Store, asked: Run) -> None:
    assert [exchange["latency_seconds"] for exchange in asked.exchanges][:3] == [0.5, 0.25, 0.0]
    first, second, again = (record(store, latency=latency) for latency in (0.25, 0.5, 0.25))
    assert first.run_id == again.run_id != second.run_id
    heads = [read_json(sealed.path / "run.json") for sealed in (first, second)]
    assert heads[0]["inputs"] == heads[1]["inputs"]


@pytest.mark.fact("F99")
def test_costs_are_integers_unless_the_start_says_otherwise(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    costs, source = {"unit": "ms", "type": "number"}, "def costs(*_):\n    return {'A': 0.5}\n"
    (tmp_path / "simulation.py").write_text(source)
    given = mapping(simulator="simulation:costs", scenario={}, costs=costs, optimized_agents=["A"])
    runner = GenericExperimentRunner(ExperimentConfig.from_mapping(given, tmp_path), config_dir=tmp_path, store=store)
    asyncio.run(runner.run())
    assert runner.sealed is not None
    run = Run(runner.sealed.path, tmp_path, b"")
    assert run.events[0]["costs"] == run.config["costs"] == costs
    assert run.of_type("experiment_end")[0]["final_cost"] == 0.5
    READER.verify(run.folder)
    assert list(verify_run(RunDirectory(run.folder))) == []
    files = read_run(run.folder)
    edit_records(files, "events.jsonl", lambda events: events[0].pop("costs"))
    folder = write_run(files, tmp_path / "without", reseal(files, deeply=True))
    assert (
        str(next(verify_run(RunDirectory(folder))))
        .partition(": ")[2]
        .startswith("total_cost: must be an integer, not 0.5; ")
    )
    with pytest.raises(AssertionError, match="F99"):
        READER.verify(folder)
