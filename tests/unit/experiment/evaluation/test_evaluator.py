"""Evaluation: which seeds are simulated for whom, how often, and exact figures from the results."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation.evaluator import (
    Evaluation,
    Evaluator,
    Sample,
)
from exprec.recorder.experiment.stats import truncated_deviation, truncated_mean
from tests.fixtures.experiments import FakeAgent, FakeResult, FakeSimulator, costs_by_fraction, mapping, policy

CENTS = st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=30)
HALF = {"BANK_A": policy(0.5), "BANK_B": policy(0.5)}


def config(tmp_path: Path, **changes: Any) -> ExperimentConfig:
    value = mapping(optimized_agents=["BANK_A", "BANK_B"], **changes)
    for agent, name in zip(value["scenario"]["agents"], ("BANK_A", "BANK_B"), strict=True):
        agent["id"] = name
    value["scenario"]["scenario_events"] = []
    return ExperimentConfig.from_mapping(value, tmp_path)


def bootstrap(tmp_path: Path, samples: int | None) -> ExperimentConfig:
    return config(tmp_path, evaluation__mode="bootstrap", evaluation__num_samples=samples)


class TestSeeds:
    def test_an_iteration_is_judged_on_the_seed_of_the_first_agent_and_an_agent_on_its_own(
        self, tmp_path: Path
    ) -> None:
        simulator = costs_by_fraction()
        evaluator = Evaluator(simulator, config(tmp_path))
        for iteration, agent in ((1, None), (1, "BANK_B"), (2, None), (2, "BANK_B"), (3, None), (3, "BANK_B")):
            evaluator.evaluate(HALF, iteration, agent)
        assert [seed for _, seed in simulator.calls] == [
            1088125515,
            747645807,
            8987875,
            31030725,
            529213769,
            1405787459,
        ]

    def test_in_a_bootstrap_all_are_judged_on_the_samples_of_the_first_agent(self, tmp_path: Path) -> None:
        evaluator = Evaluator(costs_by_fraction(), bootstrap(tmp_path, 3))
        for agent in (None, "BANK_A", "BANK_B"):
            evaluation = evaluator.evaluate(HALF, 1, agent)
            assert [sample.seed for sample in evaluation.samples] == [58745492, 1290828484, 1285962202]

    @pytest.mark.parametrize("samples", [1, None])
    def test_a_bootstrap_of_one_sample_is_a_single_simulation(self, tmp_path: Path, samples: int | None) -> None:
        evaluator = Evaluator(costs_by_fraction(), bootstrap(tmp_path, samples))
        assert evaluator.seeds(1, "BANK_A") == [1088125515]
        assert evaluator.seeds(1, "BANK_B") == [747645807]

    def test_the_number_of_samples_matters_in_a_bootstrap_only(self, tmp_path: Path) -> None:
        evaluator = Evaluator(costs_by_fraction(), config(tmp_path, evaluation__num_samples=7))
        assert evaluator.seeds(1, "BANK_A") == [1088125515]

    def test_the_order_of_optimisation_says_who_is_first(self, tmp_path: Path) -> None:
        value = mapping(optimized_agents=["B", "A"])
        simulator = costs_by_fraction()
        Evaluator(simulator, ExperimentConfig.from_mapping(value, tmp_path)).evaluate({"A": policy(0.5)}, 1)
        reversed_seed = simulator.calls[0][1]
        value = mapping(optimized_agents=["B"])
        Evaluator(simulator, ExperimentConfig.from_mapping(value, tmp_path)).evaluate({"A": policy(0.5)}, 1)
        assert simulator.calls[1][1] == reversed_seed

    def test_the_master_seed_changes_every_seed(self, tmp_path: Path) -> None:
        first, second = (
            Evaluator(costs_by_fraction(), config(tmp_path, master_seed=seed)).seeds(1, "BANK_A") for seed in (42, 43)
        )
        assert first != second


class TestCalls:
    def test_no_policies_are_simulated_twice_on_a_seed_in_an_iteration(self, tmp_path: Path) -> None:
        simulator = costs_by_fraction()
        evaluator = Evaluator(simulator, bootstrap(tmp_path, 4))
        evaluator.evaluate(HALF, 1)
        assert len(simulator.calls) == 4
        evaluator.evaluate(HALF, 1, "BANK_A")
        evaluator.evaluate(dict(reversed(HALF.items())), 1, "BANK_B")
        assert len(simulator.calls) == 4
        new = {**HALF, "BANK_A": policy(0.25)}
        evaluator.evaluate(new, 1, "BANK_A")
        assert len(simulator.calls) == 8
        # What was just tried and accepted is the old side of the next agent's comparison.
        evaluator.evaluate(new, 1, "BANK_B")
        assert len(simulator.calls) == 8

    def test_another_iteration_has_other_seeds(self, tmp_path: Path) -> None:
        simulator = costs_by_fraction()
        evaluator = Evaluator(simulator, bootstrap(tmp_path, 4))
        evaluator.evaluate(HALF, 1)
        evaluator.evaluate(HALF, 2)
        assert len({seed for _, seed in simulator.calls}) == 8

    def test_policies_that_differ_in_one_digit_are_not_confused(self, tmp_path: Path) -> None:
        evaluator = Evaluator(costs_by_fraction(10**6), config(tmp_path))
        first = evaluator.evaluate(HALF, 1)
        second = evaluator.evaluate({**HALF, "BANK_B": policy(0.500001)}, 1)
        assert (first.total_cost, second.total_cost) == (1000000, 1000001)

    def test_the_simulator_gets_the_policies_of_all_agents(self, tmp_path: Path) -> None:
        simulator = costs_by_fraction()
        Evaluator(simulator, config(tmp_path)).evaluate(HALF, 1, "BANK_B")
        assert simulator.calls[0][0] == HALF


def evaluation(costs: dict[str, list[int]], agents: tuple[str, ...]) -> Evaluation:
    results = [
        FakeResult({agent: FakeAgent(values[index]) for agent, values in costs.items()})
        for index in range(len(next(iter(costs.values()))))
    ]
    return Evaluation(agents, tuple(Sample(seed, result) for seed, result in enumerate(results)))


class TestFigures:
    def test_the_total_is_the_sum_of_the_means_of_the_optimised_agents(self) -> None:
        found = evaluation({"A": [1, 2], "B": [3, 4], "C": [1000, 1000]}, ("A", "B"))
        assert found.costs_per_agent == {"A": 1, "B": 3}
        # 4, and not 5 as the mean of the sums would be.
        assert found.total_cost == 4
        assert found.sample_totals == [4, 6]
        assert found.costs("B") == [3, 4]

    def test_the_agents_come_in_the_order_of_optimisation(self) -> None:
        found = evaluation({"A": [1], "B": [2]}, ("B", "A"))
        assert list(found.costs_per_agent) == ["B", "A"]

    def test_the_settlement_rate(self) -> None:
        def rate(arrivals: int, settled: int) -> float:
            found = Sample(0, FakeResult({}, arrivals, settled)).settlement
            assert (found["total"], found["settled"]) == (arrivals, settled)
            return found["settlement_rate"]

        assert (rate(4, 3), rate(4, 0), rate(3, 3)) == (0.75, 0.0, 1.0)
        assert rate(0, 0) == 1.0

    def test_an_error_of_the_simulator_goes_through_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
        def fail_once(policies: Any, seed: int) -> FakeResult:
            if len(simulator.calls) == 1:
                raise RuntimeError("first call")
            return FakeResult({agent: FakeAgent(1) for agent in policies})

        simulator = FakeSimulator(fail_once)
        evaluator = Evaluator(simulator, config(tmp_path))
        with pytest.raises(RuntimeError, match="first call"):
            evaluator.evaluate(HALF, 1)
        assert evaluator.evaluate(HALF, 1).total_cost == 2


class TestExactness:
    def test_means_are_truncated_toward_zero(self) -> None:
        assert truncated_mean([1, 2]) == 1
        assert truncated_mean([-1, -2]) == -1
        assert truncated_mean([-1, 0]) == 0
        assert truncated_mean([-7, 0, 0]) == -2
        assert truncated_mean([6]) == 6

    def test_deviations_are_the_populations_truncated(self) -> None:
        assert truncated_deviation([2, 4, 4, 4, 5, 5, 7, 9]) == 2
        assert truncated_deviation([-2, -4, -4, -4, -5, -5, -7, -9]) == 2
        assert truncated_deviation([0, 3]) == 1
        assert truncated_deviation([5]) == 0
        assert truncated_deviation([7, 7, 7]) == 0

    def test_nothing_goes_through_a_float(self) -> None:
        assert truncated_mean([2**53 + 1]) == 2**53 + 1
        assert truncated_mean([2**62 + 1, 2**62 + 1]) == 2**62 + 1
        assert truncated_deviation([0, 2 * (2**53 + 1)]) == 2**53 + 1

    @given(CENTS)
    def test_the_mean_is_the_fraction_truncated(self, values: list[int]) -> None:
        assert truncated_mean(values) == math.trunc(Fraction(sum(values), len(values)))

    @given(CENTS)
    @example([-1, 1])
    @example([-(2**63), 2**64 - 1])
    def test_the_deviation_is_the_root_of_the_exact_variance_truncated(self, values: list[int]) -> None:
        mean = Fraction(sum(values), len(values))
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        found = truncated_deviation(values)
        assert found**2 <= variance < (found + 1) ** 2

    @given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=10))
    def test_the_deviation_agrees_with_decimal_arithmetic(self, values: list[int]) -> None:
        with localcontext() as context:
            context.prec = 100
            mean = Decimal(sum(values)) / len(values)
            squares = [(value - mean) ** 2 for value in values]
            root = (sum(squares, Decimal(0)) / len(values)).sqrt()
            # A root that is a whole number may come out a little below it.
            assert truncated_deviation(values) == int(root + Decimal("1e-60"))
