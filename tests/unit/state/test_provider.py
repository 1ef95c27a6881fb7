"""Live and stored providers give the same answers, because both fold the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.events import Event, EventTypes, common, event_fields, optimization
from exprec.recorder.state.protocol import ExperimentStateProviderProtocol
from exprec.recorder.state.provider import DatabaseStateProvider, LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.events import EXAMPLES
from tests.fixtures.runs import seal


def _record(provider: LiveStateProvider) -> None:
    provider.record_event(
        0, optimization.EXPERIMENT_START.event_type, EXAMPLES[optimization.EXPERIMENT_START.event_type][1]
    )
    for iteration in (1, 2, 3):
        costs = {"BANK_A": 100 * iteration, "BANK_B": -5}
        provider.record_event(
            iteration, optimization.ITERATION_START.event_type, {"total_cost": 7, "costs_per_agent": costs}
        )
        provider.record_event(
            iteration, optimization.POLICY_CHANGE.event_type, EXAMPLES[optimization.POLICY_CHANGE.event_type][1]
        )
        provider.record_iteration(iteration - 1, costs, {"BANK_A": iteration == 2}, {"BANK_A": {"n": iteration}})
    provider.set_final_result(final_cost=295, best_cost=95, converged=True, convergence_reason="cost_stability")


def _answers(provider: ExperimentStateProviderProtocol) -> dict[str, Any]:
    return {
        "info": {key: value for key, value in provider.get_experiment_info().items() if key != "run_id"},
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
    sealed = seal(live)
    assert _answers(live) == before
    stored = DatabaseStateProvider(RunDirectory(sealed.path))
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
        optimization.ITERATION_START.event_type,
        optimization.POLICY_CHANGE.event_type,
        optimization.ITERATION_END.event_type,
    ]
    for index in (-1, 3):
        with pytest.raises(IndexError, match="3 iterations"):
            provider.get_iteration_events(index)


def test_an_iteration_that_runs_has_costs_and_no_policies_yet() -> None:
    provider = LiveStateProvider("two banks", "generic", {}, "work")
    provider.record_event(1, optimization.ITERATION_START.event_type, {"total_cost": 3, "costs_per_agent": {"A": 3}})
    assert provider.get_iteration_costs(0) == {"A": 3}
    assert provider.get_iteration_policies(0) == {}
    assert provider.get_iteration_accepted_changes(0) == {}
    assert provider.get_final_result() is None
    assert provider.get_run_metadata()["status"] == "running"
    assert provider.run_id == "work"


def test_the_answers_are_what_was_recorded(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    live = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    _record(live)
    kinds = {
        optimization.ITERATION_START.event_type: 3,
        optimization.POLICY_CHANGE.event_type: 3,
        optimization.ITERATION_END.event_type: 3,
    }
    expected = {
        "run_id": live.run_id,
        "status": "completed",
        "failure": None,
        "events": 11,
        "iterations": 3,
        "by_type": dict(
            sorted(
                {
                    **kinds,
                    optimization.EXPERIMENT_START.event_type: 1,
                    optimization.EXPERIMENT_END.event_type: 1,
                }.items()
            )
        ),
    }
    result = {
        "final_cost": 295,
        "best_cost": 95,
        "converged": True,
        "convergence_reason": "cost_stability",
        "num_iterations": 3,
        "proposals": {"usable": 3, "rejected": 0, "failed": 0},
    }
    info = {"experiment_type": "generic", **EXAMPLES[optimization.EXPERIMENT_START.event_type][1]}
    assert live.get_run_metadata() == expected
    sealed = seal(live)
    for provider in (live, DatabaseStateProvider(RunDirectory(sealed.path))):
        assert provider.get_run_metadata() == {**expected, "run_id": sealed.run_id}
        assert provider.get_final_result() == result
        assert provider.get_experiment_info() == {**info, "run_id": sealed.run_id}


def test_what_the_log_does_not_say_of_the_experiment_its_folder_does(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    live = LiveStateProvider("a", "b", recording=store.begin("a", "b", {}))
    stored = DatabaseStateProvider(RunDirectory(store.path / ".work" / str(live.run_id)))
    for provider in (live, stored, LiveStateProvider("a", "b")):
        assert provider.get_experiment_info() == {
            "experiment_name": "a",
            "experiment_type": "b",
            "run_id": provider.run_id,
        }
        assert provider.get_total_iterations() == 0
        assert provider.get_run_metadata()["status"] == "running"
    assert stored.get_run_metadata()["run_id"] == live.run_id
    memory = LiveStateProvider("a")
    assert memory.get_run_metadata()["run_id"] == memory.run_id == LiveStateProvider("a").run_id
    assert memory.run_id != LiveStateProvider("b").run_id
    live.close()


def test_an_iteration_shows_its_convergence_where_there_is_a_criterion() -> None:
    provider = LiveStateProvider("two banks")
    shown = {"criterion": "cost_stability", "met": False}
    provider.record_iteration(0, {"A": 3}, {}, {}, shown)
    provider.record_iteration(1, {"A": 3}, {}, {})
    first, second = provider.get_all_events()
    assert first["convergence"] == shown
    assert "convergence" not in second


def test_a_run_that_is_no_optimisation_ends_with_its_result_or_its_failure() -> None:
    done, failed = LiveStateProvider("training"), LiveStateProvider("training")
    done.record_end({"accuracy": 0.9})
    failed.record_failure("ValueError", "no data")
    (end,), (failure,) = done.get_all_events(), failed.get_all_events()
    assert end == {"seq": 0, "event_type": common.RUN_END.event_type, "iteration": 0, "accuracy": 0.9}
    assert event_fields(failure) == {"error_type": "ValueError", "message": "no data"}
    assert (failure["event_type"], failure["iteration"]) == (common.EXPERIMENT_FAILED.event_type, 0)
    assert (done.get_final_result(), done.get_run_metadata()["status"]) == ({"accuracy": 0.9}, "completed")
    assert (failed.get_final_result(), failed.get_run_metadata()["status"]) == (None, "failed")
    assert failed.get_run_metadata()["failure"] == {"error_type": "ValueError", "message": "no data"}


def test_a_run_in_memory_is_not_sealed_and_may_be_closed() -> None:
    provider = LiveStateProvider("two banks")
    assert provider.seal() is None
    provider.close()
    assert provider.is_sealed is False


def test_the_display_templates_are_those_of_declared_types(tmp_path: Path) -> None:
    own = {"properties": {"loss": {"type": "number"}}, "x-exprec-display": "loss {loss}"}
    store = Store.open_or_create(tmp_path / "runs")
    recording = store.begin("training", "python", {}, types=EventTypes({"epoch": own}))
    live = LiveStateProvider("training", recording=recording)
    live.record_event(1, "epoch", {"loss": 0.5})
    live.record_end({})
    sealed = seal(live)
    stored = DatabaseStateProvider(RunDirectory(sealed.path))
    templates = live.get_display_templates(), stored.get_display_templates()
    assert [{name: each.render({"loss": 0.5}) for name, each in found.items()} for found in templates] == [
        {"epoch": "loss 0.5"}
    ] * 2


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
    returned = provider.record_event(1, optimization.ITERATION_START.event_type, given)
    assert heard == [returned]
    assert heard[0]["costs_per_agent"] is not given["costs_per_agent"]
    assert on_disk[0].endswith(b'"total_cost":3}\n')
    provider.close()


def test_a_failed_run_has_a_failure_and_no_result(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    provider = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    provider.record_event(0, common.EXPERIMENT_FAILED.event_type, {"error_type": "SimulationError", "message": "no"})
    assert provider.get_run_metadata()["status"] == "failed"
    sealed = seal(provider)
    head = RunDirectory(sealed.path).head
    assert head["status"] == "failed"
    assert head["result"] is None
    assert head["failure"] == {"error_type": "SimulationError", "message": "no"}


def test_a_torn_tail_of_an_unsealed_run_is_reported(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    provider = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    provider.record_event(1, optimization.ITERATION_START.event_type, {"total_cost": 3, "costs_per_agent": {"A": 3}})
    provider.close()
    assert provider.run_id is not None
    folder = store.path / ".work" / provider.run_id
    with (folder / "events.jsonl").open("ab") as log:
        log.write(b'{"seq":1,"ev')
    stored = DatabaseStateProvider(RunDirectory(folder))
    assert len(list(stored.get_all_events())) == 1
    assert stored.torn_bytes == 12
    stored.get_iteration_events(0)
    assert stored.torn_bytes == 12


def test_policies_of_another_kind_than_today_are_none(tmp_path: Path) -> None:
    folder = tmp_path / ".work" / "run"
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(b'{"event_type":"iteration_end","iteration":1,"policies":[1],"seq":0}\n')
    assert DatabaseStateProvider(RunDirectory(folder)).get_iteration_policies(0) == {}
