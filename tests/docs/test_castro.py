"""The example experiments reach their known results, and their runs have valid events of every type."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.documents import read_document
from exprec.recorder.errors import ExperimentFailed
from exprec.recorder.events import EVENT_SPECS, Event, optimization
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.loop import OptimizationResult
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.payments import PaymentSimulator
from exprec.recorder.schema import find_problems
from exprec.recorder.state.protocol import ExperimentStateProviderProtocol
from exprec.recorder.store.store import Store
from tests.fixtures.events import EVENT_TYPES
from tests.fixtures.experiments import RANDOM_GAME, answer, fraction_of, of_type, runner
from tests.fixtures.paths import CASTRO

# The only pure equilibria on a grid of 1 % (Castro et al. 2025), and the costs there.
EQUILIBRIA = {
    "two-period": ({"BANK_A": 0.0, "BANK_B": 0.2}, {"BANK_A": 0, "BANK_B": 2000}, 10000),
    "three-period": ({"BANK_A": 0.2, "BANK_B": 0.2}, {"BANK_A": 1998, "BANK_B": 1998}, 9990),
}


def run(name: str) -> tuple[OptimizationResult, ExperimentStateProviderProtocol]:
    path = CASTRO / f"{name}.yaml"
    prepared = GenericExperimentRunner(ExperimentConfig.load(path), config_dir=path.parent)
    result = asyncio.run(prepared.run())
    assert prepared.state_provider is not None
    return result, prepared.state_provider


@pytest.mark.parametrize("name", EQUILIBRIA)
def test_the_search_ends_in_the_equilibrium(name: str) -> None:
    fractions, costs, at_start = EQUILIBRIA[name]
    result, provider = run(name)
    assert {agent: fraction_of(policy) for agent, policy in result.policies.items()} == fractions
    assert provider.get_iteration_costs(result.num_iterations - 1) == costs
    assert provider.get_iteration_policies(result.num_iterations - 1) == result.policies
    assert of_type(provider, optimization.ITERATION_START.event_type)[0]["total_cost"] == at_start
    assert (result.converged, result.convergence_reason) == (True, "cost_stability")
    assert result.num_iterations <= 25
    assert result.final_cost == result.best_cost == sum(costs.values())


def test_the_stochastic_game_at_its_start() -> None:
    simulator = PaymentSimulator(read_document(CASTRO / "twelve-period-scenario.yaml").value)
    start = {agent: simulator.starting_policy(agent) for agent in simulator.agents}
    outcome = simulator.simulate(start)
    assert (outcome.arrivals, outcome.settled) == (53, 53)
    assert {agent: result.total for agent, result in outcome.agents.items()} == {"BANK_A": 49800, "BANK_B": 49800}


def test_the_stochastic_experiment_improves_on_its_start_the_same_in_any_number_of_processes(tmp_path: Path) -> None:
    path = CASTRO / "twelve-period.yaml"
    sealed = []
    for jobs in (1, 2):
        store = Store.open_or_create(tmp_path / f"runs{jobs}")
        prepared = GenericExperimentRunner(ExperimentConfig.load(path), config_dir=path.parent, store=store, jobs=jobs)
        result = asyncio.run(prepared.run())
        assert result.best_cost < 40000 < 2 * 49800
        assert prepared.sealed is not None
        sealed.append(prepared.sealed.run_id)
    assert sealed[0] == sealed[1]


def test_every_type_of_event_occurs_in_a_run_and_is_valid(tmp_path: Path) -> None:
    bootstrap: dict[str, Any] = {
        "scenario": RANDOM_GAME,
        "evaluation__mode": "bootstrap",
        "evaluation__num_samples": 3,
        "llm__max_retries": 1,
    }
    answers = [
        {"agent": "A", "answer": "no policy", "prompt_tokens": 100, "completion_tokens": 3, "latency_seconds": 0.5},
        answer("A", 0.25),
        {"agent": "B", "error": "overloaded"},
        answer("A", 1.0),
        answer("B", 0.25),
    ]
    completed = runner(tmp_path, answers=answers, convergence__max_iterations=2, **bootstrap)
    asyncio.run(completed.run())
    exhausted = runner(tmp_path, answers=answers, convergence__max_iterations=3, **bootstrap)
    with pytest.raises(ExperimentFailed):
        asyncio.run(exhausted.run())
    recorded: list[Event] = []
    for prepared in (completed, exhausted):
        assert prepared.state_provider is not None
        recorded += prepared.state_provider.get_all_events()
    recorded += run("two-period")[1].get_all_events()
    assert {event["event_type"] for event in recorded} == set(EVENT_TYPES)
    for event in recorded:
        schema = EVENT_SPECS[event["event_type"]].schema_name
        assert schema is not None
        assert find_problems(event, schema) == []
