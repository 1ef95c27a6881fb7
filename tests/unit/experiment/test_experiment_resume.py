"""An interrupted run goes on to the address of one that was never interrupted, wherever it was cut off."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import ExperimentFailed, NotAsRecorded, RunInProgress, UnrecordedRequest
from exprec.recorder.events import Event
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.format import layout
from exprec.recorder.proposers.protocol import Answer, ProposalRequest
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.experiments import experiment, policy
from tests.fixtures.paths import ROOT

EVERY_EVENT = ROOT / "tests" / "data" / "every_event.yaml"
NAME = "0123456789abcdef"


@dataclass(frozen=True)
class Whole:
    """A run that was never interrupted, and each write that made it: which file, and the line."""

    run: RunDirectory
    folder: Path
    writes: tuple[tuple[str, bytes], ...]

    def cut(self, store: Path, writes: Sequence[tuple[str, bytes]]) -> RunDirectory:
        """An interrupted run of which only these writes are on the disk, in a new store."""
        Store.open_or_create(store)
        work = store / layout.WORK_FOLDER / NAME
        work.mkdir()
        (work / layout.CONFIG_FILE).write_bytes((self.run.path / layout.CONFIG_FILE).read_bytes())
        (work / layout.EVENTS_FILE).touch()
        for file, data in writes:
            with (work / file).open("ab") as stream:
                stream.write(data)
        head = {key: self.run.head[key] for key in ("format", "name", "type")}
        work.with_name(f"{NAME}.json").write_text(json.dumps(head))
        return RunDirectory(work)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return _whole(EVERY_EVENT, tmp_path_factory.mktemp("whole") / "runs")


def _whole(path: Path, store: Path) -> Whole:
    runner = GenericExperimentRunner(ExperimentConfig.load(path), None, path.parent, store=Store.open_or_create(store))
    asyncio.run(runner.run())
    assert runner.sealed is not None
    run = RunDirectory(runner.sealed.path)
    return Whole(run, path.parent, tuple(_writes(run)))


def _writes(run: RunDirectory) -> Iterator[tuple[str, bytes]]:
    exchanges = run.path / layout.EXCHANGES_FILE
    answers = iter(exchanges.read_bytes().splitlines(keepends=True) if exchanges.exists() else ())
    for entry in run.reader().entries():
        if entry.event["event_type"] == "llm_call":
            yield layout.EXCHANGES_FILE, next(answers)
        yield layout.EVENTS_FILE, entry.line


def _resumed(whole: Whole, run: RunDirectory, heard: list[Event] | None = None) -> str:
    config = ExperimentConfig.from_mapping(run.config, whole.folder)
    store = Store(run.path.parent.parent)
    listener = None if heard is None else heard.append
    runner = GenericExperimentRunner(config, None, whole.folder, store=store, listener=listener, resumed=run)
    asyncio.run(runner.run())
    assert runner.sealed is not None
    return runner.sealed.run_id


def _is_only_the_run(store: Path, whole: Whole) -> bool:
    return Store(store).run_ids() == [whole.run.run_id] and not any((store / layout.WORK_FOLDER).iterdir())


def test_a_run_goes_on_after_any_of_its_writes(tmp_path: Path, whole: Whole) -> None:
    everything = [entry.event for entry in whole.run.reader().entries()]
    assert len(whole.writes) > 25
    for count in range(len(whole.writes) + 1):
        store = tmp_path / str(count)
        heard: list[Event] = []
        assert _resumed(whole, whole.cut(store, whole.writes[:count]), heard) == whole.run.run_id, count
        assert _is_only_the_run(store, whole)
        assert heard == everything, "whoever listens hears the whole run"


def test_a_run_goes_on_after_half_of_any_of_its_writes(tmp_path: Path, whole: Whole) -> None:
    for count, (file, line) in enumerate(whole.writes):
        for torn in {1, len(line) // 2, len(line) - 1}:
            store = tmp_path / f"{count}-{torn}"
            run = whole.cut(store, [*whole.writes[:count], (file, line[:torn])])
            assert _resumed(whole, run) == whole.run.run_id, (count, torn)
            assert _is_only_the_run(store, whole)


def test_a_run_goes_on_where_power_was_lost_after_the_events_and_before_the_exchanges(
    tmp_path: Path, whole: Whole
) -> None:
    events = [write for write in whole.writes if write[0] == layout.EVENTS_FILE]
    exchanges = [write for write in whole.writes if write[0] == layout.EXCHANGES_FILE]
    assert len(exchanges) > 4
    for count in range(len(exchanges)):
        run = whole.cut(tmp_path / str(count), [*exchanges[:count], *events])
        assert _resumed(whole, run) == whole.run.run_id, count


def test_what_a_seal_left_that_was_cut_off_is_made_again(tmp_path: Path, whole: Whole) -> None:
    run = whole.cut(tmp_path / "runs", whole.writes)
    (run.path / layout.SCHEMAS_FILE).write_text("{")
    (run.path / layout.RUN_FILE).write_text("")
    assert _resumed(whole, run) == whole.run.run_id
    assert _is_only_the_run(tmp_path / "runs", whole)


def test_a_run_whose_beginning_lost_the_file_beside_its_folder_goes_on(tmp_path: Path, whole: Whole) -> None:
    run = whole.cut(tmp_path / "runs", whole.writes[:5])
    run.path.with_name(f"{NAME}.json").unlink()
    assert _resumed(whole, run) == whole.run.run_id


def test_a_run_that_reached_its_end_is_sealed_without_simulator_or_model(
    tmp_path: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = whole.cut(tmp_path / "runs", whole.writes)
    monkeypatch.setattr("exprec.recorder.experiment.loop.load_simulator", _never)
    monkeypatch.setattr("exprec.recorder.experiment.runner.load_proposer", _never)
    assert _resumed(whole, run) == whole.run.run_id


def _never(*_: object) -> None:
    raise AssertionError("nothing is to be executed")


def test_a_run_that_failed_before_its_seal_is_sealed_as_failed(tmp_path: Path) -> None:
    path = experiment(tmp_path, answers=[])
    store = Store.open_or_create(tmp_path / "runs")
    runner = GenericExperimentRunner(ExperimentConfig.load(path), None, tmp_path, store=store)
    with pytest.raises(ExperimentFailed):
        asyncio.run(runner.run())
    assert runner.sealed is not None
    run = RunDirectory(runner.sealed.path)
    whole = Whole(run, tmp_path, tuple(_writes(run)))
    cut = whole.cut(tmp_path / "other", whole.writes)
    with pytest.raises(ExperimentFailed):
        _resumed(whole, cut)
    assert _is_only_the_run(tmp_path / "other", whole)


def test_something_else_than_was_recorded_stops_it_and_changes_no_byte(tmp_path: Path, whole: Whole) -> None:
    changed = list(whole.writes[:12])
    place = next(index for index, (_, line) in enumerate(changed) if b'"iteration_start"' in line)
    line = changed[place][1]
    event = json.loads(line)
    other = line.replace(b'"total_cost":%d' % event["total_cost"], b'"total_cost":%d' % (event["total_cost"] + 1))
    changed[place] = (changed[place][0], other)
    run = whole.cut(tmp_path / "runs", [*changed, (layout.EVENTS_FILE, b'{"torn')])
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(NotAsRecorded) as caught:
        _resumed(whole, run)
    assert (caught.value.recorded, caught.value.found) == (other, line)
    assert caught.value.line == event["seq"] + 1
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before
    # Stopped, not stuck: it can be tried again.
    assert RunDirectory(run.path).status == "interrupted"


def test_a_run_in_progress_is_left_alone(tmp_path: Path, whole: Whole) -> None:
    run = whole.cut(tmp_path / "runs", whole.writes[:9])
    held = Store(tmp_path / "runs").resume(run, run.name, run.type)
    with pytest.raises(RunInProgress):
        _resumed(whole, run)
    held.close()
    assert _resumed(whole, run) == whole.run.run_id


def test_reaching_a_run_that_is_there_adds_none(tmp_path: Path, whole: Whole) -> None:
    run = whole.cut(tmp_path / "runs", whole.writes[:9])
    shutil.copytree(whole.run.path, tmp_path / "runs" / whole.run.run_id)
    assert _resumed(whole, run) == whole.run.run_id
    assert _is_only_the_run(tmp_path / "runs", whole)


class _Model:
    """A model whose every answer costs something, and whose answers differ each time it is asked."""

    is_model = True

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []

    async def propose(self, request: ProposalRequest) -> Answer:
        self.asked.append((request.iteration, request.agent_id))
        fraction = 0.5 / (len(self.asked) + 1)
        return Answer(json.dumps(policy(fraction)), 10, 20, len(self.asked) / 8)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> _Model:
    found = _Model()
    for module in ("loop", "runner"):
        monkeypatch.setattr(f"exprec.recorder.experiment.{module}.load_proposer", lambda *_: found)
    return found


def test_no_answer_of_a_model_is_asked_for_twice(tmp_path: Path, model: _Model) -> None:
    whole = _whole(experiment(tmp_path, llm__model="openai:small", convergence__max_iterations=3), tmp_path / "runs")
    asked = list(model.asked)
    exchanges = [index for index, (file, _) in enumerate(whole.writes) if file == layout.EXCHANGES_FILE]
    assert len(asked) == len(exchanges) == 6
    for count, place in enumerate(exchanges):
        # The answer just came, and the process died before the event that tells so.
        run = whole.cut(tmp_path / f"after-{count}", whole.writes[: place + 1])
        del model.asked[count + 1 :]
        assert _resumed(whole, run) == whole.run.run_id
        assert model.asked == asked


def test_a_request_that_was_not_made_then_stops_it_and_keeps_the_run(tmp_path: Path, model: _Model) -> None:
    whole = _whole(experiment(tmp_path, llm__model="openai:small", convergence__max_iterations=3), tmp_path / "runs")
    run = whole.cut(tmp_path / "cut", whole.writes[:8])
    path = run.path / layout.EXCHANGES_FILE
    path.write_bytes(path.read_bytes().replace(b"opportunity", b"lost chance"))
    with pytest.raises(UnrecordedRequest):
        _resumed(whole, run)
    assert run.path.is_dir()


def test_what_a_run_keeps_of_its_origin_is_no_part_of_it(tmp_path: Path) -> None:
    config: Any = ExperimentConfig.load(EVERY_EVENT)
    store = Store.open_or_create(tmp_path / "runs")
    recording = store.begin(config.name, "generic", config.to_dict(), origin={"folder": "/somewhere"})
    run = RunDirectory(recording.folder)
    assert run.work_head["folder"] == "/somewhere"
    assert b"somewhere" not in (run.path / layout.CONFIG_FILE).read_bytes()
    recording.close()
