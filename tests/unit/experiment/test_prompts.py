"""Prompts: all that an agent may know, in a fixed order, and nothing of any other agent."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from exprec.recorder.errors import SimulationError
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation.evaluator import AgentCosts, Evaluation, Result, Sample
from exprec.recorder.experiment.evaluation.simulators import Payments, load_simulator
from exprec.recorder.experiment.prompts import (
    Attempt,
    SampleDay,
    correction_messages,
    notable_samples,
    request_messages,
)
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.protocol import Message
from exprec.recorder.store.store import Store
from tests.fixtures.experiments import (
    GAME,
    FakeAgent,
    FakeResult,
    FakeSimulator,
    Json,
    bank,
    fraction_of,
    mapping,
    policy,
    runner,
)
from tests.fixtures.paths import ROOT

RULES = "the rules of the game"
OWN = policy(0.5, policy_id="mine")

SECRET_FRACTION = 0.8642097531
SECRET_CENTS = 918273645
SECRET_BALANCE = 564738291
SECRET_NODE = "node-of-the-other-bank"
SECRETS = (str(SECRET_FRACTION), str(SECRET_CENTS), str(SECRET_BALANCE), SECRET_NODE, "policy-of-the-other-bank")
SECRET_POLICY = policy(
    SECRET_FRACTION,
    {"type": "action", "node_id": SECRET_NODE, "action": "Release"},
    policy_id="policy-of-the-other-bank",
)


def config(**changes: Any) -> ExperimentConfig:
    return ExperimentConfig.from_mapping(mapping(**changes), Path())


def evaluation(own: Sequence[FakeAgent], settled: int = 4) -> Evaluation:
    other = FakeAgent(total=SECRET_CENTS, balance=SECRET_BALANCE, opportunity=SECRET_CENTS)
    results = [FakeResult({"B": other, "A": each}, arrivals=4, settled=settled) for each in own]
    return Evaluation(("A", "B"), tuple(Sample(seed, result) for seed, result in enumerate(results)))


ONE = evaluation([FakeAgent(total=5000, balance=-250, opportunity=4000)])


def messages(
    experiment: ExperimentConfig | None = None,
    result: Evaluation = ONE,
    history: Sequence[Attempt] = (),
    agent: str = "A",
) -> tuple[Message, ...]:
    return request_messages(experiment or config(), RULES, agent, OWN, result, history)


def system(**changes: Any) -> str:
    return messages(config(**changes))[0].content


def user(**changes: Any) -> str:
    return messages(config(**changes))[1].content


def section(text: str, title: str) -> list[str]:
    """Return the lines of a section, up to the next title or the last paragraph."""
    body = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return body.partition("\n\nAnswer with")[0].strip().splitlines()


class TestWhatIsTold:
    def test_a_request_is_a_system_message_and_a_user_message(self) -> None:
        assert [message.role for message in messages()] == ["system", "user"]

    def test_the_rules_are_in_the_system_message(self) -> None:
        assert RULES in system()

    def test_the_agents_own_policy_is_told_as_it_is(self) -> None:
        assert canonical_json.encode(OWN).decode().strip() in user()
        assert user().startswith("You decide the policy of A.")

    def test_its_own_result_has_every_cost(self) -> None:
        text = messages(result=evaluation([FakeAgent(5000, -250, 4000)]))[1].content
        for line in ("- total: 5000 cents", "- balance: -250 cents", "- opportunity: 4000 cents"):
            assert f"\n{line}\n" in text
        assert "means of" not in text

    def test_the_settlement_of_the_system_is_told_only_where_a_proposal_is_judged_by_it(self) -> None:
        line = "- payments settled in the whole system: 3 of 4"
        result = evaluation([FakeAgent(5000, -250, 4000)], settled=3)
        assert "settled" not in messages(result=result)[1].content
        judged = config(evaluation__acceptance={"min_settlement_rate": 0.9})
        assert f"\n{line}\n" in messages(judged, result)[1].content

    def test_of_a_bootstrap_the_means_and_the_spread_are_told(self) -> None:
        samples = [FakeAgent(5, -1, 10), FakeAgent(6, -2, 11), FakeAgent(16, -2, 12)]
        text = messages(result=evaluation(samples))[1].content
        assert section(text, "Its cost in the last evaluation") == [
            "means of 3 simulations",
            "- balance: -1 cents",
            "- opportunity: 11 cents",
            "- total: 9 cents",
            "- total in single simulations: 5 to 16 cents, standard deviation 4 cents",
        ]


class TestDays:
    SPREAD = (FakeAgent(6), FakeAgent(9), FakeAgent(5), FakeAgent(9), FakeAgent(5))

    def told(self, own: Sequence[FakeAgent]) -> str:
        result = evaluation(own)
        days = [SampleDay(sample, f"day {sample}") for sample in notable_samples(result, "A")]
        return request_messages(config(), RULES, "A", OWN, result, [], days)[1].content

    def test_the_best_and_the_worst_are_told_of_equal_ones_the_first(self) -> None:
        assert notable_samples(evaluation(self.SPREAD), "A") == (2, 1)
        text = self.told(self.SPREAD)
        assert section(text, "The day that cost least: simulation 3 of 5, 5 cents") == [
            "Costs in cents: opportunity 0",
            "day 2",
        ]
        assert section(text, "The day that cost most: simulation 2 of 5, 9 cents")[-1] == "day 1"

    def test_one_is_told_where_all_cost_the_same(self) -> None:
        title = "The day that cost least and most: simulation 1 of 3, 5 cents"
        assert section(self.told([FakeAgent(5)] * 3), title)[-1] == "day 0"

    def test_a_single_simulation_is_told(self) -> None:
        assert section(self.told([FakeAgent(5)]), "The simulated day") == ["day 0"]

    def test_the_sections_have_a_fixed_order(self) -> None:
        titles = [line for line in self.told(self.SPREAD).splitlines() if line.startswith("## ")]
        assert [title.partition(":")[0] for title in titles] == [
            "## Current policy",
            "## Its cost in the last evaluation",
            "## The day that cost least",
            "## The day that cost most",
            "## Your earlier proposals",
            "## Limits of a proposal",
        ]

    def test_the_size_of_a_request_is_bounded(self) -> None:
        """For 10,000 payments and 100 iterations."""
        arrivals = {
            "rate_per_tick": 50,
            "amount_distribution": {"type": "LogNormal", "mean": 10000, "std_dev": 5000},
            "counterparty_weights": {},
            "deadline_range": [1, 20],
        }
        banks = [
            bank(each, liquidity_pool=10**6, arrival_config={**arrivals, "counterparty_weights": {other: 1.0}})
            for each, other in ("AB", "BA")
        ]
        scenario = {**GAME, "simulation": {**GAME["simulation"], "ticks_per_day": 100}, "agents": banks}
        experiment = config(scenario={**scenario, "scenario_events": []}, evaluation__ticks=100)
        simulator = Payments(experiment.scenario)
        policies = {each: policy(0.1) for each in "AB"}
        results = list(simulator.simulate_each(policies, [1, 2]))
        assert all(result.arrivals > 9000 for result in results)
        result = Evaluation(("A", "B"), tuple(map(Sample, [1, 2], results)))
        days = [SampleDay(each, simulator.describe_day(policies, each + 1, "A")) for each in (0, 1)]
        tree = {"type": "action", "node_id": "x" * 9999, "action": "Hold"}
        history = [Attempt(number, policy(0.3, tree), 1, False, "y" * 9999, 2) for number in range(100)]
        asked = request_messages(experiment, simulator.rules, "A", OWN, result, history, days)
        assert sum(len(message.content) for message in asked) < 90_000
        assert asked[1].content.count("more events left out") == 2


class TestHistory:
    """The trajectory of the agent's parameters and costs."""

    HISTORY = (
        Attempt(1, policy(0.4), 4000, True, "lowers the agent's cost by 1000 cents", 5000),
        Attempt(2, policy(0.6, policy_id="other"), 6000, False, "raises the agent's cost by 2000 cents", 4000),
        Attempt(3, None, None, False, "invalid_json: not valid JSON"),
        Attempt(4, {"a": 1}, None, False, "invalid_policy: payment_tree is missing"),
        Attempt(5, {**policy(0.3), "version": "3"}, 1, False, "does not change the agent's cost"),
    )

    def told(self, history: Sequence[Attempt] = HISTORY, **changes: Any) -> list[str]:
        return section(messages(config(**changes), history=history)[1].content, "Your earlier proposals")

    def test_it_is_told_in_order_with_parameters_and_costs(self) -> None:
        told = self.told()
        assert told[:4] == [
            "- iteration 1: initial_liquidity_fraction = 0.4; cost 4000 cents instead of 5000 cents; accepted (lowers "
            "the agent's cost by 1000 cents)",
            "- iteration 2: initial_liquidity_fraction = 0.6; cost 6000 cents instead of 4000 cents; rejected (raises "
            "the agent's cost by 2000 cents)",
            "- iteration 3: rejected (invalid_json: not valid JSON)",
            '- iteration 4: rejected (invalid_policy: payment_tree is missing); policy {"a":1}',
        ]
        start = "- iteration 5: initial_liquidity_fraction = 0.3; cost 1 cents; rejected (does not change"
        assert told[4].startswith(start)

    def test_a_policy_is_told_in_full_if_it_decides_otherwise_than_the_current_one(self) -> None:
        assert [line.partition("policy {")[2] != "" for line in self.told()] == [False, False, False, True, True]

    def test_without_a_history_it_says_so(self) -> None:
        assert self.told([]) == ["none"]

    @pytest.mark.parametrize(("limit", "first"), [(0, []), (1, [5]), (4, [2, 3, 4, 5]), (5, [1, 2, 3, 4, 5])])
    def test_the_last_ones_are_told(self, limit: int, first: list[int]) -> None:
        told = self.told(llm__history_limit=limit)
        assert [int(line.split()[2].strip(":")) for line in told if line.startswith("-")] == first
        assert told[0] == f"{5 - limit} earlier ones left out" or limit == 5

    def test_by_default_twenty_are_told(self) -> None:
        history = [Attempt(number, None, None, False, "invalid_json") for number in range(1, 24)]
        told = self.told(history)
        assert told[0] == "3 earlier ones left out"
        assert len(told) == 21

    def test_its_size_is_bounded(self) -> None:
        long = {"parameters": {f"p{number}": number for number in range(9999)}, "payment_tree": ["x" * 99] * 999}
        history = [Attempt(number, long, 1, False, "y" * 9999) for number in range(100)]
        text = "\n".join(self.told(history))
        assert len(text) < 20 * 5000
        assert "(9399 more characters left out)" in text


