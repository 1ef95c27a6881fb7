"""A run directory as files: what is read of a run that is whole, one that is damaged and one in progress."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.events import common
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.store import file_tree
from exprec.recorder.store.run_directory import RunDirectory, Summary
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import WorkRun
from tests.fixtures.events import EXAMPLES, EXCHANGE

FAILED = common.EXPERIMENT_FAILED.event_type


def recorded(store: Store, *, ask: bool = True) -> WorkRun:
    recording = store.begin("a command", layout.COMMAND_RUN, {"name": "a command"})
    for _ in range(3):
        recording.events.append(FAILED, *EXAMPLES[FAILED])
    if ask:
        recording.exchanges.append(EXCHANGE)
    recording.write_output("stdout", b"out\n")
    source = store.path.parent / "source"
    source.write_bytes(b"123")
    recording.artifacts.add("a/b.txt", source)
    return recording


def sealed(store: Store, *, ask: bool = True) -> RunDirectory:
    counts = {"events": 3, "iterations": 0, "by_type": {FAILED: 3}}
    done = recorded(store, ask=ask).seal(Summary("failed", counts, None, EXAMPLES[FAILED][1]))
    return RunDirectory(done.path)


def change(run: RunDirectory, file: str, data: bytes) -> RunDirectory:
    """The same run with another content of a file, looked at anew."""
    (run.path / file).write_bytes(data)
    return RunDirectory(run.path)


def change_head(run: RunDirectory, **changes: Any) -> RunDirectory:
    head = json.loads((run.path / layout.RUN_FILE).read_bytes())
    return change(run, layout.RUN_FILE, canonical_json.encode({**head, **changes}, indent=True))


def test_what_is_read_of_a_whole_run(store: Store) -> None:
    run = sealed(store)
    assert (run.is_sealed, run.run_id, run.status) == (True, run.path.name, "failed")
    assert (run.name, run.type, run.config) == ("a command", layout.COMMAND_RUN, {"name": "a command"})
    assert [entry.event["seq"] for entry in run.reader().entries()] == [0, 1, 2]
    assert [exchange["index"] for exchange in run.exchanges()] == [0]
    assert sorted(run.schemas) == ["event.experiment_failed.v1", "exchange.v2"]
    assert run.output("stdout") == run.path / "stdout"
    assert run.output("stderr") is None
    assert run.other_files() == {"artifacts/a/b.txt": 3, "stdout": 4}


def test_what_is_read_of_a_run_in_progress(store: Store) -> None:
    recording = recorded(store)
    run = RunDirectory(recording.folder)
    assert (run.is_sealed, run.run_id, run.status) == (False, recording.folder.name, "running")
    assert (run.name, run.type, run.schemas) == ("a command", layout.COMMAND_RUN, {})
    assert len(list(run.reader().entries())) == 3
    assert len(run.exchanges()) == 1
    assert set(run.other_files()) == {"stdout", "artifacts/a/b.txt"}
    # A head in the work folder is a seal that was cut off.
    (run.path / layout.RUN_FILE).write_text("{")
    assert not RunDirectory(run.path).is_sealed
    recording.close()


def test_what_is_not_there_yet_is_nothing(tmp_path: Path) -> None:
    folder = tmp_path / layout.WORK_FOLDER / "new"
    folder.mkdir(parents=True)
    run = RunDirectory(folder)
    assert (run.name, run.type, run.status, run.work_head) == ("", "generic", "interrupted", {})
    assert list(run.reader().entries()) == []
    assert run.exchanges() == []
    assert run.other_files() == {}
    assert run.output("stdout") is None
    gone = RunDirectory(folder / "gone")
    assert list(gone.reader().entries()) == []
    with pytest.raises(StorageFailure):
        gone.other_files()


def test_a_run_without_exchanges_has_no_file_of_them(store: Store) -> None:
    run = sealed(store, ask=False)
    assert run.exchanges() == []
    with pytest.raises(Damaged, match="records None"):
        change(run, layout.EXCHANGES_FILE, b"").exchanges()


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (b'{"name":"a","type":"b","format":1,"more":[1],"none":null}', {"name": "a", "type": "b", "format": 1}),
        (b"[1]", {}),
    ],
)
def test_of_the_head_beside_a_work_folder_names_and_numbers_are_taken(
    tmp_path: Path, head: bytes, known: dict[str, Any]
) -> None:
    folder = tmp_path / layout.WORK_FOLDER / "new"
    folder.mkdir(parents=True)
    folder.with_name(f"new{layout.WORK_HEAD_SUFFIX}").write_bytes(head)
    assert RunDirectory(folder).work_head == known


@pytest.mark.parametrize(
    ("file", "data", "ask", "reason"),
    [
        ("run.json", b"{", lambda run: run.head, "not JSON"),
        ("run.json", b"[]", lambda run: run.head, "must be"),
        ("run.json", b'{"format":2}', lambda run: run.head, "format 2 is newer than this version of exprec knows"),
        ("run.json", b'{"format":1}', lambda run: run.head, "this key is required and missing"),
        ("config.json", b"[]", lambda run: run.config, "must be a JSON object"),
        ("schemas.json", b"[]", lambda run: run.schemas, "must be a JSON object"),
        ("events.jsonl", b"{}\n", lambda run: run.reader(), "has 3 bytes where run.json records"),
        ("exchanges.jsonl", b"", lambda run: run.exchanges(), "has 0 bytes where run.json records"),
        ("stdout", b"", lambda run: run.output("stdout"), "has 0 bytes where run.json records 4"),
        ("artifacts/a/b.txt", b"", lambda run: run.other_files(), "has 0 bytes where run.json records 3"),
    ],
)
def test_damage_is_told_with_its_file(
    store: Store, file: str, data: bytes, ask: Callable[[RunDirectory], object], reason: str
) -> None:
    run = change(sealed(store), file, data)
    with pytest.raises(Damaged) as raised:
        ask(run)
    assert raised.value.path == run.path / file
    assert reason in raised.value.reason


@pytest.mark.parametrize("file", ["run.json", "config.json", "schemas.json", "events.jsonl", "exchanges.jsonl"])
@pytest.mark.parametrize("instead", ["nothing", "a folder", "a link", "a pipe"])
def test_what_is_no_file_is_not_read(store: Store, tmp_path: Path, file: str, instead: str) -> None:
    run = sealed(store)
    path = run.path / file
    kept = tmp_path / "kept"
    path.rename(kept)
    if instead == "a folder":
        path.mkdir()
    elif instead == "a link":
        path.symlink_to(kept)
    elif instead == "a pipe":
        os.mkfifo(path)
    ask = {
        "run.json": lambda: run.head,
        "config.json": lambda: run.config,
        "schemas.json": lambda: run.schemas,
        "events.jsonl": run.reader,
        "exchanges.jsonl": run.exchanges,
    }[file]
    if (file, instead) == ("run.json", "nothing"):
        # Without a head a folder is no run that was sealed.
        assert not run.is_sealed
    with pytest.raises(Damaged) as raised:
        ask()
    missing = "No such file or directory" if file.endswith("jsonl") else "the file is missing"
    said = {"a folder": "a folder", "a link": "a symbolic link", "a pipe": "a special file"}
    assert raised.value.path == path
    assert raised.value.reason == (f"must be a file, and is {said[instead]}" if instead in said else missing)


def test_a_log_of_the_recorded_size_may_be_torn(store: Store) -> None:
    run = sealed(store)
    data = (run.path / layout.EVENTS_FILE).read_bytes()
    with pytest.raises(Damaged) as raised:
        change(run, layout.EVENTS_FILE, data[:-1] + b" ").reader()
    assert (raised.value.path, raised.value.reason) == (run.path / layout.EVENTS_FILE, "the last line is torn")


def test_a_forged_head_does_not_lead_out_of_the_run(store: Store) -> None:
    run = sealed(store)
    files = {**run.head["files"], "artifacts/../../secret": run.head["files"]["stdout"]}
    assert set(change_head(run, files=files).other_files()) == {"stdout", "artifacts/a/b.txt"}
    folder = run.path / "artifacts"
    folder.rename(store.path.parent / "elsewhere")
    folder.symlink_to(store.path.parent / "elsewhere")
    with pytest.raises(Damaged) as raised:
        RunDirectory(run.path).other_files()
    assert (raised.value.path, raised.value.reason) == (folder, "must be a folder, and is a symbolic link")


def test_what_was_removed_meanwhile_has_no_records(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at a file and its opening another process sealed the run."""
    recording = recorded(store)
    path = recording.folder / layout.EVENTS_FILE

    def removed(*_: object) -> int:
        path.unlink()
        return 1

    monkeypatch.setattr(file_tree, "plain_size", removed)
    assert list(RunDirectory(recording.folder).reader().entries()) == []
    recording.close()


