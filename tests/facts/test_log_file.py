"""The log: its lines and their order, when they are durable, and how an incomplete log is read."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.errors import Damaged, InvalidEvent, StorageFailure
from exprec.recorder.events import Event, common, optimization
from exprec.recorder.events.spec import newest_schema
from exprec.recorder.format import layout
from exprec.recorder.format import lines as lines_module
from exprec.recorder.state.provider import DatabaseStateProvider, LiveStateProvider
from exprec.recorder.store.file_tree import FileSource
from exprec.recorder.store.log import LogReader
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.events import EVENT_TYPES, EXAMPLES, exchange
from tests.fixtures.files import read_json_lines
from tests.fixtures.runs import Run, begin, interrupted, work_folder

_DIES = """
import os, signal, sys
from exprec.cli.main import main
from exprec.recorder.display import EventDisplay
shown, show = [], EventDisplay.show
def show_and_die(self, event):
    show(self, event)
    shown.append(event)
    if len(shown) == 7:
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
EventDisplay.show = show_and_die
main()
"""


def _record(provider: LiveStateProvider, kind: str, iteration: int | None = None, **changes: Any) -> Event:
    usual, fields = EXAMPLES[kind]
    return provider.record_event(usual if iteration is None else iteration, kind, {**fields, **changes})


@pytest.mark.fact("F39")
def test_an_event_has_its_envelope_and_its_fields_side_by_side(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        for event in run.events:
            described = run.schemas[newest_schema(event["event_type"])]
            assert {"seq", "event_type", "iteration"} < event.keys()
            assert {*described["required"]} <= event.keys() <= described["properties"].keys()


@pytest.mark.fact("F40")
def test_seq_is_the_number_of_the_line(every_run: tuple[Run, ...], store: Store) -> None:
    for run in every_run:
        assert [event["seq"] for event in run.events] == list(range(len(run.events)))
    log = interrupted(store) / "events.jsonl"
    first, second = log.read_bytes().splitlines(keepends=True)
    for damaged in (second, first + first, second + first, first + second.replace(b'"seq":1', b'"seq":2')):
        log.write_bytes(damaged)
        with pytest.raises(Damaged, match="seq must be"):
            list(RunDirectory(log.parent).reader().entries())
    assert b"seq must be" in exprec("show", log.parent, code=5).stderr


@pytest.mark.fact("F41")
def test_iterations_count_from_1_and_never_decrease(every_run: tuple[Run, ...], store: Store) -> None:
    outside = {"experiment_start", "experiment_end", "experiment_failed"}
    for run in every_run:
        inside = [event["iteration"] for event in run.events if event["event_type"] not in outside]
        assert sorted(set(inside)) == list(range(1, run.head["counts"]["iterations"] + 1))
        assert inside == sorted(inside)
        assert {event["iteration"] for event in run.events if event["event_type"] in outside} == {0}
    provider = begin(store)
    _record(provider, optimization.ITERATION_START.event_type, 2)
    _record(provider, common.EXPERIMENT_FAILED.event_type)
    _record(provider, optimization.POLICY_CHANGE.event_type, 2)
    log = work_folder(provider, store) / "events.jsonl"
    before = log.read_bytes()
    with pytest.raises(InvalidEvent, match="iteration"):
        _record(provider, optimization.ITERATION_START.event_type, 1)
    for kind, iteration in (
        (optimization.ITERATION_START.event_type, 0),
        (optimization.EXPERIMENT_START.event_type, 3),
    ):
        with pytest.raises(InvalidEvent, match="iteration"):
            _record(provider, kind, iteration)
    assert log.read_bytes() == before
    provider.close()


@pytest.mark.fact("F42")
def test_an_event_is_checked_then_appended_then_displayed(store: Store) -> None:
    displayed: list[tuple[Event, bytes]] = []
    logs: list[Path] = []
    provider = begin(store, listener=lambda event: displayed.append((event, logs[0].read_bytes())))
    log = work_folder(provider, store) / "events.jsonl"
    logs.append(log)
    with pytest.raises(InvalidEvent, match="total_cost"):
        _record(provider, optimization.ITERATION_START.event_type, total_cost="7000")
    assert log.read_bytes() == b""
    assert displayed == []
    recorded = _record(provider, optimization.ITERATION_START.event_type)
    ((event, on_disk),) = displayed
    assert event == recorded == json.loads(on_disk)
    provider.close()


@pytest.mark.fact("F42")
def test_the_newest_schema_of_a_type_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    known = (*schemas.names(), "event.llm_call.v2", "event.llm_call.v10", "event.llm_call_more.v11")
    monkeypatch.setattr(schemas, "names", lambda: known)
    # Past its cache, which has the names of the real package.
    assert newest_schema.__wrapped__("llm_call") == "event.llm_call.v10"
    assert newest_schema.__wrapped__("iteration_start") == "event.iteration_start.v2"


@pytest.mark.fact("F43")
def test_an_event_is_one_write_to_a_file_that_only_grows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    real = os.write

    def write(handle: int, data: bytes) -> int:
        assert fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND
        written.append(bytes(data))
        return real(handle, data)

    provider = begin(store)
    monkeypatch.setattr(os, "write", write)
    for kind in EVENT_TYPES[:4]:
        _record(provider, kind)
    monkeypatch.undo()
    log = work_folder(provider, store) / "events.jsonl"
    assert written == log.read_bytes().splitlines(keepends=True)
    assert len(written) == 4
    provider.close()


@pytest.mark.fact("F43")
def test_event_that_does_not_fit_on_the_disk_leaves_no_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = begin(store)
    _record(provider, optimization.EXPERIMENT_START.event_type)
    log = work_folder(provider, store) / "events.jsonl"
    before = log.read_bytes()
    real = os.write
    room = [11]

    def full(handle: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[: room.pop()])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFailure, match="No space left"):
        _record(provider, optimization.ITERATION_START.event_type)
    monkeypatch.undo()
    assert room == []
    assert log.read_bytes() == before
    _record(provider, optimization.ITERATION_START.event_type)
    assert [event["seq"] for event in read_json_lines(log)] == [0, 1]
    provider.close()


@pytest.mark.fact("F44")
def test_a_killed_process_loses_no_event_that_it_displayed(searched: Run, tmp_path: Path) -> None:
    store = tmp_path / "runs"
    died = subprocess.run(
        [sys.executable, "-c", _DIES, "run", str(searched.experiment), "--store", str(store)],
        capture_output=True,
        check=False,
        timeout=60,
        env={key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")},
    )
    assert died.returncode == -signal.SIGKILL
    assert Store(store).run_ids() == []
    (name,) = Store(store).work_names()
    shown = exprec("show", name, "--store", store)
    assert shown.stdout == died.stdout
    assert shown.stdout.startswith(b"castro-two-period\n")
    assert b"not sealed (interrupted)" in shown.stderr
    log = (store / ".work" / name / "events.jsonl").read_bytes()
    assert log == b"".join((searched.folder / "events.jsonl").read_bytes().splitlines(keepends=True)[:7])


@pytest.mark.fact("F45")
def test_the_logs_are_on_the_disk_after_each_iteration(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = begin(store)
    folder = work_folder(provider, store)
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        inode = os.fstat(handle).st_ino
        synced.extend(path.name for path in folder.glob("*.jsonl") if path.stat().st_ino == inode)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    both = ["exchanges.jsonl", "events.jsonl"]
    for iteration in (1, 2):
        provider.record_exchange(exchange(iteration=iteration))
        for kind in (
            optimization.ITERATION_START.event_type,
            optimization.LLM_CALL.event_type,
            optimization.POLICY_CHANGE.event_type,
        ):
            _record(provider, kind, iteration)
        assert synced == []
        provider.record_iteration(iteration - 1, {"BANK_A": 1}, {"BANK_A": False}, {"BANK_A": {}})
        assert synced == both
        synced.clear()
    provider.set_final_result(1, 1, False, "max_iterations")
    assert synced == []
    provider.seal()
    assert synced[:2] == both


@pytest.mark.fact("F46")
def test_torn_line_is_not_an_event(store: Store) -> None:
    folder = interrupted(store)
    log = folder / "events.jsonl"
    whole = exprec("show", folder)
    with log.open("ab") as file:
        file.write(b'{"event_type":"iteration_end","seq":2')
    torn = exprec("show", folder)
    assert torn.stdout == whole.stdout
    assert b"torn" not in whole.stderr
    assert b"the last line is torn (37 bytes)" in torn.stderr
    # Only the newline makes it a line: with one, the same bytes are damage.
    with log.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(Damaged):
        list(RunDirectory(folder).reader().entries())


@pytest.mark.fact("F46")
def test_trailing_zeros_are_torn_except_in_a_sealed_run(store: Store, searched: Run, tmp_path: Path) -> None:
    folder = interrupted(store)
    log = folder / "events.jsonl"
    whole = exprec("show", folder)
    tail = b'{"event_type":"iteration' + bytes(3) + b'_end","seq":2}\n' + log.read_bytes()
    with log.open("ab") as file:
        file.write(tail)
    torn = exprec("show", folder)
    assert torn.stdout == whole.stdout
    assert f"the last line is torn ({len(tail)} bytes)".encode() in torn.stderr
    copy = searched.copied(tmp_path)
    sealed = copy.folder / "events.jsonl"
    data = sealed.read_bytes()
    # As many bytes as are recorded, and a newline at the end.
    sealed.write_bytes(data[:-10] + bytes(9) + b"\n")
    with pytest.raises(Damaged):
        list(RunDirectory(copy.folder).reader().entries())


@pytest.mark.fact("F47")
def test_a_sealed_log_must_be_whole(searched: Run, tmp_path: Path) -> None:
    copy = searched.copied(tmp_path)
    log = copy.folder / "events.jsonl"
    data = log.read_bytes()
    for damaged in (data[:-1], data[:-200], data + b"\n", data + data.splitlines(keepends=True)[-1], b""):
        log.write_bytes(damaged)
        with pytest.raises(Damaged, match=r"bytes where run\.json records"):
            RunDirectory(copy.folder).reader()
    log.write_bytes(data[:-1] + b" ")
    with pytest.raises(Damaged, match="the last line is torn"):
        RunDirectory(copy.folder).reader()
    exprec("show", searched.run_id, "--store", copy.store, code=5)


@pytest.mark.fact("F47")
def test_a_line_beyond_the_limit_is_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout.MAX_LINE_BYTES == 256 * 2**20
    monkeypatch.setattr(layout, "MAX_LINE_BYTES", 4000)
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 1000)
    log = interrupted(store) / "events.jsonl"
    kept = len(read_json_lines(log))
    for size, fits in ((3000, True), (9000, False)):
        with log.open("r+b") as file:
            file.truncate(sum(map(len, log.read_bytes().splitlines(keepends=True)[:kept])))
        with log.open("ab") as file:
            file.write(b'{"event_type":"big","iteration":0,"seq":2,"text":"' + b"x" * size + b'"}\n')
        reader = LogReader(FileSource(log), log)
        if fits:
            assert len(list(reader.entries())) == kept + 1
        else:
            with pytest.raises(Damaged, match="more than 4000 bytes"):
                list(reader.entries())


@pytest.mark.fact("F47")
def test_file_beyond_the_limit_is_damage(searched: Run, tmp_path: Path) -> None:
    for name in ("run.json", "config.json", "schemas.json"):
        copy = searched.copied(tmp_path / name)
        with (copy.folder / name).open("ab") as file:
            file.truncate(layout.MAX_LINE_BYTES + 1)
        run = RunDirectory(copy.folder)
        with pytest.raises(Damaged, match=f"more than {layout.MAX_LINE_BYTES}"):
            _ = run.head, run.config, run.schemas


@pytest.mark.fact("F48")
def test_an_unknown_type_is_read_but_never_written(store: Store) -> None:
    provider = begin(store)
    with pytest.raises(InvalidEvent, match="unknown event type"):
        provider.record_event(1, "weather", {"rain": True})
    provider.close()
    folder = interrupted(store)
    strange = [
        b'{"event_type":"weather","iteration":1,"rain":true,"seq":2}\n',
        b'{"event_type":"policy_change","iteration":1,"reason":"of a later version","seq":3}\n',
    ]
    with (folder / "events.jsonl").open("ab") as file:
        file.writelines(strange)
    stored = DatabaseStateProvider(RunDirectory(folder))
    assert [event["event_type"] for event in stored.get_iteration_events(0)][1:] == ["weather", "policy_change"]
    assert stored.get_run_metadata()["by_type"]["weather"] == 1
    assert exprec("show", folder, "--json").stdout.splitlines(keepends=True)[2:] == strange
    shown = exprec("show", folder).stdout.decode().splitlines()[-2:]
    assert [line.split() for line in shown] == [
        ["weather", "1", "rain", "true"],
        ["policy_change", "reason", '"of', "a", "later", 'version"'],
    ]
