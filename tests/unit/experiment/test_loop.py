"""The loop as a whole: what is recorded when, what is in force when, and how an experiment ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from exprec.recorder.display import VerboseConfig
from exprec.recorder.errors import ExperimentFailed, InvalidInput, SimulationError, StorageFailure
from exprec.recorder.events import Event, common, event_fields, optimization
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation import Payments
from exprec.recorder.experiment.loop import OptimizationLoop
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.state.protocol import ExperimentStateProviderProtocol
from exprec.recorder.state.provider import DatabaseStateProvider, LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.display import display_to_text
from tests.fixtures.experiments import (
    RANDOM_GAME,
    FakeAgent,
    FakeResult,
    FakeSimulator,
    answer,
    costs_by_fraction,
    experiment,
    fraction_of,
    mapping,
    of_type,
    policy,
    ran,
    runner,
)

Policies = Mapping[str, Mapping[str, Any]]
BOOTSTRAP: dict[str, Any] = {
    "scenario": RANDOM_GAME,
    "evaluation__mode": "bootstrap",
    "evaluation__num_samples": 4,
}


def simulating(monkeypatch: pytest.MonkeyPatch, simulator: FakeSimulator) -> FakeSimulator:
    """Have experiments simulated by `simulator` from now on."""
    monkeypatch.setattr("exprec.recorder.experiment.loop.load_simulator", lambda *_: simulator)
    return simulator


def stored(prepared: GenericExperimentRunner) -> DatabaseStateProvider:
    assert prepared.sealed is not None
    return DatabaseStateProvider(RunDirectory(prepared.sealed.path))


def live(prepared: GenericExperimentRunner) -> LiveStateProvider:
    assert prepared.state_provider is not None
    return prepared.state_provider


def failing(prepared: GenericExperimentRunner) -> ExperimentFailed:
    with pytest.raises(ExperimentFailed) as raised:
        asyncio.run(prepared.run())
    return raised.value


class TestTheProvider:
    def test_the_loop_makes_one_with_name_type_and_run_id(self, tmp_path: Path) -> None:
        config = ExperimentConfig.from_mapping(mapping(), tmp_path)
        loop = OptimizationLoop(config, tmp_path, None, "my-run")
        assert isinstance(loop.state_provider, LiveStateProvider)
        assert loop.state_provider.run_id == "my-run"
        info = loop.state_provider.get_experiment_info()
        assert (info["experiment_name"], info["experiment_type"]) == ("two banks", "generic")
        assert loop.state_provider.get_total_iterations() == 0

    def test_the_start_is_recorded_with_what_was_configured(self, tmp_path: Path) -> None:
        (start,) = of_type(ran(tmp_path), optimization.EXPERIMENT_START.event_type)
        assert start["seq"] == 0
        assert event_fields(start) == {
            "experiment_name": "two banks",
            "description": "a small game",
            "max_iterations": 3,
            "num_samples": None,
            "evaluation_mode": "deterministic-pairwise",
            "model": "search",
            "agents": ["A", "B"],
        }

    def test_a_script_is_named_without_folder_and_digest(self, tmp_path: Path) -> None:
        answers = [answer(agent, 0.5) for agent in "AB"]
        provider = ran(tmp_path, answers=answers, convergence__max_iterations=1)
        assert of_type(provider, optimization.EXPERIMENT_START.event_type)[0]["model"] == "scripted:answers.jsonl"
        assert {call["model"] for call in of_type(provider, optimization.LLM_CALL.event_type)} == {
            "scripted:answers.jsonl"
        }

    def test_the_runner_shows_it_after_a_run(self, tmp_path: Path) -> None:
        prepared = runner(tmp_path)
        assert prepared.state_provider is None
        assert prepared.sealed is None
        result = asyncio.run(prepared.run())
        provider = live(prepared)
        assert prepared.sealed is None
        assert provider.get_total_iterations() == 3 == result.num_iterations
        assert provider.get_iteration_policies(2) == result.policies
        assert provider.get_run_metadata()["status"] == "completed"

    def test_what_it_answers_is_what_was_recorded(self, tmp_path: Path) -> None:
        provider = ran(tmp_path)
        starts, ends = (
            of_type(provider, optimization.ITERATION_START.event_type),
            of_type(provider, optimization.ITERATION_END.event_type),
        )
        for index in range(provider.get_total_iterations()):
            assert provider.get_iteration_costs(index) == starts[index]["costs_per_agent"]
            assert provider.get_iteration_costs(index) == ends[index]["costs_per_agent"]
            assert provider.get_iteration_accepted_changes(index) == ends[index]["accepted_changes"]
            assert provider.get_iteration_policies(index) == ends[index]["policies"]


class TestIterations:
    def test_each_starts_with_integer_costs_of_every_agent_and_their_sum(self, tmp_path: Path) -> None:
        starts = of_type(ran(tmp_path, **BOOTSTRAP), optimization.ITERATION_START.event_type)
        assert [start["iteration"] for start in starts] == [1, 2, 3]
        for start in starts:
            costs = start["costs_per_agent"]
            assert set(costs) == {"A", "B"}
            assert all(type(cost) is int for cost in costs.values())
            assert type(start["total_cost"]) is int
            assert start["total_cost"] == sum(costs.values())

    def test_only_optimised_agents_count(self, tmp_path: Path) -> None:
        provider = ran(tmp_path, optimized_agents=["B"])
        start = of_type(provider, optimization.ITERATION_START.event_type)[0]
        assert start["costs_per_agent"] == {"B": 5000}
        assert start["total_cost"] == 5000
        assert list(provider.get_iteration_policies(0)) == ["B"]

    def test_the_events_of_an_iteration_come_in_the_order_of_its_steps(self, tmp_path: Path) -> None:
        answers = [{"agent": "A", "answer": "no"}, answer("A", 0.25), {"agent": "B", "error": "overloaded"}]
        provider = ran(tmp_path, answers=answers, **{**BOOTSTRAP, "convergence__max_iterations": 1})
        assert [(event["event_type"], event.get("agent_id")) for event in provider.get_all_events()] == [
            ("experiment_start", None),
            ("iteration_start", None),
            ("bootstrap_evaluation", None),
            ("llm_call", "A"),
            ("llm_call", "A"),
            ("policy_change", "A"),
            ("llm_call", "B"),
            ("policy_rejected", "B"),
            ("iteration_end", None),
            ("experiment_end", None),
        ]

    def test_agents_take_turns_in_the_order_of_optimisation(self, tmp_path: Path) -> None:
        changes = of_type(ran(tmp_path, optimized_agents=["B", "A"]), optimization.POLICY_CHANGE.event_type)
        assert [change["agent_id"] for change in changes] == ["B", "A"] * 3

    def test_a_bootstrap_records_each_of_its_samples(self, tmp_path: Path) -> None:
        provider = ran(tmp_path, **BOOTSTRAP)
        evaluations = of_type(provider, optimization.BOOTSTRAP_EVALUATION.event_type)
        assert [event["iteration"] for event in evaluations] == [1, 2, 3]
        base = int.from_bytes(hashlib.sha256(b"42:iter:0:agent:A").digest()[:4], "big") % 2**31
        digests = [hashlib.sha256(f"{base}:sample:{k}".encode()).digest() for k in range(4)]
        first = evaluations[0]["seed_results"]
        assert [each["seed"] for each in first] == [int.from_bytes(d[:8], "big") % 2**31 for d in digests]
        for evaluation in evaluations:
            results = evaluation["seed_results"]
            assert len(results) == 4
            costs = [each["cost"] for each in results]
            mean = sum(costs) / 4
            assert evaluation["mean_cost"] == int(mean)
            assert evaluation["std_cost"] == int((sum((cost - mean) ** 2 for cost in costs) / 4) ** 0.5)
            assert len(set(costs)) > 1
            for each in results:
                assert each["cost"] == sum(each["costs_per_agent"].values())
                assert each["settlement_rate"] == each["settled"] / each["total"]
            start = of_type(provider, optimization.ITERATION_START.event_type)[evaluation["iteration"] - 1]
            for agent, cost in start["costs_per_agent"].items():
                assert cost == int(sum(each["costs_per_agent"][agent] for each in results) / 4)
        assert of_type(provider, optimization.EXPERIMENT_START.event_type)[0]["num_samples"] == 4
        assert {len(change["deltas"]) for change in of_type(provider, optimization.POLICY_CHANGE.event_type)} == {4}

    def test_without_a_bootstrap_there_are_no_samples_to_record(self, tmp_path: Path) -> None:
        assert of_type(ran(tmp_path), optimization.BOOTSTRAP_EVALUATION.event_type) == []


class TestRequests:
    """What a model receives, and what a search is spared."""

    def test_a_model_receives_the_day_of_the_evaluation(self, tmp_path: Path, store: Store) -> None:
        """Not a day with a policy that another agent has changed since."""
        prepared = runner(
            tmp_path, answers=[answer("A", 0), answer("B", 0)], store=store, convergence__max_iterations=1
        )
        asyncio.run(prepared.run())
        assert prepared.sealed is not None
        lines = (prepared.sealed.path / "exchanges.jsonl").read_bytes().splitlines()
        first, second = (json.loads(line)["origin"]["messages"][-1]["content"] for line in lines)
        assert "- tick 1, payment 1 to B, 15000 cents, deadline tick 2, priority 5: arrived, released, settled" in first
        assert "- tick 1: balance 55000 cents; 0 held, 0 queued; costs so far 5000 cents" in first
        assert "- tick 1, from A, 15000 cents: received" in second
        assert "- tick 1: balance 45000 cents; 0 held, 0 queued; costs so far 5000 cents" in second

    def test_of_a_bootstrap_the_best_and_the_worst_day_are_received(self, tmp_path: Path, store: Store) -> None:
        answers = [answer("A", 0), answer("B", 0)]
        prepared = runner(tmp_path, answers=answers, store=store, convergence__max_iterations=1, **BOOTSTRAP)
        asyncio.run(prepared.run())
        assert prepared.sealed is not None
        (evaluated,) = of_type(stored(prepared), optimization.BOOTSTRAP_EVALUATION.event_type)
        costs = [each["costs_per_agent"]["A"] for each in evaluated["seed_results"]]
        line = (prepared.sealed.path / "exchanges.jsonl").read_bytes().splitlines()[0]
        text = json.loads(line)["origin"]["messages"][-1]["content"]
        for word, cost in (("least", min(costs)), ("most", max(costs))):
            number = costs.index(cost) + 1
            body = text.partition(f"## The day that cost {word}: simulation {number} of 4, {cost} cents\n")[2]
            assert body.partition("\n## ")[0].rstrip().endswith(f"costs {cost} cents")

    def test_a_search_pays_for_no_request(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> str:
            raise AssertionError("a search reads no request")

        monkeypatch.setattr("exprec.recorder.experiment.loop.request_messages", refuse)
        monkeypatch.setattr(Payments, "describe_day", refuse)
        ran(tmp_path)


class TestDecisions:
    def test_a_change_is_recorded_with_both_policies_and_costs(self, tmp_path: Path) -> None:
        answers = [answer("A", 0.25), answer("B", 0.75)]
        provider = ran(tmp_path, answers=answers, convergence__max_iterations=1)
        better, worse = of_type(provider, optimization.POLICY_CHANGE.event_type)
        assert better["old_policy"]["parameters"] == {"initial_liquidity_fraction": 0.5}
        assert better["new_policy"] == policy(0.25)
        assert (better["old_cost"], better["new_cost"], better["deltas"]) == (5000, 2500, [2500])
        assert better["accepted"] is True
        assert better["acceptance_reason"] == "lowers the agent's cost by 2500 cents"
        assert (worse["old_cost"], worse["new_cost"], worse["deltas"]) == (5000, 7500, [-2500])
        assert worse["accepted"] is False
        assert worse["acceptance_reason"] == "raises the agent's cost by 2500 cents"
        assert provider.get_iteration_accepted_changes(0) == {"A": True, "B": False}
        in_force = provider.get_iteration_policies(0)
        assert in_force == {"A": policy(0.25), "B": worse["old_policy"]}

    def test_an_accepted_policy_is_in_force_for_the_next_agent_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        simulator = simulating(monkeypatch, costs_by_fraction())
        ran(tmp_path, answers=[answer("A", 0.25), answer("B", 0.125)], convergence__max_iterations=1)
        fractions = [tuple(fraction_of(policies[agent]) for agent in "AB") for policies, _ in simulator.calls]
        # The iteration (and A's old side), A's proposal; then both sides of B, on B's seed.
        assert fractions == [(0.5, 0.5), (0.25, 0.5), (0.25, 0.5), (0.25, 0.125)]

    def test_a_refused_policy_is_never_in_force(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        simulator = simulating(monkeypatch, costs_by_fraction())
        answers = [answer("A", 0.75), answer("B", 0.25), answer("A", 0.75), answer("B", 0.25)]
        provider = ran(tmp_path, answers=answers, convergence__max_iterations=2)
        with_b = [fraction_of(policies["A"]) for policies, _ in simulator.calls if fraction_of(policies["B"]) == 0.25]
        assert with_b[0] == 0.5
        assert [provider.get_iteration_costs(index)["A"] for index in (0, 1)] == [500, 500]

    def test_each_reason_of_a_rejection(self, tmp_path: Path) -> None:
        limits = [{"name": "initial_liquidity_fraction", "param_type": "float", "max_value": 0.6}]
        answers = [
            {"agent": "A", "answer": "no"},
            {"agent": "B", "answer": {"payment_tree": None}},
            answer("A", 0.75),
            {"agent": "B", "error": "overloaded"},
        ]
        provider = ran(
            tmp_path,
            answers=answers,
            convergence__max_iterations=2,
            llm__max_retries=0,
            policy_constraints={"allowed_parameters": limits},
        )
        rejected = of_type(provider, optimization.POLICY_REJECTED.event_type)
        assert [(each["agent_id"], each["rejection_reason"]) for each in rejected] == [
            ("A", "invalid_json"),
            ("B", "invalid_policy"),
            ("A", "constraint_violation"),
            ("B", "llm_error"),
        ]
        assert [each["proposed_policy"] for each in rejected] == [None, {"payment_tree": None}, policy(0.75), None]
        assert rejected[2]["validation_errors"] == [
            "parameters.initial_liquidity_fraction: must be at most 0.6, not 0.75"
        ]
        assert rejected[3]["validation_errors"] == ["overloaded"]
        assert of_type(provider, optimization.POLICY_CHANGE.event_type) == []
        assert provider.get_iteration_accepted_changes(0) == {"A": False, "B": False}

    def test_what_is_unusable_never_reaches_the_simulator(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        simulator = simulating(monkeypatch, costs_by_fraction())
        limits = [{"name": "initial_liquidity_fraction", "param_type": "float", "max_value": 0.6}]
        answers = [answer("A", 0.75), {"agent": "B", "answer": {"parameters": {"initial_liquidity_fraction": 0.1}}}]
        ran(
            tmp_path,
            answers=answers,
            convergence__max_iterations=1,
            llm__max_retries=0,
            policy_constraints={"allowed_parameters": limits},
        )
        assert {fraction_of(each) for policies, _ in simulator.calls for each in policies.values()} == {0.5}

    def test_every_violation_is_listed_with_its_path_and_the_policy_leaves_no_trace(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        simulator = simulating(monkeypatch, costs_by_fraction())
        first, second = ({"type": "action", "node_id": each, "action": "Hold"} for each in ("first", "second"))
        wanted = {"op": ">", "left": {"field": "amount"}, "right": {"value": 1}}
        tree = {"type": "condition", "node_id": "c", "condition": wanted, "on_true": first, "on_false": second}
        violating = policy(0.1, tree)
        violating["parameters"]["other"] = 1
        constraints = {
            "allowed_parameters": [{"name": "initial_liquidity_fraction", "param_type": "float", "min_value": 0.2}],
            "allowed_fields": ["balance"],
            "allowed_actions": {"payment_tree": ["Release"]},
        }
        provider = ran(
            tmp_path,
            answers=[{"agent": "A", "answer": violating}, answer("B", 0.25)] * 2,
            convergence__max_iterations=2,
            llm__max_retries=0,
            policy_constraints=constraints,
        )
        rejected, again = of_type(provider, optimization.POLICY_REJECTED.event_type)
        assert (rejected["rejection_reason"], rejected["proposed_policy"]) == ("constraint_violation", violating)
        assert [error.split(": ")[0] for error in rejected["validation_errors"]] == [
            "parameters.initial_liquidity_fraction",
            "parameters.other",
            "payment_tree.condition.left.field",
            "payment_tree.on_true.action",
            "payment_tree.on_false.action",
        ]
        assert again["validation_errors"] == rejected["validation_errors"]
        # Neither the simulator nor the state ever saw it; what the other agent proposed goes on.
        assert {fraction_of(policies["A"]) for policies, _ in simulator.calls} == {0.5}
        for index in range(2):
            assert provider.get_iteration_policies(index) == {"A": policy(0.5), "B": policy(0.25)}
            assert provider.get_iteration_accepted_changes(index)["A"] is False

    def test_a_proposal_as_deep_as_can_be_read_can_be_recorded(self, tmp_path: Path) -> None:
        deep = '{"a":' * 200 + "1" + "}" * 200
        provider = ran(
            tmp_path,
            answers=[{"agent": "A", "answer": deep}, answer("B", 0.25)],
            convergence__max_iterations=1,
            llm__max_retries=0,
        )
        (rejected,) = of_type(provider, optimization.POLICY_REJECTED.event_type)
        assert rejected["rejection_reason"] == "invalid_policy"
        assert rejected["proposed_policy"] == json.loads(deep)

    def test_a_request_knows_the_decisions_and_the_history(self, tmp_path: Path, store: Store) -> None:
        answers = [answer("A", 0.25), answer("B", 0.75), answer("A", 0.125), answer("B", 0.25)]
        prepared = runner(tmp_path, answers=answers, store=store, convergence__max_iterations=2)
        asyncio.run(prepared.run())
        assert prepared.sealed is not None
        lines = (prepared.sealed.path / "exchanges.jsonl").read_bytes().splitlines()
        asked = [json.loads(line)["origin"]["messages"][-1]["content"] for line in lines]
        assert "iteration 1" not in asked[0]
        accepted = "- iteration 1: initial_liquidity_fraction = 0.25; cost 2500 cents instead of 5000 cents; accepted ("
        rejected = "- iteration 1: initial_liquidity_fraction = 0.75; cost 7500 cents instead of 5000 cents; rejected ("
        assert accepted in asked[2]
        assert rejected in asked[3]
        assert "- opportunity: 2500 cents" in asked[2]


class TestAcceptance:
    """One proposal of A's that saves 1365 cents in four samples, but neither surely nor evenly."""

    SAVING = "lowers the agent's cost by 1365 cents in total over 4 samples, 3 of which are better"

    def decided(self, tmp_path: Path, **acceptance: Any) -> Event:
        answers = [answer("A", 0.4), answer("B", 0.5)]
        changes = {**BOOTSTRAP, "convergence__max_iterations": 1, "evaluation__acceptance": acceptance}
        provider = ran(tmp_path, answers=answers, **changes)
        change = of_type(provider, optimization.POLICY_CHANGE.event_type)[0]
        assert change["deltas"] == [1000, -1635, 1000, 1000]
        assert provider.get_iteration_accepted_changes(0)["A"] == change["accepted"]
        assert fraction_of(provider.get_iteration_policies(0)["A"]) == (0.4 if change["accepted"] else 0.5)
        return change

    def test_without_limits_the_saving_is_enough(self, tmp_path: Path) -> None:
        change = self.decided(tmp_path)
        assert (change["accepted"], change["acceptance_reason"]) == (True, self.SAVING)

    def test_a_saving_that_is_not_significant_is_rejected(self, tmp_path: Path) -> None:
        change = self.decided(tmp_path, require_statistical_significance=True)
        assert change["accepted"] is False
        assert change["acceptance_reason"] == (
            f"{self.SAVING}; but not significant: "
            "the 95 % confidence interval of the mean saving is -1755.19 to 2437.69 cents"
        )

    def test_costs_that_vary_too_much_are_rejected(self, tmp_path: Path) -> None:
        change = self.decided(tmp_path, max_coefficient_of_variation=0.5)
        assert change["accepted"] is False
        assert change["acceptance_reason"] == (
            f"{self.SAVING}; but the new costs vary by 0.867643 of their mean, and at most 0.5 is allowed"
        )
        assert self.decided(tmp_path, max_coefficient_of_variation=0.9)["accepted"] is True

    def test_too_few_settled_payments_are_rejected(self, tmp_path: Path) -> None:
        change = self.decided(tmp_path, min_settlement_rate=0.95)
        assert change["accepted"] is False
        assert change["acceptance_reason"] == (
            f"{self.SAVING}; but 19 of 30 payments settle (0.633333), and at least 0.95 is demanded"
        )
        assert self.decided(tmp_path, min_settlement_rate=0.6)["accepted"] is True

    def test_the_floor_holds_for_a_single_simulation_too(self, tmp_path: Path) -> None:
        # A game in which not to pay costs nothing: only the floor keeps the banks from doing so.
        free = {"delay_cost_per_tick_per_cent": 0, "eod_penalty_per_transaction": 0, "deadline_penalty": 0}
        game = mapping()["scenario"]
        game["cost_rates"] = {**game["cost_rates"], **free}
        changes: dict[str, Any] = {"scenario": game, "convergence__max_iterations": 1}
        answers = [answer("A", 0.25), answer("B", 0.0)]
        provider = ran(tmp_path, answers=answers, evaluation__acceptance={"min_settlement_rate": 0.95}, **changes)
        enough, too_few = of_type(provider, optimization.POLICY_CHANGE.event_type)
        assert enough["accepted"] is True
        assert enough["acceptance_reason"].endswith("; 3 of 3 payments settle (1), and at least 0.95 is demanded")
        assert too_few["accepted"] is False
        assert "payments settle (" in too_few["acceptance_reason"].split("; but ")[1]
        assert (
            of_type(ran(tmp_path, answers=answers, **changes), optimization.POLICY_CHANGE.event_type)[1]["accepted"]
            is True
        )

    def test_a_rejection_is_told_to_the_model_with_its_figures(self, tmp_path: Path, store: Store) -> None:
        prepared = runner(
            tmp_path,
            answers=[answer(agent, 0.4) for agent in "ABAB"],
            store=store,
            evaluation__acceptance={"require_statistical_significance": True},
            **{**BOOTSTRAP, "convergence__max_iterations": 2},
        )
        asyncio.run(prepared.run())
        assert prepared.sealed is not None
        lines = (prepared.sealed.path / "exchanges.jsonl").read_bytes().splitlines()
        assert "but not significant: the 95 % confidence" in json.loads(lines[2])["origin"]["messages"][-1]["content"]