class TestCustomSimulator:
    """A problem without payments is told by its description, scenario and parameters."""

    SCENARIO: ClassVar[Json] = {
        "size": [3, 4],
        "agents": [{"id": "A", "policy": {"x": "own"}}, {"id": "B", "policy": {"x": "secret"}, "weight": 2}, "C"],
    }

    @pytest.fixture
    def told(self, tmp_path: Path) -> list[Message]:
        code = 'def evaluate(scenario, policies, seed):\n    """Bowls with one bottom."""\n    return {}\n'
        (tmp_path / "bowl.py").write_text(code)
        value = mapping(
            simulator="bowl:evaluate",
            description="How to find the bottom of a bowl.",
            scenario=self.SCENARIO,
            evaluation__ticks=1,
            policy_constraints={
                "allowed_parameters": [{"name": "x", "param_type": "float", "min_value": 0, "max_value": 1}]
            },
        )
        experiment = ExperimentConfig.from_mapping(value, tmp_path)
        rules = load_simulator(experiment, tmp_path).rules
        own = {"parameters": {"x": 0.5}}
        result = Evaluation(("A",), (Sample(1, Result(0, 0, {"A": AgentCosts({"total": 40})})),))
        history = [Attempt(1, {"parameters": {"x": 0.25}}, 30, True, "lowers the agent's cost by 10 cents", 40)]
        return list(request_messages(experiment, rules, "A", own, result, history))

    def test_the_problem_is_told(self, told: list[Message]) -> None:
        assert section(told[0].content, "The problem") == [
            "How to find the bottom of a bowl.",
            "",
            "Bowls with one bottom.",
        ]
        assert section(told[0].content, "The form of a policy")

    def test_the_scenario_is_told_without_the_policies_of_others(self, told: list[Message]) -> None:
        (line,) = section(told[0].content, "Its scenario")
        assert json.loads(line) == {
            "size": [3, 4],
            "agents": [{"id": "A", "policy": {"x": "own"}}, {"id": "B", "weight": 2}, "C"],
        }

    def test_its_parameters_are_told_with_their_bounds_and_their_costs(self, told: list[Message]) -> None:
        text = told[1].content
        limits = ["- parameter x, float, at least 0.0, at most 1.0", "- no other parameters"]
        assert section(text, "Limits of a proposal") == limits
        assert section(text, "Your earlier proposals") == [
            "- iteration 1: x = 0.25; cost 30 cents instead of 40 cents; accepted (lowers the agent's cost by 10 cents)"
        ]

    def test_nothing_is_told_of_payments(self, told: list[Message]) -> None:
        text = "\n".join(message.content for message in told).lower()
        for word in ("payment", "settle", "liquidity", "bank", "tick", "queue", "deadline", "balance", "tree"):
            assert word not in text

    def test_a_long_scenario_is_cut(self) -> None:
        experiment = replace(config(), simulator="bowl:evaluate", scenario={"x": "y" * 10**6})
        text = messages(experiment)[0].content
        assert len(text) < 12_000
        assert " more characters left out)" in text


