"""A run in progress: what is on the disk at each of its steps, and what goes on after an interruption."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import (
    Damaged,
    InvalidEvent,
    InvalidInput,
    NotAsRecorded,
    RunInProgress,
    RunNotFound,
    SecretFound,
    StorageFailure,
)
from exprec.recorder.events import EventTypes, common, optimization
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs import durable
from exprec.recorder.fs.safe_read import open_plain
from exprec.recorder.store import work_run as recording_module
from exprec.recorder.store.run_directory import RunDirectory, Summary
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import WorkRun
from tests.fixtures.events import EXAMPLES, EXCHANGE, exchange

SECRET = "tell-nobody-of-this"
GUARD = SecretGuard({"KEY": SECRET})
COUNTS = {"events": 0, "iterations": 0, "by_type": {}}
DONE = Summary("completed", COUNTS, {"n": 1}, None)
FAILED = common.EXPERIMENT_FAILED.event_type


@pytest.fixture
def work(store: Store) -> Path:
    return store.path / layout.WORK_FOLDER


def begin(store: Store, **more: Any) -> WorkRun:
    return store.begin("two banks", "generic", {"name": "two banks"}, **more)


def resume(folder: Path) -> WorkRun:
    return WorkRun.resume(folder, "two banks", "generic", SecretGuard())


def head_of(recording: WorkRun) -> Path:
    return recording.folder.with_name(f"{recording.folder.name}{layout.WORK_HEAD_SUFFIX}")


def call(index: int) -> dict[str, Any]:
    return {**EXAMPLES[optimization.LLM_CALL.event_type][1], "exchange": index}


def test_a_run_begins_with_what_it_takes_to_go_on(store: Store) -> None:
    recording = begin(store, origin={"file": "banks.yaml"})
    assert {path.name: path.read_bytes() for path in recording.folder.iterdir()} == {
        "config.json": canonical_json.encode({"name": "two banks"}, indent=True),
        "events.jsonl": b"",
    }
    head = {"format": layout.FORMAT, "name": "two banks", "type": "generic"}
    assert head_of(recording).read_bytes() == canonical_json.encode({**head, "file": "banks.yaml"})
    assert (recording.is_resumed, recording.recorded_bytes) == (False, 0)
    assert RunDirectory(recording.folder).status == "running"
    recording.close()
    assert RunDirectory(recording.folder).status == "interrupted"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": {"a": [SECRET]}}, "config.json: a[0]"),
        ({"name": f"with {SECRET}"}, "run.json: name"),
        ({"origin": {"file": SECRET}}, "run.json: file"),
    ],
)
def test_no_secret_gets_into_what_a_run_begins_with(
    store: Store, work: Path, changes: dict[str, Any], said: str
) -> None:
    given = {"name": "two banks", "experiment_type": "generic", "config": {}, "secrets": GUARD, **changes}
    with pytest.raises(SecretFound) as raised:
        store.begin(**given)
    assert said in str(raised.value)
    assert list(work.iterdir()) == []


def test_no_secret_gets_into_the_records_nor_into_the_head(store: Store) -> None:
    recording = begin(store, secrets=GUARD)
    with pytest.raises(SecretFound, match="event experiment_failed: message"):
        recording.events.append(FAILED, 0, {"error_type": "x", "message": SECRET})
    with pytest.raises(SecretFound, match="exchange: answer"):
        recording.exchanges.append(exchange(answer=SECRET))
    with pytest.raises(SecretFound, match=r"run\.json: result\.n"):
        recording.seal(Summary("completed", COUNTS, {"n": SECRET}, None))
    assert sorted(path.name for path in recording.folder.iterdir()) == ["config.json", "events.jsonl"]
    assert RunDirectory(recording.folder).status == "interrupted"


@pytest.mark.parametrize("step", ["write_new", "Lock", "sync_folder"])
def test_what_cannot_begin_leaves_nothing_to_go_on_with(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Each call of a step fails, and all that come after it: as many times as it takes until none fails."""
    real: Callable[..., Any] = getattr(durable, step)
    for number in range(10):
        calls = iter(range(number))

        def failing(path: Path, *rest: Any, calls: Iterator[int] = calls) -> Any:
            if next(calls, None) is None:
                raise StorageFailure(path, OSError(28, "No space left on device"))
            return real(path, *rest)

        with monkeypatch.context() as patched, suppress(StorageFailure):
            patched.setattr(durable, step, failing)
            recording = begin(store)
            break
        left = list(work.iterdir())
        # Whether names are on the disk says nothing of what can be removed.
        assert step == "sync_folder" or left == []
        assert not any((path / layout.EVENTS_FILE).exists() or durable.is_locked(path) for path in left)
    assert number > 0
    recording.discard()


