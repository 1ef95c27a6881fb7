"""The names, signatures and fields that the plan fixes beside its tests."""

from __future__ import annotations

import asyncio
import inspect
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exprec import recorder
from exprec.recorder import (
    DatabaseStateProvider,
    ExperimentConfig,
    ExperimentRepository,
    GenericExperimentRunner,
    LiveStateProvider,
    OptimizationLoop,
    Store,
    VerboseConfig,
    display_experiment_output,
    find_run,
)
from exprec.recorder.errors import InvalidEvent, InvalidInput, ModelUnavailable, NotAStore
from tests.fixtures.experiments import mapping, of_type, policy
from tests.fixtures.public_names import OF_THE_PLAN

REQUIRED_FIELDS = {
    "experiment_start": ("experiment_name", "max_iterations", "model"),
    "iteration_start": ("iteration", "total_cost"),
    "bootstrap_evaluation": ("seed_results", "mean_cost", "std_cost"),
    "llm_call": ("agent_id", "model", "prompt_tokens", "completion_tokens", "latency_seconds"),
    "policy_change": ("agent_id", "old_policy", "new_policy", "old_cost", "new_cost", "accepted"),
    "policy_rejected": ("agent_id", "rejection_reason", "validation_errors"),
    "experiment_end": ("final_cost", "converged", "convergence_reason", "num_iterations", "best_cost"),
}
FRACTION = {"name": "initial_liquidity_fraction", "param_type": "float", "min_value": 0.0, "max_value": 0.5}