class TestConstraints:
    def limits(self, **constraints: Any) -> list[str]:
        return section(user(policy_constraints=constraints), "Limits of a proposal")

    def test_every_kind_of_limit_is_told(self) -> None:
        told = self.limits(
            allowed_parameters=[
                {
                    "name": "initial_liquidity_fraction",
                    "param_type": "float",
                    "min_value": 0,
                    "max_value": 0.5,
                    "description": "what is committed",
                },
                {"name": "urgency", "param_type": "int", "min_value": 1},
                {"name": "any", "param_type": "float"},
                {"name": "step", "param_type": "enum", "allowed_values": [1, 2.5]},
            ],
            allowed_fields=["balance", "ticks_to_deadline"],
            allowed_actions={"payment_tree": ["Release", "Hold"], "bank_tree": []},
            lsm_enabled=False,
        )
        assert told == [
            "- parameter initial_liquidity_fraction, float, at least 0.0, at most 0.5: what is committed",
            "- parameter urgency, int, at least 1",
            "- parameter any, float",
            "- parameter step, one of [1,2.5]",
            "- no other parameters",
            "- fields: balance, ticks_to_deadline",
            "- actions of payment_tree: Release, Hold",
            "- actions of bank_tree: none",
            "- there is no liquidity saving: do not rely on offsetting",
        ]

    def test_a_limit_that_admits_nothing_is_not_taken_for_none(self) -> None:
        assert self.limits(allowed_parameters=[], allowed_fields=[]) == ["- no parameters", "- fields: none"]

    def test_no_limits(self) -> None:
        assert self.limits() == ["any valid policy"]