def test_a_run_may_declare_its_types_and_no_others(store: Store) -> None:
    recording = begin(store, types=EventTypes({"epoch": {"type": "object"}}))
    recording.events.append("epoch", 1, {})
    with pytest.raises(InvalidEvent):
        recording.events.append("measurement", 1, {})
    sealed = recording.seal(DONE)
    assert list(RunDirectory(sealed.path).schemas) == ["event.epoch.v1"]


def test_a_run_that_goes_on_must_come_to_what_was_recorded(store: Store) -> None:
    recording = begin(store)
    iteration, fields = EXAMPLES[optimization.ITERATION_START.event_type]
    line = recording.events.append(optimization.ITERATION_START.event_type, iteration, fields).line
    recording.exchanges.append(EXCHANGE)
    recording.events.append(optimization.LLM_CALL.event_type, iteration, call(0))
    with pytest.raises(RunInProgress) as held:
        resume(recording.folder)
    assert held.value.name == recording.folder.name
    recording.close()

    again = resume(recording.folder)
    assert again.is_resumed is True
    assert again.recorded_bytes == (again.folder / layout.EVENTS_FILE).stat().st_size
    with pytest.raises(NotAsRecorded):
        again.events.append(optimization.ITERATION_START.event_type, iteration, {**fields, "total_cost": 1})
    assert again.events.append(optimization.ITERATION_START.event_type, iteration, fields).line == line
    with pytest.raises(NotAsRecorded):
        again.exchanges.append(exchange(answer="another"))
    assert again.exchanges.append(EXCHANGE) == 0
    again.events.append(optimization.LLM_CALL.event_type, iteration, call(0))
    again.events.append(FAILED, *EXAMPLES[FAILED])
    again.close()
    assert len(list(RunDirectory(again.folder).reader().entries())) == 3


def test_a_run_that_is_resumed_belongs_to_the_machine_that_resumes_it(store: Store) -> None:
    recording = begin(store, origin={"host": "first", "boot": "1", "folder": "/there"})
    recording.close()
    run = RunDirectory(recording.folder)
    resumed = store.resume(run, "two banks", "generic", None, {"host": "second"})
    # Read again: the head of a run directory is read once.
    head = RunDirectory(recording.folder).work_head
    assert head == {
        "format": layout.FORMAT,
        "name": "two banks",
        "type": "generic",
        "folder": "/there",
        "host": "second",
    }
    assert durable.is_locked(head_of(recording))
    with pytest.raises(RunInProgress):
        resume(recording.folder)
    assert [path.name for path in recording.folder.parent.glob(".*")] == []
    resumed.close()
    assert not durable.is_locked(head_of(recording))
    before = head_of(recording).stat()
    store.resume(run, "two banks", "generic", None, {"host": "second"}).close()
    assert head_of(recording).stat().st_ino == before.st_ino, "nothing to write"


def test_who_waited_for_the_head_that_was_replaced_does_not_get_the_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = begin(store, origin={"host": "first"})
    recording.close()
    others: list[WorkRun] = []

    def open_and_lose(path: Path, flags: int = os.O_RDONLY) -> int:
        handle = open_plain(path, flags)
        monkeypatch.setattr(durable, "open_plain", open_plain)
        others.append(store.resume(RunDirectory(recording.folder), "two banks", "generic", None, {"host": "other"}))
        return handle

    monkeypatch.setattr(durable, "open_plain", open_and_lose)
    with pytest.raises(RunInProgress):
        resume(recording.folder)
    others[0].close()


def test_a_head_that_cannot_be_replaced_leaves_the_run_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = begin(store, origin={"host": "first"})
    recording.close()
    before = head_of(recording).read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(StorageFailure):
        store.resume(RunDirectory(recording.folder), "two banks", "generic", None, {"host": "second"})
    assert head_of(recording).read_bytes() == before
    assert not durable.is_locked(head_of(recording))
    assert [path.name for path in recording.folder.parent.glob(".*")] == []


