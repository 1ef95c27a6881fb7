"""The thirteen tests of the plan that this project began with, in its words; only the imports are those of exprec."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exprec.recorder import (
    ExperimentConfig,
    ExperimentRepository,
    GenericExperimentRunner,
    LiveStateProvider,
    OptimizationLoop,
    VerboseConfig,
    display_experiment_output,
)
from tests.fixtures.experiments import mapping
from tests.origin.conftest import MockClient


def get_test_config_dir() -> Path:
    return Path(__file__).parent


def create_test_experiment_config(
    name: str = "test",
    max_iterations: int = 2,
    evaluation_mode: str = "deterministic",
    num_samples: int | None = None,
    output_directory: str | None = None,
    output_database: str | None = None,
    **changes: Any,
) -> ExperimentConfig:
    if num_samples is not None:
        changes["evaluation__num_samples"] = num_samples
    if output_directory is not None:
        changes["output"] = {"directory": output_directory, "database": output_database}
    value = mapping(name=name, convergence__max_iterations=max_iterations, evaluation__mode=evaluation_mode, **changes)
    return ExperimentConfig.from_mapping(value, get_test_config_dir())


def create_test_experiment_config_with_llm(max_iterations: int) -> ExperimentConfig:
    return create_test_experiment_config(max_iterations=max_iterations, llm__model="openai:gpt-4o")


def create_test_experiment_config_with_constraints(max_iterations: int) -> ExperimentConfig:
    fraction = {"name": "initial_liquidity_fraction", "param_type": "float", "min_value": 0.0, "max_value": 0.5}
    return create_test_experiment_config(
        max_iterations=max_iterations,
        llm__model="openai:gpt-4o",
        llm__max_retries=0,
        policy_constraints={"allowed_parameters": [fraction]},
    )


# 1


def test_optimization_loop_creates_state_provider() -> None:
    config = create_test_experiment_config()

    loop = OptimizationLoop(
        config=config,
        config_dir=Path("."),
    )

    assert loop._state_provider is not None
    assert isinstance(loop._state_provider, LiveStateProvider)


def test_state_provider_has_experiment_metadata() -> None:
    config = create_test_experiment_config(name="test_exp")

    loop = OptimizationLoop(
        config=config,
        config_dir=Path("."),
    )

    info = loop._state_provider.get_experiment_info()
    assert info["experiment_name"] == "test_exp"
    assert info["experiment_type"] == "generic"
    assert info["run_id"] is not None


# 2


@pytest.mark.asyncio
async def test_iteration_start_events_recorded() -> None:
    config = create_test_experiment_config(max_iterations=2)

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )

    await loop.run()

    events = list(loop._state_provider.get_all_events())
    iteration_starts = [e for e in events if e["event_type"] == "iteration_start"]

    assert len(iteration_starts) >= 1
    assert "iteration" in iteration_starts[0]
    assert "total_cost" in iteration_starts[0]


@pytest.mark.asyncio
async def test_iteration_costs_recorded() -> None:
    config = create_test_experiment_config(max_iterations=2)

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )

    await loop.run()

    costs = loop._state_provider.get_iteration_costs(0)
    assert len(costs) > 0
    assert all(isinstance(v, int) for v in costs.values())


# 3


@pytest.mark.asyncio
async def test_bootstrap_events_recorded() -> None:
    config = create_test_experiment_config(
        evaluation_mode="bootstrap",
        num_samples=3,
        max_iterations=1,
    )

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )

    await loop.run()

    events = list(loop._state_provider.get_all_events())
    bootstrap_events = [e for e in events if e["event_type"] == "bootstrap_evaluation"]

    assert len(bootstrap_events) >= 1
    assert "seed_results" in bootstrap_events[0]
    assert "mean_cost" in bootstrap_events[0]


@pytest.mark.asyncio
async def test_bootstrap_event_structure() -> None:
    config = create_test_experiment_config(
        evaluation_mode="bootstrap",
        num_samples=3,
        max_iterations=1,
    )

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )

    await loop.run()

    events = list(loop._state_provider.get_all_events())
    bootstrap_events = [e for e in events if e["event_type"] == "bootstrap_evaluation"]

    event = bootstrap_events[0]
    assert "seed_results" in event
    assert len(event["seed_results"]) == 3
    assert "seed" in event["seed_results"][0]
    assert "cost" in event["seed_results"][0]


# 4


@pytest.mark.asyncio
async def test_policy_change_events_recorded(mock_llm_client: MockClient) -> None:
    config = create_test_experiment_config_with_llm(max_iterations=2)

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )
    loop._llm_client = mock_llm_client

    await loop.run()

    events = list(loop._state_provider.get_all_events())
    policy_events = [e for e in events if e["event_type"] == "policy_change"]

    assert len(policy_events) > 0
    assert "agent_id" in policy_events[0]
    assert "old_cost" in policy_events[0]
    assert "new_cost" in policy_events[0]
    assert "accepted" in policy_events[0]


@pytest.mark.asyncio
async def test_policy_rejected_events_recorded(mock_llm_returns_invalid: MockClient) -> None:
    config = create_test_experiment_config_with_constraints(max_iterations=1)

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )
    loop._llm_client = mock_llm_returns_invalid

    await loop.run()

    events = list(loop._state_provider.get_all_events())
    rejected_events = [e for e in events if e["event_type"] == "policy_rejected"]

    assert len(rejected_events) > 0
    assert "agent_id" in rejected_events[0]
    assert "rejection_reason" in rejected_events[0]


# 5


@pytest.mark.asyncio
async def test_experiment_end_event_recorded() -> None:
    config = create_test_experiment_config(max_iterations=2)

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )

    await loop.run()

    events = list(loop._state_provider.get_all_events())
    end_events = [e for e in events if e["event_type"] == "experiment_end"]

    assert len(end_events) == 1
    assert "final_cost" in end_events[0]
    assert "converged" in end_events[0]


@pytest.mark.asyncio
async def test_final_result_accessible() -> None:
    config = create_test_experiment_config(max_iterations=2)

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
    )

    await loop.run()

    result = loop._state_provider.get_final_result()
    assert result is not None
    assert "final_cost" in result
    assert "best_cost" in result
    assert "converged" in result
    assert isinstance(result["final_cost"], int)


# 6


def test_runner_exposes_state_provider() -> None:
    config = create_test_experiment_config()

    runner = GenericExperimentRunner(
        config=config,
        config_dir=Path("."),
    )

    assert hasattr(runner, "state_provider")


@pytest.mark.asyncio
async def test_display_with_live_provider() -> None:
    config = create_test_experiment_config(max_iterations=1)
    verbose_config = VerboseConfig.all_enabled()

    loop = OptimizationLoop(
        config=config,
        config_dir=get_test_config_dir(),
        verbose_config=verbose_config,
    )

    await loop.run()

    stream = StringIO()
    console = Console(file=stream)
    display_experiment_output(loop._state_provider, console, verbose_config)

    output = stream.getvalue()
    assert config.name in output
    assert "Iteration" in output


# 7


@pytest.mark.asyncio
async def test_run_replay_identity(tmp_path: Path) -> None:
    config = create_test_experiment_config(
        output_directory=str(tmp_path),
        output_database="test.db",
        max_iterations=2,
    )
    verbose_config = VerboseConfig.all_enabled()

    runner = GenericExperimentRunner(
        config=config,
        verbose_config=verbose_config,
        config_dir=get_test_config_dir(),
    )
    await runner.run()

    assert runner.state_provider is not None
    run_stream = StringIO()
    display_experiment_output(runner.state_provider, Console(file=run_stream), verbose_config)
    run_output = run_stream.getvalue()

    db_path = tmp_path / "test.db"
    repo = ExperimentRepository(db_path)
    assert runner._run_id is not None
    db_provider = repo.as_state_provider(runner._run_id)

    replay_stream = StringIO()
    display_experiment_output(db_provider, Console(file=replay_stream), verbose_config)
    replay_output = replay_stream.getvalue()

    run_lines = [line for line in run_output.split("\n") if "Duration" not in line]
    replay_lines = [line for line in replay_output.split("\n") if "Duration" not in line]

    assert run_lines == replay_lines
    assert len(run_lines) > 5