def test_a_copy_goes_by_its_content_and_a_link_by_where_it_leads(store: Store, tmp_path: Path) -> None:
    run = sealed(store)
    link, copy = tmp_path / "link", tmp_path / "copy"
    link.symlink_to(run.path)
    assert RunDirectory(link).run_id == run.run_id
    run.path.rename(copy)
    assert RunDirectory(copy).run_id == run.path.name
    (copy / "more").write_text("x")
    assert RunDirectory(copy).run_id != run.path.name


def test_only_a_run_that_is_not_sealed_may_end_where_power_was_lost(store: Store) -> None:
    recording = recorded(store)
    recording.close()
    for file in (layout.EVENTS_FILE, layout.EXCHANGES_FILE):
        with (recording.folder / file).open("ab") as log:
            log.write(b"\0\0\n\n")
    run = RunDirectory(recording.folder)
    assert len(list(run.reader().entries())) == 3
    assert len(run.exchanges()) == 1
    whole = sealed(store)
    for file, ask in (
        (layout.EVENTS_FILE, lambda: list(whole.reader().entries())),
        (layout.EXCHANGES_FILE, whole.exchanges),
    ):
        data = (whole.path / file).read_bytes()
        (whole.path / file).write_bytes(b"\0" + data[1:])
        with pytest.raises(Damaged, match="not JSON") as raised:
            ask()
        assert (raised.value.path, raised.value.line) == (whole.path / file, 1)


def test_what_the_system_refuses_is_a_failure_of_storage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sealed(store)

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(file_tree, "plain_size", refused)
    with pytest.raises(StorageFailure, match="Permission denied") as log:
        run.reader()
    assert log.value.path == run.path / layout.EVENTS_FILE
    monkeypatch.setattr(file_tree, "read_whole", refused)
    with pytest.raises(StorageFailure, match="Permission denied") as config:
        _ = run.config
    assert config.value.path == run.path / layout.CONFIG_FILE
    monkeypatch.setattr(file_tree, "file_names", refused)
    work = RunDirectory(run.path.parent / layout.WORK_FOLDER / "x")
    with pytest.raises(StorageFailure, match="Permission denied") as folder:
        work.other_files()
    assert folder.value.path == work.path


def test_of_a_sealed_run_nothing_may_be_removed_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = sealed(store)
    path = run.path / layout.EVENTS_FILE
    size = path.stat().st_size

    def removed(*_: object) -> int:
        path.unlink()
        return size

    monkeypatch.setattr(file_tree, "plain_size", removed)
    with pytest.raises(StorageFailure, match="No such file"):
        run.reader()