def test_an_event_whose_exchange_is_lost_is_no_record(store: Store) -> None:
    recording = begin(store)
    recording.exchanges.append(EXCHANGE)
    recording.exchanges.append(EXCHANGE)
    kept = [recording.events.append(optimization.LLM_CALL.event_type, 1, call(number)) for number in range(2)]
    recording.events.append(FAILED, *EXAMPLES[FAILED])
    recording.close()
    exchanges = recording.folder / layout.EXCHANGES_FILE
    exchanges.write_bytes(exchanges.read_bytes()[:-1])
    again = resume(recording.folder)
    assert again.recorded_bytes == kept[0].end
    again.exchanges.append(EXCHANGE)
    again.events.append(optimization.LLM_CALL.event_type, 1, call(0))
    # Its exchange will be another, and so may it.
    assert again.exchanges.append(exchange(answer="another")) == 1
    again.events.append(optimization.LLM_CALL.event_type, 1, {**call(1), "prompt_tokens": 1})
    again.discard()


def test_a_seal_that_was_cut_off_is_made_anew(store: Store) -> None:
    recording = begin(store)
    recording.close()
    for name in (layout.SCHEMAS_FILE, layout.RUN_FILE):
        (recording.folder / name).write_text("half")
    head_of(recording).unlink()
    again = resume(recording.folder)
    assert RunDirectory(again.folder).work_head["name"] == "two banks"
    sealed = again.seal(DONE)
    assert RunDirectory(sealed.path).head["type"] == "generic"


def test_what_is_gone_cannot_go_on(store: Store, work: Path) -> None:
    recording = begin(store)
    recording.discard()
    with pytest.raises(StorageFailure):
        resume(work / "a" / "b")
    with pytest.raises(RunNotFound) as raised:
        resume(recording.folder)
    assert (raised.value.reference, raised.value.store) == (recording.folder.name, store.path)
    assert list(work.iterdir()) == []


def test_what_is_damaged_cannot_go_on_and_is_not_held(store: Store) -> None:
    recording = begin(store)
    recording.close()
    (recording.folder / layout.EVENTS_FILE).write_bytes(b"no event\n")
    for _ in range(2):
        with pytest.raises(Damaged):
            resume(recording.folder)
    assert RunDirectory(recording.folder).status == "interrupted"


def test_a_run_is_reopened_as_its_files_have_it(store: Store) -> None:
    types = EventTypes({"epoch": {"type": "object"}})
    recording = begin(store, types=types, secrets=GUARD)
    recording.events.append("epoch", 1, {"n": 1})
    again = recording.reopen()
    assert (again.is_resumed, again.folder) == (True, recording.folder)
    assert RunDirectory(again.folder).status == "running"
    with pytest.raises(SecretFound):
        again.events.append("epoch", 1, {"n": SECRET})
    again.events.append("epoch", 1, {"n": 1})
    again.events.append("epoch", 2, {"n": 2})
    sealed = again.seal(DONE)
    assert (sealed.path / layout.EVENTS_FILE).read_bytes().count(b"\n") == 2
    assert RunDirectory(sealed.path).name == "two banks"


def test_the_output_of_a_command_is_kept_as_it_comes(store: Store) -> None:
    recording = store.begin("a command", layout.COMMAND_RUN, {})
    for stream, data in (("stdout", b"a"), ("stderr", b"b\n"), ("stdout", b"c\0")):
        recording.write_output(stream, data)
        assert (recording.folder / stream).read_bytes().endswith(data)
    assert (recording.folder / "stdout").read_bytes() == b"ac\0"
    assert (recording.folder / "stderr").read_bytes() == b"b\n"
    recording.close()


