"""Live and stored providers give the same answers, because both fold the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprec.recorder import events
from exprec.recorder.events import Event
from exprec.recorder.state.protocol import ExperimentStateProvider
from exprec.recorder.state.provider import LiveStateProvider, StoredStateProvider
from exprec.recorder.store.rundir import RunDirectory
from exprec.recorder.store.store import Store
from tests.event_examples import EXAMPLES


def _record(provider: LiveStateProvider) -> None:
    provider.record_event(0, events.EXPERIMENT_START, EXAMPLES[events.EXPERIMENT_START][1])
    for iteration in (1, 2, 3):
        costs = {"BANK_A": 100 * iteration, "BANK_B": -5}
        provider.record_event(iteration, events.ITERATION_START, {"total_cost": 7, "costs_per_agent": costs})
        provider.record_event(iteration, events.POLICY_CHANGE, EXAMPLES[events.POLICY_CHANGE][1])
        provider.record_iteration(iteration, costs, {"BANK_A": iteration == 2}, {"BANK_A": {"n": iteration}})
    provider.record_final_result(final_cost=295, best_cost=95, converged=True, convergence_reason="cost_stability")


def _answers(provider: ExperimentStateProvider) -> dict[str, Any]:
    return {
        "info": provider.get_experiment_info(),
        "events": list(provider.get_all_events()),
        "iterations": [
            (
                provider.get_iteration_events(index),
                provider.get_iteration_policies(index),
                provider.get_iteration_costs(index),
                provider.get_iteration_accepted_changes(index),
            )
            for index in range(provider.get_total_iterations())
        ],
        "final": provider.get_final_result(),
        "metadata": {key: value for key, value in provider.get_run_metadata().items() if key != "run_id"},
    }


def test_every_answer_is_the_same_live_stored_and_in_memory(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    live = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    _record(live)
    before = _answers(live)
    sealed = live.seal()
    assert sealed is not None
    assert _answers(live) == before
    stored = StoredStateProvider(RunDirectory(sealed.path))
    assert _answers(stored) == before
    memory = LiveStateProvider("two banks")
    _record(memory)
    assert _answers(memory) == before
    assert live.run_id == stored.run_id == sealed.run_id
    assert live.is_sealed
    assert stored.is_sealed
    assert not memory.is_sealed


def test_positions_of_iterations_count_from_0_and_their_numbers_from_1() -> None:
    provider = LiveStateProvider("two banks")
    _record(provider)
    assert provider.get_total_iterations() == 3
    assert provider.get_iteration_costs(0) == {"BANK_A": 100, "BANK_B": -5}
    assert provider.get_iteration_policies(2) == {"BANK_A": {"n": 3}}
    assert provider.get_iteration_accepted_changes(1) == {"BANK_A": True}
    assert {event["iteration"] for event in provider.get_iteration_events(1)} == {2}
    assert [event["event_type"] for event in provider.get_iteration_events(1)] == [
        events.ITERATION_START,
        events.POLICY_CHANGE,
        events.ITERATION_END,
    ]
    for index in (-1, 3):
        with pytest.raises(IndexError, match="3 iterations"):
            provider.get_iteration_events(index)


def test_an_iteration_that_runs_has_costs_and_no_policies_yet() -> None:
    provider = LiveStateProvider("two banks", "generic", "work")
    provider.record_event(1, events.ITERATION_START, {"total_cost": 3, "costs_per_agent": {"A": 3}})
    assert provider.get_iteration_costs(0) == {"A": 3}
    assert provider.get_iteration_policies(0) == {}
    assert provider.get_iteration_accepted_changes(0) == {}
    assert provider.get_final_result() is None
    assert provider.get_run_metadata()["status"] == "running"
    assert provider.run_id == "work"


def test_the_listener_gets_what_was_decoded_from_the_log_after_it_is_there(tmp_path: Path) -> None:
    heard: list[Event] = []
    on_disk: list[bytes] = []
    store = Store.open_or_create(tmp_path / "runs")
    recording = store.begin("two banks", "generic", {})

    def listen(event: Event) -> None:
        heard.append(event)
        on_disk.append((recording.folder / "events.jsonl").read_bytes())

    provider = LiveStateProvider("two banks", recording=recording, listener=listen)
    given = {"total_cost": 3, "costs_per_agent": {"A": 3}}
    returned = provider.record_event(1, events.ITERATION_START, given)
    assert heard == [returned]
    assert heard[0]["costs_per_agent"] is not given["costs_per_agent"]
    assert on_disk[0].endswith(b'"total_cost":3}\n')
    provider.close()


def test_a_failed_run_has_a_failure_and_no_result(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    provider = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    provider.record_event(0, events.EXPERIMENT_FAILED, {"error_type": "SimulationError", "message": "no"})
    assert provider.get_run_metadata()["status"] == "failed"
    sealed = provider.seal()
    assert sealed is not None
    head = RunDirectory(sealed.path).head
    assert head["status"] == "failed"
    assert head["result"] is None
    assert head["failure"] == {"error_type": "SimulationError", "message": "no"}


def test_a_torn_tail_of_an_unsealed_run_is_reported(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    provider = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    provider.record_event(1, events.ITERATION_START, {"total_cost": 3, "costs_per_agent": {"A": 3}})
    provider.close()
    assert provider.run_id is not None
    folder = store.path / ".work" / provider.run_id
    with (folder / "events.jsonl").open("ab") as log:
        log.write(b'{"seq":1,"ev')
    stored = StoredStateProvider(RunDirectory(folder))
    assert len(list(stored.get_all_events())) == 1
    assert stored.torn_bytes == 12
    stored.get_iteration_events(0)
    assert stored.torn_bytes == 12