class TestCustomization:
    def test_what_is_for_all_comes_before_what_is_for_the_agent(self) -> None:
        text = user(prompt_customization={"A": "for A only", "all": "for everyone"})
        assert "## Further guidance\nfor everyone\nfor A only\n" in text

    def test_what_is_for_another_agent_is_not_told(self) -> None:
        text = user(prompt_customization={"B": "for B only"})
        assert "for B only" not in text
        assert "Further guidance" not in text

    def test_a_system_prompt_replaces_the_built_in_one(self) -> None:
        assert system(llm__system_prompt="Be brief.") == "Be brief."
        assert user(llm__system_prompt="Be brief.") == user()


def test_a_correction_sends_the_answer_back_with_all_its_errors() -> None:
    sent = correction_messages("my answer", ["first error", "second error"])
    assert [message.role for message in sent] == ["assistant", "user"]
    assert sent[0].content == "my answer"
    assert "\n- first error\n- second error\n" in sent[1].content


def test_of_many_errors_the_first_are_listed() -> None:
    errors = [f"error {number} {'x' * 9999}" for number in range(1000)]
    lines = correction_messages("my answer", errors)[1].content.splitlines()
    assert [line[:10] for line in lines[1:31]] == [f"- error {number} "[:10] for number in range(30)]
    assert lines[31] == "and 970 more"
    assert sum(map(len, lines)) < 30_000


def test_another_agents_result_is_in_no_message() -> None:
    for message in messages():
        for secret in SECRETS:
            assert secret not in message.content