def test_an_artifact_is_the_bytes_of_its_file(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(bytes(range(256)))
    recording = begin(store, secrets=GUARD)
    recording.artifacts.add("out/model.bin", source)
    recording.artifacts.add("model.bin", source, max_bytes=256)
    sealed = recording.seal(DONE)
    kept = {name: (sealed.path / name).read_bytes() for name in RunDirectory(sealed.path).other_files()}
    assert kept == {"artifacts/out/model.bin": source.read_bytes(), "artifacts/model.bin": source.read_bytes()}
    assert RunDirectory(sealed.path).head["files"]["artifacts/model.bin"]["size"] == 256


def test_what_is_no_artifact_leaves_nothing(store: Store, tmp_path: Path) -> None:
    source, secret = tmp_path / "model.bin", tmp_path / "secret"
    source.write_bytes(b"123")
    secret.write_text(f"KEY={SECRET}")
    recording = begin(store, secrets=GUARD)
    recording.artifacts.add("a/b", source)
    refused: list[tuple[str, Path, int, str]] = [
        ("a", source, 9, "the artifact 'a' cannot be kept: 'a' is a folder among the artifacts"),
        ("a/b/c", source, 9, "the artifact 'a/b/c' cannot be kept: 'b' is a file among the artifacts"),
        ("c", source, 2, "the artifact 'c' has 3 bytes, and 2 are the most"),
        ("../c", source, 9, "the artifact '../c' must be named by a relative path"),
        ("c", tmp_path / "missing", 9, "the artifact 'c' cannot be kept: there is no such file"),
    ]
    for name, path, limit, said in refused:
        with pytest.raises(InvalidInput) as raised:
            recording.artifacts.add(name, path, limit)
        assert said in str(raised.value)
        assert [problem.path for problem in raised.value.problems] == [()]
    with pytest.raises(SecretFound, match=r"^the name of an artifact"):
        recording.artifacts.add(f"of/{SECRET}", source)
    with pytest.raises(SecretFound, match=r"the artifact 'x/y'.*KEY"):
        recording.artifacts.add("x/y", secret)
    found = sorted(path.relative_to(recording.folder).as_posix() for path in recording.folder.rglob("*"))
    assert found == ["artifacts", "artifacts/a", "artifacts/a/b", "config.json", "events.jsonl"]
    recording.close()


def test_an_artifact_that_cannot_be_written_whole_is_removed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(b"123")
    recording = begin(store)

    def half(path: Path, pieces: object) -> None:
        path.write_bytes(b"1")
        raise StorageFailure(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(durable, "write_pieces", half)
    with pytest.raises(StorageFailure):
        recording.artifacts.add("a/b", source)
    assert not (recording.folder / layout.ARTIFACTS_FOLDER).exists()
    recording.close()


def test_a_sealed_run_leaves_nothing_behind_and_is_new_once(store: Store, work: Path) -> None:
    first, second = begin(store), begin(store)
    (first.folder.with_name(first.folder.name + layout.WORK_EVENTS_SUFFIX)).write_text("sent and taken")
    for recording in (first, second):
        recording.exchanges.append(EXCHANGE)
    sealed, again = first.seal(DONE), second.seal(DONE)
    assert (sealed.is_new, again.is_new) == (True, False)
    assert (sealed.run_id, sealed.path) == (again.run_id, again.path)
    assert list(work.iterdir()) == []
    run = RunDirectory(sealed.path)
    assert run.head["counts"] == {**COUNTS, "exchanges": 1}
    assert (run.head["status"], run.head["result"], run.head["failure"]) == ("completed", {"n": 1}, None)
    assert list(run.schemas) == ["exchange.v2"]


def test_another_run_at_the_address_is_damage_and_nothing_is_lost(store: Store) -> None:
    sealed = begin(store).seal(DONE)
    (sealed.path / layout.EVENTS_FILE).write_bytes(b"{}\n")
    again = begin(store)
    with pytest.raises(Damaged, match="content does not match the run id") as raised:
        again.seal(DONE)
    assert raised.value.path == sealed.path
    assert str(again.folder) in raised.value.reason
    assert RunDirectory(again.folder).status == "interrupted"
    assert (again.folder / layout.RUN_FILE).exists()


def test_a_log_that_cannot_be_synced_is_closed_and_not_held(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = begin(store)
    recording.events.append(FAILED, *EXAMPLES[FAILED])

    def failing(self: durable.AppendOnlyFile) -> None:
        raise StorageFailure(self.path, OSError(5, "Input/output error"))

    monkeypatch.setattr(durable.AppendOnlyFile, "sync", failing)
    with pytest.raises(StorageFailure):
        recording.close()
    assert RunDirectory(recording.folder).status == "interrupted"
    monkeypatch.undo()
    with pytest.raises(StorageFailure):
        # It is closed.
        recording.events.append(FAILED, *EXAMPLES[FAILED])


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_run_that_goes_before_it_is_held_is_not_found(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    recording = begin(store)
    recording.close()

    def late(path: Path) -> durable.Lock:
        if is_gone:
            durable.remove(recording.folder)
        raise StorageFailure(path, FileNotFoundError(2, "No such file or directory"))

    monkeypatch.setattr(durable, "Lock", late)
    with pytest.raises(RunNotFound if is_gone else StorageFailure) as raised:
        resume(recording.folder)
    if isinstance(raised.value, RunNotFound):
        assert (raised.value.reference, raised.value.store) == (recording.folder.name, store.path)


def test_a_run_is_sealed_though_its_work_folder_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = begin(store), begin(store)

    def refused(folder: Path) -> None:
        raise StorageFailure(folder, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(recording_module, "remove_work", refused)
    assert (first.seal(DONE).is_new, second.seal(DONE).is_new) == (True, False)
    assert second.folder.is_dir()


def test_what_cannot_be_read_at_the_address_is_not_taken_for_the_run(store: Store) -> None:
    sealed = begin(store).seal(DONE)
    (sealed.path / layout.CONFIG_FILE).unlink()
    os.mkfifo(sealed.path / layout.CONFIG_FILE)
    with pytest.raises(Damaged, match="content does not match the run id"):
        begin(store).seal(DONE)


def test_a_run_does_not_begin_where_it_could_not_be_sealed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begin(store)
    folder.close()
    stat = Path.stat

    def on_two_disks(path: Path, **options: Any) -> os.stat_result:
        found = stat(path, **options)
        if path.name != layout.WORK_FOLDER:
            return found
        return os.stat_result((found.st_mode, found.st_ino, found.st_dev + 1, *found[3:10]))

    monkeypatch.setattr(Path, "stat", on_two_disks)
    starts: list[Callable[[], WorkRun]] = [lambda: begin(store), lambda: resume(folder.folder)]
    for start in starts:
        with pytest.raises(StorageFailure, match="is on another file system than its store") as raised:
            start()
        assert raised.value.path == store.path / layout.WORK_FOLDER


@pytest.mark.parametrize("place", ["run", "head", "config.json", "events.jsonl"])
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
def test_a_run_with_a_link_or_pipe_in_it_is_not_resumed(store: Store, tmp_path: Path, place: str, kind: str) -> None:
    recording = begin(store)
    recording.close()
    path = {"run": recording.folder, "head": head_of(recording)}.get(place, recording.folder / place)
    if kind == "hard link" and place != "events.jsonl":
        pytest.skip("the file is only read")
    moved = path.rename(tmp_path / "moved")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(moved)
    else:
        os.link(moved, path)
    with pytest.raises(Damaged) as raised:
        resume(recording.folder)
    assert raised.value.path == path


def test_what_is_no_regular_file_is_not_sealed(store: Store, tmp_path: Path) -> None:
    recording = begin(store)
    (tmp_path / "secret").write_text("secret")
    (recording.folder / "artifacts").mkdir()
    (recording.folder / "artifacts" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(Damaged, match="must be a file, and is a symbolic link"):
        recording.seal(DONE)
    assert store.run_ids() == []


def test_a_store_may_be_in_a_folder_of_the_name_of_the_work_folder(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / layout.WORK_FOLDER)
    sealed = begin(store).seal(DONE)
    assert store.run(sealed.run_id).is_sealed
    assert not store.work_run(begin(store).folder.name).is_sealed
    assert store.resolve(sealed.run_id).status == "completed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_run_of_another_user_is_reproduced_in_a_sticky_store(store: Store) -> None:
    first = begin(store).seal(DONE)
    for path in (store.path, store.path / layout.WORK_FOLDER):
        path.chmod(0o1777)
    # The folders above belong to pytest's user alone.
    os.chmod(store.path.parent, 0o755)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(store.path)
            os.setuid(65534)
            code = 0 if not begin(Store(Path())).seal(DONE).is_new else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.run_ids() == [first.run_id]


@pytest.mark.parametrize("file", ["events.jsonl", "exchanges.jsonl"])
def test_a_run_that_two_processes_wrote_is_not_sealed(store: Store, file: str) -> None:
    recording = begin(store)
    recording.exchanges.append(EXCHANGE)
    with (recording.folder / file).open("ab") as log:
        log.write(b"{}\n")
    with pytest.raises(Damaged, match="another process wrote to it") as raised:
        recording.seal(DONE)
    assert raised.value.path == recording.folder / file
    assert store.run_ids() == []