class Client:
    """Answers with the next of its answers, the last one for ever; raises an answer that is an exception."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[dict[str, Any]] = []

    async def generate_policy(self, **request: Any) -> Any:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def loop_with(client: Client, **changes: Any) -> OptimizationLoop:
    config = ExperimentConfig.from_mapping(mapping(llm__model="openai:gpt-4o", **changes), Path())
    loop = OptimizationLoop(config)
    loop._llm_client = client
    return loop


@pytest.fixture
def every_type(no_api_key: None) -> LiveStateProvider:
    """The state of an experiment with each of the seven event types."""
    client = Client(policy(0.9), policy(0.1))
    loop = loop_with(
        client,
        evaluation__mode="bootstrap",
        evaluation__num_samples=3,
        llm__max_retries=0,
        policy_constraints={"allowed_parameters": [FRACTION]},
    )
    asyncio.run(loop.run())
    return loop.state_provider


@pytest.mark.parametrize("name", sorted(OF_THE_PLAN))
def test_the_name_is_public(name: str) -> None:
    assert name in dir(recorder)
    assert hasattr(recorder, name)


def test_the_signatures_are_those_of_the_plan() -> None:
    def parameters(function: Any) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(OptimizationLoop)[:4] == ["config", "config_dir", "verbose_config", "run_id"]
    assert parameters(LiveStateProvider)[:4] == ["experiment_name", "experiment_type", "config", "run_id"]
    assert parameters(LiveStateProvider.record_event) == ["self", "iteration", "event_type", "event_data"]
    assert parameters(LiveStateProvider.record_iteration)[:5] == [
        "self",
        "iteration",
        "costs_per_agent",
        "accepted_changes",
        "policies",
    ]
    assert parameters(LiveStateProvider.set_final_result) == [
        "self",
        "final_cost",
        "best_cost",
        "converged",
        "convergence_reason",
    ]
    assert parameters(ExperimentRepository) == ["path"]
    assert {"config", "config_dir", "verbose_config"} <= set(parameters(GenericExperimentRunner))


def test_a_provider_in_memory_records_what_the_plan_records() -> None:
    provider = LiveStateProvider(experiment_name="mine", experiment_type="generic", config={"a": 1}, run_id="abc")
    assert provider.config == {"a": 1}
    provider.record_event(iteration=1, event_type="mine", event_data={"loss": 0.5})
    provider.record_event(
        iteration=1, event_type="iteration_start", event_data={"total_cost": 5, "costs_per_agent": {"A": 5}}
    )
    provider.record_iteration(iteration=0, costs_per_agent={"A": 5}, accepted_changes={}, policies={"A": {}})
    provider.set_final_result(final_cost=5, best_cost=5, converged=False, convergence_reason="max_iterations")
    assert [event["event_type"] for event in provider.get_all_events()] == [
        "mine",
        "iteration_start",
        "iteration_end",
        "experiment_end",
    ]
    assert provider.get_iteration_policies(0) == {"A": {}}
    assert provider.get_experiment_info()["run_id"] == "abc"


def test_a_result_recorded_as_an_event_is_not_recorded_twice() -> None:
    provider = LiveStateProvider("mine")
    result = {"final_cost": 5, "best_cost": 4, "converged": True, "convergence_reason": "cost_stability"}
    provider.record_event(0, "experiment_end", {**result, "num_iterations": 1})
    provider.set_final_result(5, 4, True, "cost_stability")
    assert len(of_type(provider, "experiment_end")) == 1
    with pytest.raises(InvalidEvent, match="is 4 in the result recorded before, not 3"):
        provider.set_final_result(5, 3, True, "cost_stability")


def test_each_type_of_event_has_the_fields_of_the_plan(every_type: LiveStateProvider) -> None:
    for event_type, fields in REQUIRED_FIELDS.items():
        events = of_type(every_type, event_type)
        assert events, event_type
        for event in events:
            assert set(fields) <= event.keys(), event_type


def test_each_type_of_event_has_its_display_function(every_type: LiveStateProvider) -> None:
    for event_type in REQUIRED_FIELDS:
        display = getattr(recorder, f"display_{event_type}")
        event = of_type(every_type, event_type)[0]
        stream, whole = StringIO(), StringIO()
        display(event, Console(file=stream, width=100))
        display_experiment_output(every_type, Console(file=whole, width=100), VerboseConfig.all_enabled())
        assert stream.getvalue().strip("\n") != ""
        assert stream.getvalue() in whole.getvalue()
    with pytest.raises(ValueError, match="display_experiment_start prints events of type experiment_start, not"):
        recorder.display_experiment_start(event, Console(file=StringIO()))


def test_the_output_has_the_width_and_the_colors_of_the_console(every_type: LiveStateProvider) -> None:
    def printed(**options: Any) -> str:
        stream = StringIO()
        display_experiment_output(every_type, Console(file=stream, **options))
        return stream.getvalue()

    plain, colored = printed(width=40), printed(width=40, force_terminal=True, color_system="standard")
    assert max(map(len, plain.splitlines())) <= 40
    assert "\x1b[" not in plain
    assert "\x1b[32m" in colored or "\x1b[1m" in colored
    assert recorder_text(colored) == plain


def recorder_text(text: str) -> str:
    """A text without its styles."""
    from rich.text import Text

    return Text.from_ansi(text).plain.rstrip("\n") + "\n"


def test_a_client_gets_keyword_arguments_without_a_key_in_the_environment(no_api_key: None) -> None:
    client = Client(policy(0.1), '{"version": "2.0"}', policy(0.2))
    loop = loop_with(client, convergence__max_iterations=2)
    asyncio.run(loop.run())
    first, later = client.requests[0], client.requests[-1]
    assert (first["agent_id"], first["iteration"], first["attempt"], first["history"]) == ("A", 1, 1, [])
    assert first["current_policy"] == first["starting_policy"]
    assert {message["role"] for message in first["messages"]} == {"system", "user"}
    assert {"iteration", "policy", "cost", "accepted", "reason"} <= later["history"][0].keys()
    changes = of_type(loop.state_provider, "policy_change")
    assert changes
    assert {"agent_id", "old_policy", "new_policy", "old_cost", "new_cost", "accepted"} <= changes[0].keys()


def test_invalid_policies_of_a_client_are_constraint_violations(no_api_key: None) -> None:
    loop = loop_with(Client(policy(0.9)), llm__max_retries=0, policy_constraints={"allowed_parameters": [FRACTION]})
    asyncio.run(loop.run())
    (rejected, *_) = of_type(loop.state_provider, "policy_rejected")
    assert (rejected["agent_id"], rejected["rejection_reason"]) == ("A", "constraint_violation")
    assert "0.9" in rejected["validation_errors"][0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (RuntimeError("quota gone"), "quota gone"),
        (RuntimeError("<Client object at 0x7f3a5c0d1e80> is closed"), "<Client object at 0x…> is closed"),
        (RuntimeError("half of a pair: \ud83d"), "half of a pair: \\ud83d"),
        (KeyError(), "KeyError"),
        (None, "generate_policy must return a policy (a mapping, or its JSON text), not NoneType"),
        ({"x": object()}, "the policy cannot be recorded"),
    ],
)
def test_whatever_a_client_raises_is_recorded_and_the_experiment_continues(
    answer: Any, message: str, no_api_key: None
) -> None:
    loop = loop_with(Client(answer, policy(0.1)), convergence__max_iterations=2)
    result = asyncio.run(loop.run())
    (rejected,) = of_type(loop.state_provider, "policy_rejected")
    assert rejected["rejection_reason"] == "llm_error"
    assert message in rejected["validation_errors"][0]
    assert result.num_iterations == 2
    assert of_type(loop.state_provider, "policy_change")


def test_a_client_that_only_raises_is_given_up_after_three_iterations(no_api_key: None) -> None:
    loop = loop_with(Client(RuntimeError("quota gone")), convergence__max_iterations=9)
    with pytest.raises(ModelUnavailable, match="no proposal was usable for 3 iterations in a row"):
        asyncio.run(loop.run())
    assert len(of_type(loop.state_provider, "iteration_end")) == 3
    assert not of_type(loop.state_provider, "experiment_end")


def test_a_key_is_asked_for_when_the_model_is(no_api_key: None) -> None:
    config = ExperimentConfig.from_mapping(mapping(llm__model="openai:gpt-4o"), Path())
    loop = OptimizationLoop(config)
    with pytest.raises(InvalidInput, match="OPENAI_API_KEY"):
        asyncio.run(loop.run())
    assert list(loop.state_provider.get_all_events()) == []


def test_a_runner_records_in_the_output_directory_of_its_config(tmp_path: Path) -> None:
    value = mapping(output={"directory": str(tmp_path / "here")})
    runner = GenericExperimentRunner(config=ExperimentConfig.from_mapping(value, Path()), config_dir=Path())
    assert (runner.state_provider, runner._run_id) == (None, None)
    asyncio.run(runner.run())
    assert runner._run_id is not None
    provider = ExperimentRepository(tmp_path / "here").as_state_provider(runner._run_id)
    assert isinstance(provider, DatabaseStateProvider)
    assert provider.run_id == runner._run_id
    assert provider.config == ExperimentConfig.from_mapping(value, Path()).to_dict()
    assert find_run(runner._run_id, tmp_path / "here").is_sealed


def test_a_repository_is_a_store_or_a_path_in_one(tmp_path: Path) -> None:
    Store.open_or_create(tmp_path / "runs")
    ExperimentRepository(tmp_path / "runs")
    ExperimentRepository(tmp_path / "runs" / "test.db")
    with pytest.raises(NotAStore):
        ExperimentRepository(tmp_path)