class TestSecrecyInARun:
    """A whole experiment in which one agent has numbers and names that are found nowhere else."""

    @pytest.fixture
    def exchanges(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        def result(policies: Mapping[str, Mapping[str, Any]], seed: int) -> FakeResult:
            fraction = fraction_of(policies["A"])
            if fraction == 0.125:
                message = f"agent 'B', tick 0, node '{SECRET_NODE}': num_splits is {SECRET_CENTS}"
                raise SimulationError(message, agent="B")
            if fraction == 0.0625:
                raise SimulationError("agent 'A', tick 0, node 'leaf': num_splits is 0", agent="A")
            cents = SECRET_CENTS - (fraction_of(policies["B"]) == SECRET_FRACTION)
            return FakeResult(
                {
                    "A": FakeAgent(round(1000 * fraction), 7, 3),
                    "B": FakeAgent(cents, SECRET_BALANCE, SECRET_CENTS),
                }
            )

        monkeypatch.setattr("exprec.recorder.experiment.loop.load_simulator", lambda *_: FakeSimulator(result))
        secret_answers: list[Any] = [SECRET_POLICY, f"not JSON: {SECRET_NODE}", SECRET_POLICY, SECRET_POLICY]
        own_answers: list[Any] = [policy(0.125), policy(0.0625), policy(0.25), policy(0.75)]
        answers = [
            line
            for own, secret in zip(own_answers, secret_answers, strict=True)
            for line in ({"agent": "A", "answer": own}, {"agent": "B", "answer": secret})
        ]
        store = Store.open_or_create(tmp_path / "runs")
        prepared = runner(
            tmp_path,
            answers=answers,
            store=store,
            convergence__max_iterations=4,
            llm__max_retries=0,
            prompt_customization={"B": f"guidance about {SECRET_NODE}"},
        )
        asyncio.run(prepared.run())
        assert prepared.sealed is not None
        lines = (prepared.sealed.path / "exchanges.jsonl").read_bytes().splitlines()
        return [canonical_json.decode(line) for line in lines]

    def asked(self, exchanges: list[dict[str, Any]], agent: str) -> str:
        return "\n".join(
            message["content"]
            for exchange in exchanges
            if exchange["origin"]["agent_id"] == agent
            for message in exchange["origin"]["messages"]
        )

    def test_no_message_to_an_agent_has_anything_of_another(self, exchanges: list[dict[str, Any]]) -> None:
        told = self.asked(exchanges, "A")
        for secret in (*SECRETS, str(SECRET_CENTS - 1)):
            assert secret not in told

    def test_the_secrets_are_told_to_the_agent_they_belong_to(self, exchanges: list[dict[str, Any]]) -> None:
        told = self.asked(exchanges, "B")
        for secret in SECRETS:
            assert secret in told

    def test_an_error_is_told_in_full_only_to_the_agent_whose_policy_it_happened_in(
        self, exchanges: list[dict[str, Any]]
    ) -> None:
        told = self.asked(exchanges, "A")
        assert "- iteration 1: initial_liquidity_fraction = 0.125; rejected (simulation_error)" in told
        assert "rejected (simulation_error: agent 'A', tick 0, node 'leaf': num_splits is 0)" in told


def elaborate() -> bytes:
    """A request with everything in it that could come in another order."""
    parameters = [{"name": name, "param_type": "float"} for name in ("initial_liquidity_fraction", "x", "y", "z")]
    experiment = config(
        prompt_customization={"all": "for everyone", "A": "for A", "B": "for B"},
        policy_constraints={
            "allowed_parameters": parameters,
            "allowed_fields": ["balance", "amount", "ticks_to_deadline", "system_tick_in_day"],
            "allowed_actions": {"payment_tree": ["Release", "Hold"], "bank_tree": ["NoAction"]},
        },
    )
    rules = load_simulator(experiment, Path()).rules
    history = [Attempt(1, {"z": 1, "y": {"b": 2, "a": 3}}, 1, True, "better")]
    asked = request_messages(experiment, rules, "A", OWN, ONE, history)
    return canonical_json.encode([message.as_dict() for message in asked])


def test_the_same_request_is_the_same_twice() -> None:
    assert elaborate() == elaborate()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_request_is_the_same_with_any_order_of_sets(hash_seed: str) -> None:
    code = (
        "import hashlib; from tests.unit.experiment.test_prompts import elaborate;"
        "print(hashlib.sha256(elaborate()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(elaborate()).hexdigest()


class TestRules:
    """What the payment game tells: the offsetting that it has, and an example that can be used as it stands."""

    def rules(self, **changes: Any) -> str:
        from exprec.recorder.payments import describe_rules
        from tests.fixtures.experiments import GAME

        return describe_rules({**GAME, **changes})

    def test_the_example_of_a_policy_is_valid(self) -> None:
        from exprec.recorder.payments import check_policy

        line = next(line for line in self.rules().splitlines() if line.startswith('{"version": "2.0", "policy_id": "p'))
        assert check_policy(json.loads(line)) == []

    @pytest.mark.parametrize(
        ("bilateral", "cycles", "told"),
        [
            (False, False, None),
            (True, False, "offset each other between two banks settle together"),
            (True, True, "offset each other between two banks or around a circle of banks settle together"),
        ],
    )
    def test_offsetting_is_told_where_there_is_any(self, bilateral: bool, cycles: bool, told: str | None) -> None:
        text = self.rules(lsm_config={"enable_bilateral": bilateral, "enable_cycles": cycles})
        assert ("offset each other" in text) is (told is not None)
        assert told is None or told in text

    def test_rates_that_the_scenario_leaves_out_are_told_with_their_defaults(self) -> None:
        assert "None" not in self.rules(cost_rates={}, lsm_config=None)


def test_what_becomes_of_a_proposal_is_told() -> None:
    assert "takes its place only if it costs your agent less" in system()
    temporal = system(evaluation__mode="deterministic-temporal", llm__model="openai:small")
    assert "takes the place of the current policy at once" in temporal
    assert "only if" not in temporal.partition("##")[0]