class TestTemporal:
    TEMPORAL: ClassVar[dict[str, Any]] = {"evaluation__mode": "deterministic-temporal"}

    def test_every_valid_proposal_is_in_force_whatever_it_costs(self, tmp_path: Path) -> None:
        answers = [answer("A", 0.75), answer("B", 0.25)]
        provider = ran(tmp_path, answers=answers, convergence__max_iterations=1, **self.TEMPORAL)
        worse, better = of_type(provider, optimization.POLICY_CHANGE.event_type)
        assert (worse["old_cost"], worse["new_cost"], worse["deltas"]) == (5000, 7500, [-2500])
        assert (worse["accepted"], better["accepted"]) == (True, True)
        assert worse["acceptance_reason"] == "accepted as proposed: raises the agent's cost by 2500 cents"
        assert better["acceptance_reason"] == "accepted as proposed: lowers the agent's cost by 2500 cents"
        assert provider.get_iteration_policies(0) == {"A": policy(0.75), "B": policy(0.25)}
        assert (
            of_type(provider, optimization.EXPERIMENT_START.event_type)[0]["evaluation_mode"]
            == "deterministic-temporal"
        )
        assert of_type(provider, optimization.BOOTSTRAP_EVALUATION.event_type) == []

    def test_it_ends_when_no_policy_moves(self, tmp_path: Path) -> None:
        # 0.5, then 0.25 for good: in force from the second iteration on, three iterations by the fourth.
        answers = [answer(agent, 0.25) for agent in "AB" * 10]
        limits = {"max_iterations": 10, "stability_window": 3}
        provider = ran(tmp_path, answers=answers, convergence=limits, **self.TEMPORAL)
        final = provider.get_final_result()
        assert final is not None
        assert (final["converged"], final["convergence_reason"]) == (True, "policy_stability")
        assert final["num_iterations"] == 4
        ends = [event["convergence"] for event in of_type(provider, optimization.ITERATION_END.event_type)]
        assert [end["fraction_range"] for end in ends] == [None, None, 0.25, 0.0]
        assert [end["met"] for end in ends] == [False, False, False, True]
        kinds = [event["event_type"] for event in provider.get_iteration_events(3)]
        assert kinds == ["iteration_start", "iteration_end"]

    def test_it_ends_too_when_no_cost_moves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        simulating(monkeypatch, FakeSimulator(lambda policies, seed: FakeResult({"A": FakeAgent(7)})))
        answers = [answer("A", fraction / 10) for fraction in range(10)]
        limits = {"max_iterations": 9, "stability_window": 2}
        provider = ran(tmp_path, answers=answers, optimized_agents=["A"], convergence=limits, **self.TEMPORAL)
        final = provider.get_final_result()
        assert final is not None
        assert (final["convergence_reason"], final["num_iterations"]) == ("cost_stability", 3)

    def test_a_proposal_that_cannot_be_simulated_is_still_rejected(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        simulating(monkeypatch, TestFailures().failing_at("A", 0.25))
        answers = [answer("A", 0.25), answer("B", 0.25), {"agent": "A", "answer": "no"}, answer("B", 0.75)]
        changes = {"llm__max_retries": 0, "convergence__max_iterations": 2, **self.TEMPORAL}
        provider = ran(tmp_path, answers=answers, **changes)
        reasons = [event["rejection_reason"] for event in of_type(provider, optimization.POLICY_REJECTED.event_type)]
        assert reasons == ["simulation_error", "invalid_json"]
        assert provider.get_iteration_policies(1) == {"A": policy(0.5), "B": policy(0.75)}

    def test_the_search_walks_its_range_and_never_leaves_it(self, tmp_path: Path) -> None:
        limits = [{"name": "initial_liquidity_fraction", "param_type": "float", "min_value": 0.1, "max_value": 0.8}]
        changes = {"policy_constraints": {"allowed_parameters": limits}, "convergence__max_iterations": 30}
        provider = ran(tmp_path, **changes, **self.TEMPORAL)
        tried = [fraction_of(event["new_policy"]) for event in of_type(provider, optimization.POLICY_CHANGE.event_type)]
        assert (min(tried), max(tried)) == (0.1, 0.8)
        assert len(tried) == 2 * 30
        assert of_type(provider, optimization.POLICY_REJECTED.event_type) == []
        final = provider.get_final_result()
        assert final is not None
        assert final["converged"] is False


class TestConvergence:
    def test_what_was_looked_at_is_recorded_in_each_iteration(self, tmp_path: Path) -> None:
        ends = of_type(ran(tmp_path), optimization.ITERATION_END.event_type)
        totals = [event["total_cost"] for event in of_type(ran(tmp_path), optimization.ITERATION_START.event_type)]
        assert [end["convergence"]["criterion"] for end in ends] == ["cost_stability"] * 3
        assert ends[0]["convergence"]["relative_change"] is None
        for previous, total, end in zip(totals, totals[1:], ends[1:], strict=False):
            assert end["convergence"]["relative_change"] == round(abs(total - previous) / previous, 6)

    def test_in_a_bootstrap_too(self, tmp_path: Path) -> None:
        wide = {"max_iterations": 5, "stability_window": 4, "cv_threshold": 0.0}
        ends = of_type(ran(tmp_path, **{**BOOTSTRAP, "convergence": wide}), optimization.ITERATION_END.event_type)
        found = [end["convergence"] for end in ends]
        assert [each["trend_s"] is None for each in found] == [True, True, True, False, False]
        assert [each["coefficient_of_variation"] is None for each in found] == [True, True, True, False, False]
        assert {each["met"] for each in found} == {False}
        assert found[0]["regret"] == 0.0

    @pytest.mark.parametrize("mode", ["bootstrap", "deterministic", "deterministic-temporal"])
    def test_the_last_iteration_names_the_reason_for_the_end(self, tmp_path: Path, mode: str) -> None:
        answers = [answer(agent, 0.5) for agent in "AB" * 10]
        limits = {"max_iterations": 10, "stability_window": 2}
        provider = ran(tmp_path, answers=answers, convergence=limits, evaluation__mode=mode)
        final, ends = provider.get_final_result(), of_type(provider, optimization.ITERATION_END.event_type)
        assert final is not None
        assert final["converged"] is True
        assert ends[-1]["convergence"]["criterion"] == final["convergence_reason"]
        assert [end["convergence"]["met"] for end in ends] == [False] * (len(ends) - 1) + [True]


BEST = ("best_iteration", "best_total_cost", "best_costs_per_agent", "best_policies")


class TestTheEnd:
    def stable(self, tmp_path: Path, **changes: Any) -> ExperimentStateProviderProtocol:
        answers = [answer(agent, 0.5) for agent in "AB" * 10]
        return ran(tmp_path, answers=answers, **changes)

    def test_there_is_exactly_one_with_integer_costs(self, tmp_path: Path) -> None:
        provider = ran(tmp_path)
        (end,) = of_type(provider, optimization.EXPERIMENT_END.event_type)
        assert list(provider.get_all_events())[-1] == end
        final = provider.get_final_result()
        assert final == event_fields(end)
        assert type(final["final_cost"]) is int
        assert type(final["best_cost"]) is int
        totals = [start["total_cost"] for start in of_type(provider, optimization.ITERATION_START.event_type)]
        assert (final["final_cost"], final["best_cost"]) == (totals[-1], min(totals))
        assert of_type(provider, common.EXPERIMENT_FAILED.event_type) == []

    def test_it_converges_when_the_criterion_is_met_and_not_before(self, tmp_path: Path) -> None:
        provider = self.stable(tmp_path, convergence={"max_iterations": 10, "stability_window": 2})
        final = provider.get_final_result() or {}
        assert {key: value for key, value in final.items() if key not in BEST} == {
            "final_cost": 10000,
            "best_cost": 10000,
            "converged": True,
            "convergence_reason": "cost_stability",
            "num_iterations": 3,
            "proposals": {"usable": 4, "rejected": 0, "failed": 0},
        }

    def test_a_converged_run_stops_before_any_proposal(self, tmp_path: Path) -> None:
        provider = self.stable(tmp_path, convergence={"max_iterations": 10, "stability_window": 2})
        kinds = [[event["event_type"] for event in provider.get_iteration_events(index)] for index in range(3)]
        turn = ["llm_call", "policy_change"] * 2
        assert kinds[0] == kinds[1] == ["iteration_start", *turn, "iteration_end"]
        assert kinds[2] == ["iteration_start", "iteration_end"]
        assert provider.get_iteration_accepted_changes(2) == {"A": False, "B": False}
        assert provider.get_iteration_policies(2) == provider.get_iteration_policies(1)

    def test_the_last_allowed_iteration_is_no_convergence(self, tmp_path: Path) -> None:
        provider = self.stable(tmp_path, convergence={"max_iterations": 2, "stability_window": 2})
        final = provider.get_final_result()
        assert final is not None
        assert (final["converged"], final["convergence_reason"], final["num_iterations"]) == (
            False,
            "max_iterations",
            2,
        )
        assert provider.get_total_iterations() == 2
        # It was a whole iteration: its agents were asked.
        assert len(of_type(provider, optimization.LLM_CALL.event_type)) == 4

    def test_convergence_in_the_last_allowed_iteration_counts(self, tmp_path: Path) -> None:
        provider = self.stable(tmp_path, convergence={"max_iterations": 3, "stability_window": 2})
        final = provider.get_final_result()
        assert final is not None
        assert (final["converged"], final["num_iterations"]) == (True, 3)

    def test_a_bootstrap_converges_by_its_own_criteria(self, tmp_path: Path) -> None:
        wide = {"max_iterations": 9, "stability_window": 2, "cv_threshold": 9.0, "regret_threshold": 9.0}
        changes = {**BOOTSTRAP, "scenario": mapping()["scenario"], "convergence": wide}
        final = self.stable(tmp_path, **changes).get_final_result()
        assert final is not None
        assert (final["converged"], final["convergence_reason"], final["num_iterations"]) == (
            True,
            "bootstrap_stability",
            2,
        )

    def test_a_best_cost_of_0_counts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seeds: list[int] = []

        def result(policies: Policies, seed: int) -> FakeResult:
            seeds.append(seed) if seed not in seeds else None
            # The second iteration costs nothing, by its seed.
            return FakeResult({"A": FakeAgent(0 if seeds.index(seed) == 1 else 70)})

        simulating(monkeypatch, FakeSimulator(result))
        answers = [answer("A", 0.5)] * 3
        final = ran(tmp_path, answers=answers, optimized_agents=["A"]).get_final_result()
        assert final is not None
        assert (final["best_cost"], final["final_cost"]) == (0, 70)

    def test_the_best_policies_are_compared_on_the_seeds_of_the_last_iteration(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seeds: list[int] = []

        def result(policies: Policies, seed: int) -> FakeResult:
            seeds.append(seed) if seed not in seeds else None
            luck = 500 if seeds.index(seed) == 0 else 0
            return FakeResult({"A": FakeAgent(round(1000 * fraction_of(policies["A"])) - luck)})

        simulating(monkeypatch, FakeSimulator(result))
        answers = [answer("A", 0.4), answer("A", 0.6), answer("A", 0.2)]
        final = ran(tmp_path, answers=answers, optimized_agents=["A"]).get_final_result()
        assert final is not None
        # The first iteration had the lowest total, by its seed; the policy of the second one is better.
        assert (final["best_cost"], final["best_total_cost"], final["best_iteration"]) == (0, 400, 2)
        assert final["best_costs_per_agent"] == {"A": 400}
        assert fraction_of(final["best_policies"]["A"]) == 0.4

    def test_search_does_not_converge_before_it_has_explored(self, tmp_path: Path) -> None:
        limits = {"max_iterations": 40, "stability_window": 1, "stability_threshold": 1000}
        provider = ran(tmp_path, convergence=limits)
        ends = of_type(provider, optimization.ITERATION_END.event_type)
        assert ends[0]["convergence"]["exploring"] == ["A", "B"]
        fractions = [
            fraction_of(event["new_policy"])
            for event in of_type(provider, optimization.POLICY_CHANGE.event_type)
            if event["agent_id"] == "A"
        ]
        assert min(fractions) < 0.5 < max(fractions)
        assert [bool(end["convergence"].get("exploring")) for end in ends[-3:]] == [True, False, False]
        assert [end["convergence"]["met"] for end in ends].index(True) == len(ends) - 1

    def test_the_result_that_is_returned_is_the_one_recorded(self, tmp_path: Path) -> None:
        prepared = runner(tmp_path)
        result = asyncio.run(prepared.run())
        final = live(prepared).get_final_result()
        assert final is not None
        assert {key: value for key, value in final.items() if key not in BEST} == {
            "final_cost": result.final_cost,
            "best_cost": result.best_cost,
            "converged": result.converged,
            "convergence_reason": result.convergence_reason,
            "num_iterations": result.num_iterations,
            "proposals": {"usable": 6, "rejected": 0, "failed": 0},
        }


class TestFailures:
    def failing_at(self, agent: str, fraction: float) -> FakeSimulator:
        def result(policies: Policies, seed: int) -> FakeResult:
            if fraction_of(policies[agent]) == fraction:
                raise SimulationError(f"agent '{agent}', tick 1, node 'leaf': num_splits is 0", agent=agent)
            return FakeResult({each: FakeAgent(round(1000 * fraction_of(policies[each]))) for each in policies})

        return FakeSimulator(result)

    def test_a_proposal_that_cannot_be_simulated_leaves_the_old_policy_in_force(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        simulating(monkeypatch, self.failing_at("A", 0.25))
        answers = [answer("A", 0.25), answer("B", 0.25), answer("A", 0.125), answer("B", 0.125)]
        provider = ran(tmp_path, answers=answers, convergence__max_iterations=2)
        (rejected,) = of_type(provider, optimization.POLICY_REJECTED.event_type)
        assert (rejected["agent_id"], rejected["rejection_reason"]) == ("A", "simulation_error")
        assert rejected["proposed_policy"] == policy(0.25)
        assert rejected["validation_errors"] == ["agent 'A', tick 1, node 'leaf': num_splits is 0"]
        assert fraction_of(provider.get_iteration_policies(0)["A"]) == 0.5
        assert provider.get_iteration_accepted_changes(0) == {"A": False, "B": True}
        # The experiment went on, and the model's answer had been usable.
        assert provider.get_iteration_accepted_changes(1) == {"A": True, "B": True}
        assert {call["outcome"] for call in of_type(provider, optimization.LLM_CALL.event_type)} == {"usable"}

    def test_such_a_proposal_of_the_real_simulator(self, tmp_path: Path) -> None:
        none = {"compute": {"op": "-", "left": {"field": "amount"}, "right": {"field": "amount"}}}
        split = {"type": "action", "node_id": "split", "action": "Split", "parameters": {"num_splits": none}}
        answers = [{"agent": "A", "answer": policy(0.5, split)}, answer("B", 0.25)]
        provider = ran(tmp_path, answers=answers, convergence__max_iterations=1)
        (rejected,) = of_type(provider, optimization.POLICY_REJECTED.event_type)
        assert rejected["rejection_reason"] == "simulation_error"
        assert rejected["validation_errors"] == [
            "agent 'A', tick 1, node 'split': num_splits is 0; a payment splits into at least 2 parts"
        ]

    def test_policies_in_force_that_cannot_be_simulated_fail_the_experiment(
        self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        simulating(monkeypatch, self.failing_at("B", 0.5))
        prepared = runner(tmp_path, store=store)
        error = failing(prepared)
        assert (error.error_type, error.exit_code) == ("SimulationError", 3)
        assert isinstance(error.__cause__, SimulationError)
        provider = live(prepared)
        (failed,) = of_type(provider, common.EXPERIMENT_FAILED.event_type)
        assert failed["error_type"] == "SimulationError"
        assert failed["message"] == "agent 'B', tick 1, node 'leaf': num_splits is 0"
        assert provider.get_final_result() is None
        assert of_type(provider, optimization.EXPERIMENT_END.event_type) == []
        assert prepared.sealed is not None
        head = RunDirectory(prepared.sealed.path).head
        assert (head["status"], head["result"]) == ("failed", None)
        assert head["failure"] == {"error_type": failed["error_type"], "message": failed["message"]}
        assert stored(prepared).get_run_metadata()["status"] == "failed"

    def test_also_where_only_the_seed_of_the_second_agent_shows_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seeds: set[int] = set()

        def result(policies: Policies, seed: int) -> FakeResult:
            seeds.add(seed)
            if len(seeds) > 1:
                raise SimulationError("agent 'A', tick 0, node 'leaf': no", agent="A")
            return FakeResult({"A": FakeAgent(1), "B": FakeAgent(1)})

        simulating(monkeypatch, FakeSimulator(result))
        prepared = runner(tmp_path, answers=[answer("A", 0.25), answer("B", 0.25)])
        assert failing(prepared).error_type == "SimulationError"
        assert of_type(live(prepared), optimization.POLICY_REJECTED.event_type) == []

    def test_a_script_without_answers_fails_the_experiment(self, tmp_path: Path, store: Store) -> None:
        prepared = runner(tmp_path, answers=[answer("A", 0.25), answer("B", 0.25)], store=store)
        error = failing(prepared)
        assert error.error_type == "ScriptExhausted"
        assert "answers.jsonl has no answer left for A" in str(error)
        provider = stored(prepared)
        assert provider.get_run_metadata()["status"] == "failed"
        # What came before it is kept: a whole iteration and the beginning of the next.
        assert provider.get_total_iterations() == 2
        assert len(of_type(provider, optimization.POLICY_CHANGE.event_type)) == 2
        assert provider.get_iteration_policies(1) == {}

    def test_a_failed_experiment_fails_the_same_way_again(self, tmp_path: Path, store: Store) -> None:
        ids = set()
        for _ in range(2):
            prepared = runner(tmp_path, answers=[answer("A", 0.25)], store=store)
            failing(prepared)
            assert prepared.sealed is not None
            ids.add(prepared.sealed.run_id)
        assert len(ids) == 1

    def test_an_error_without_words_is_recorded_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def result(policies: Policies, seed: int) -> FakeResult:
            raise ZeroDivisionError

        simulating(monkeypatch, FakeSimulator(result))
        prepared = runner(tmp_path)
        assert failing(prepared).error_type == "ZeroDivisionError"
        assert of_type(live(prepared), common.EXPERIMENT_FAILED.event_type)[0]["message"] == "no message"

    def test_where_nothing_can_be_recorded_no_failure_is_either(
        self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepared = runner(tmp_path, store=store)

        def full(handle: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def result(policies: Policies, seed: int) -> FakeResult:
            monkeypatch.setattr("os.write", full)
            return FakeResult({"A": FakeAgent(1), "B": FakeAgent(1)})

        simulating(monkeypatch, FakeSimulator(result))
        with pytest.raises(StorageFailure, match="No space left on device"):
            asyncio.run(prepared.run())
        monkeypatch.undo()
        assert prepared.sealed is None
        assert of_type(live(prepared), common.EXPERIMENT_FAILED.event_type) == []
        assert store.run_ids() == []
        assert len(store.work_names()) == 1

    def test_an_interrupted_experiment_is_kept_unsealed(
        self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def result(policies: Policies, seed: int) -> FakeResult:
            if fraction_of(policies["A"]) != 0.5:
                raise KeyboardInterrupt
            return FakeResult({"A": FakeAgent(1), "B": FakeAgent(1)})

        simulating(monkeypatch, FakeSimulator(result))
        prepared = runner(tmp_path, store=store)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(prepared.run())
        assert prepared.sealed is None
        assert store.run_ids() == []
        (name,) = store.work_names()
        kept = DatabaseStateProvider(RunDirectory(store.path / ".work" / name))
        assert [event["event_type"] for event in kept.get_all_events()] == ["experiment_start", "iteration_start"]

    def test_input_that_is_found_invalid_leaves_no_trace(self, tmp_path: Path, store: Store) -> None:
        path = experiment(tmp_path, answers=[answer("A", 0.5)])
        config = ExperimentConfig.load(path)
        (tmp_path / "answers.jsonl").write_bytes(b"no longer what it was\n")
        prepared = GenericExperimentRunner(config, config_dir=tmp_path, store=store)
        with pytest.raises(InvalidInput, match="is not the script this experiment was configured with"):
            asyncio.run(prepared.run())
        assert prepared.state_provider is None
        assert (store.run_ids(), store.work_names()) == ([], [])
        assert list((store.path / ".work").iterdir()) == []


class TestListeners:
    def heard(self, tmp_path: Path, config: VerboseConfig | None) -> tuple[list[Event], list[Event]]:
        heard: list[Event] = []
        answers = [{"agent": "A", "answer": "no"}, answer("A", 0.25), answer("B", 0.75)]
        path = experiment(tmp_path, answers=answers, convergence__max_iterations=1)
        prepared = GenericExperimentRunner(ExperimentConfig.load(path), config, tmp_path, listener=heard.append)
        asyncio.run(prepared.run())
        return heard, list(live(prepared).get_all_events())

    def test_without_a_selection_every_event_is_heard(self, tmp_path: Path) -> None:
        heard, recorded = self.heard(tmp_path, None)
        assert heard == recorded
        assert len(recorded) == 9

    @pytest.mark.parametrize(
        ("config", "kinds"),
        [
            (VerboseConfig(), ["iteration_start", "policy_change", "policy_change"]),
            (VerboseConfig(policy=False), ["iteration_start", "policy_change"]),
            (
                VerboseConfig(rejections=False, llm=True),
                ["iteration_start", *["llm_call"] * 2, "policy_change", "llm_call"],
            ),
            (VerboseConfig(iterations=False, policy=False, rejections=False, metrics=True), ["iteration_end"]),
            (VerboseConfig(iterations=False, policy=False, rejections=False), []),
        ],
    )
    def test_a_selection_chooses_what_is_heard_and_not_what_is_recorded(
        self, tmp_path: Path, config: VerboseConfig, kinds: list[str]
    ) -> None:
        heard, recorded = self.heard(tmp_path, config)
        assert [event["event_type"] for event in heard] == ["experiment_start", *kinds, "experiment_end"]
        assert heard == [event for event in recorded if config.selects(event)]
        assert len(recorded) == 9

    @pytest.mark.parametrize(
        "when",
        [
            optimization.EXPERIMENT_START.event_type,
            optimization.POLICY_CHANGE.event_type,
            optimization.EXPERIMENT_END.event_type,
        ],
    )
    def test_what_a_listener_raises_goes_through_and_is_no_failure_of_the_experiment(
        self, tmp_path: Path, store: Store, when: str
    ) -> None:
        def listen(event: Event) -> None:
            if event["event_type"] == when:
                raise OSError(28, "the terminal is full")

        config = ExperimentConfig.load(experiment(tmp_path))
        prepared = GenericExperimentRunner(config, config_dir=tmp_path, store=store, listener=listen)
        with pytest.raises(OSError, match="the terminal is full"):
            asyncio.run(prepared.run())
        assert store.run_ids() == []
        (name,) = store.work_names()
        kept = list(DatabaseStateProvider(RunDirectory(store.path / ".work" / name)).get_all_events())
        # The event had been recorded before anybody heard of it, and nothing after it.
        assert kept[-1]["event_type"] == when
        assert common.EXPERIMENT_FAILED.event_type not in {event["event_type"] for event in kept}

    def test_also_when_it_is_the_failure_that_it_does_not_bear(self, tmp_path: Path, store: Store) -> None:
        def listen(event: Event) -> None:
            if event["event_type"] == common.EXPERIMENT_FAILED.event_type:
                raise ValueError("I cannot hear this")

        config = ExperimentConfig.load(experiment(tmp_path, answers=[]))
        prepared = GenericExperimentRunner(config, config_dir=tmp_path, store=store, listener=listen)
        with pytest.raises(ValueError, match="I cannot hear this"):
            asyncio.run(prepared.run())
        assert store.run_ids() == []


class TestDisplay:
    def test_a_run_can_be_displayed(self, tmp_path: Path) -> None:
        text = display_to_text(ran(tmp_path))
        assert text.startswith("two banks\n")
        for part in ("Iteration 1  total 10000", "Iteration 3", "Stopped after 3 iterations, not converged"):
            assert part in text

    @pytest.mark.parametrize(
        "config", [None, VerboseConfig.all_enabled(), VerboseConfig(policy=False, bootstrap=False)]
    )
    def test_live_and_stored_are_displayed_the_same(
        self, tmp_path: Path, store: Store, config: VerboseConfig | None
    ) -> None:
        answers = [{"agent": "A", "answer": "no"}, answer("A", 0.25), {"agent": "B", "error": "overloaded"}]
        prepared = runner(tmp_path, answers=answers, store=store, **{**BOOTSTRAP, "convergence__max_iterations": 1})
        asyncio.run(prepared.run())
        assert display_to_text(live(prepared), config) == display_to_text(stored(prepared), config)
        assert list(live(prepared).get_all_events()) == list(stored(prepared).get_all_events())

    def test_a_failed_run_too(self, tmp_path: Path, store: Store) -> None:
        prepared = runner(tmp_path, answers=[], store=store)
        failing(prepared)
        text = display_to_text(live(prepared))
        assert text == display_to_text(stored(prepared))
        assert "Failed: ScriptExhausted: answers.jsonl has no answer left for A" in text


class TestReproduction:
    @pytest.mark.parametrize("changes", [{}, BOOTSTRAP, {"answers": [answer(a, 0.25) for a in "ABABAB"]}])
    def test_the_same_experiment_has_the_same_address(
        self, tmp_path: Path, store: Store, changes: dict[str, Any]
    ) -> None:
        first, second = (runner(tmp_path, store=store, **changes) for _ in range(2))
        asyncio.run(first.run())
        asyncio.run(second.run())
        assert first.sealed is not None
        assert second.sealed is not None
        assert first.sealed.run_id == second.sealed.run_id
        assert (first.sealed.is_new, second.sealed.is_new) == (True, False)
        assert store.work_names() == []

    def test_another_seed_has_another_address(self, tmp_path: Path, store: Store) -> None:
        ids = set()
        for seed in (42, 43):
            prepared = runner(tmp_path, store=store, master_seed=seed, **BOOTSTRAP)
            asyncio.run(prepared.run())
            assert prepared.sealed is not None
            ids.add(prepared.sealed.run_id)
        assert len(ids) == 2

    def test_with_and_without_a_store_the_events_are_the_same(self, tmp_path: Path, store: Store) -> None:
        prepared = runner(tmp_path, store=store, **BOOTSTRAP)
        asyncio.run(prepared.run())
        assert list(ran(tmp_path, **BOOTSTRAP).get_all_events()) == list(live(prepared).get_all_events())
