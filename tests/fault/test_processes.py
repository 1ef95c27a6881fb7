"""Concurrent processes in one store: between any two system calls of another, no run is lost or duplicated."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from exprec.recorder import record
from exprec.recorder.fs import durable
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import Sealed
from exprec.recorder.verify import verify_run
from tests.fault import limited
from tests.fault.stages import later, run_in_process
from tests.fault.syscalls import Call, watched
from tests.fixtures import runs
from tests.fixtures.events import OBSERVATION
from tests.fixtures.experiments import experiment

WIDE = os.environ.get("EXPREC_FAULTS") == "all"
WRITERS = 64
Count = Callable[[str, int], None]
Action = Callable[[], object]


# --- many processes -----------------------------------------------------------------------------------


def write_at_once(store: str, *, same: bool) -> None:
    """Let WRITERS processes record a run each, all from the same moment on; fails if one fails."""
    reads, writes = os.pipe()
    children = []
    for number in range(WRITERS):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(writes)
                os.read(reads, 1)
                with record("many", config={"writer": 0 if same else number}, store=store, secrets={}) as run:
                    for step in range(5):
                        run.event("step", iteration=step + 1, value=step)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    os.close(writes)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * WRITERS


@pytest.mark.parametrize("same", [False, True])
def test_64_processes_record_at_once(tmp_path: Path, count_faults: Count, same: bool) -> None:
    path = tmp_path / "runs"
    first = f"from tests.fault.test_processes import write_at_once\nwrite_at_once({str(path)!r}, same={same})"
    (done,) = limited.run_limited(["verify", "--all", "--store", path], cwd=tmp_path, first=first).calls
    limited.assert_harmless(done)
    assert done.code == 0, done.report
    store = Store(path)
    assert len(store.run_ids()) == (1 if same else WRITERS)
    assert sum(len(store.attestations(run_id)) for run_id in store.run_ids()) == WRITERS
    assert not list((path / ".work").iterdir())
    count_faults("processes that record into one store at once", WRITERS)


# --- two, and every way in which one can come between -------------------------------------------------


def _interrupting(folder: Path, one: Action, other: Action, at: int) -> bool:
    """Do one action, and another before its N-th system call; returns False if it makes fewer calls."""
    calls, is_other = count(), False
    came = False

    def before(_: Call) -> None:
        nonlocal is_other, came
        if not is_other and next(calls) == at:
            came, is_other = True, True
            # In a thread, because one may run in an event loop already.
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            is_other = False

    with watched(folder, before):
        one()
    return came


def _each_place(folder: Path, *, every: int) -> Iterator[tuple[int, Path]]:
    """Yield the number of each call to interrupt, by default every N-th, with a folder for it."""
    for at in range(0, 10_000, 1 if WIDE else every):
        yield at, folder / str(at)


class _Turns:
    """Two threads that make system calls in turn."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads: list[int] = []
        self._turn = 0
        self.passed = 0

    def before(self, _: Call) -> None:
        own = threading.get_ident()
        with self._changed:
            if own not in self._threads:
                return
            self._next()
            self.passed += 1
            self._changed.wait_for(lambda: self._threads[self._turn] == own, timeout=30)

    def run(self, actions: list[Action]) -> None:
        failures: list[BaseException] = []
        ready = threading.Barrier(len(actions))

        def work(action: Action) -> None:
            with self._changed:
                self._threads.append(threading.get_ident())
            ready.wait()
            try:
                action()
            except BaseException as error:
                failures.append(error)
            with self._changed:
                # Only the other is left.
                self._threads.remove(threading.get_ident())
                self._turn = 0
                self._changed.notify_all()

        threads = [threading.Thread(target=work, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in failures:
            raise failure

    def _next(self) -> None:
        self._turn = (self._turn + 1) % len(self._threads)
        self._changed.notify_all()


def _begun(store: Store) -> LiveStateProvider:
    provider = runs.begin(store)
    provider.record_event(0, "run_end", {"loss": 0.5})
    return provider


def _sealing(store: Store, sealed: list[Sealed], seconds: float) -> Action:
    """Seal one of several runs with the same content, and attest it."""
    provider = _begun(store)

    def seal() -> None:
        found = provider.seal()
        assert found is not None
        store.attest(found.run_id, {**OBSERVATION, "duration_seconds": seconds})
        sealed.append(found)

    return seal


def _is_one_run_twice(store: Store, sealed: list[Sealed]) -> None:
    """Check that both have the same run id, that exactly one is new, and that no garbage is left."""
    assert len(sealed) == 2
    assert {each.run_id for each in sealed} == set(store.run_ids())
    assert sorted(each.is_new for each in sealed) == [False, True]
    assert list(verify_run(RunDirectory(sealed[0].path))) == []
    assert len(store.attestations(sealed[0].run_id)) == 2
    assert not list((store.path / ".work").iterdir())


def test_seal_of_the_same_run_between_any_two_calls_of_another(tmp_path: Path, count_faults: Count) -> None:
    for at, folder in _each_place(tmp_path, every=1):
        store = Store.open_or_create(folder)
        sealed: list[Sealed] = []
        one, other = (_sealing(store, sealed, seconds) for seconds in (1.0, 2.0))
        if not _interrupting(folder, one, other, at):
            break
        _is_one_run_twice(store, sealed)
        shutil.rmtree(folder)
    assert at > 20, "sealing has more calls"
    count_faults("seals of an address between two calls of another seal of it", at)


def test_two_seals_of_the_same_run_taking_turns(tmp_path: Path, count_faults: Count) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    sealed: list[Sealed] = []
    actions = [_sealing(store, sealed, seconds) for seconds in (1.0, 2.0)]
    turns = _Turns()
    with watched(tmp_path, turns.before):
        turns.run(actions)
    _is_one_run_twice(store, sealed)
    assert turns.passed > 40, "they took turns"
    count_faults("turns of two seals of an address", turns.passed)


# --- gc -----------------------------------------------------------------------------------------------


def test_gc_removes_nothing_at_any_step_of_a_run(tmp_path: Path, count_faults: Count) -> None:
    """The experiment is outside of the store, so that each watched call is one of the recorder."""
    file = experiment(tmp_path)
    for at, folder in _each_place(tmp_path / "at", every=9):
        folder.mkdir(parents=True)
        done: list[int] = []

        def run(folder: Path = folder, done: list[int] = done) -> None:
            done.append(run_in_process("run", "-q", str(file), cwd=folder).code)

        def collect(folder: Path = folder, done: list[int] = done) -> None:
            done.append(run_in_process("gc", "--yes", cwd=folder).code)

        came = _interrupting(folder, run, collect, at)
        assert set(done) == {0}
        _check_one_whole_run(folder)
        shutil.rmtree(folder)
        if not came:
            break
    assert at > 40, "a run has more calls"
    count_faults("calls of gc between two calls of a run", at if WIDE else at // 9)


def _check_one_whole_run(folder: Path) -> None:
    """Check that the store in a folder has exactly one run, which verifies, and nothing else."""
    (run_id,) = Store(folder / "runs").run_ids()
    assert list(verify_run(RunDirectory(folder / "runs" / run_id))) == []
    assert not list((folder / "runs" / ".work").iterdir())


def _left(tmp_path: Path) -> Path:
    """Make a store with a sealed run and garbage."""
    store = Store.open_or_create(tmp_path / "left" / "runs")
    runs.record(store)
    for _ in range(2):
        runs.interrupted(store)
    (store.path / ".store.json.01234567").write_text("{")
    return store.path.parent


def test_concurrent_gc(tmp_path: Path, count_faults: Count) -> None:
    left = _left(tmp_path)
    for at, folder in _each_place(tmp_path / "at", every=3):
        shutil.copytree(left, folder)
        done: list[int] = []

        def collect(folder: Path = folder, done: list[int] = done) -> None:
            with later():
                done.append(run_in_process("gc", "--yes", cwd=folder).code)

        came = _interrupting(folder, collect, collect, at)
        assert set(done) == {0}
        _check_one_whole_run(folder)
        shutil.rmtree(folder)
        if not came:
            break
    count_faults("calls of gc between two calls of gc", at)


# --- tags and resumption ------------------------------------------------------------------------------


def test_of_concurrent_tags_one_fails(tmp_path: Path, count_faults: Count, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_LOCK_PAUSE_SECONDS", 0)
    store = Store.open_or_create(tmp_path / "first" / "runs")
    addresses = [runs.record(store, latency=latency).run_id for latency in (0.25, 0.5)]
    for at, folder in _each_place(tmp_path / "at", every=1):
        shutil.copytree(tmp_path / "first", folder)
        done: list[int] = []

        def tag(run_id: str, folder: Path = folder, done: list[int] = done) -> Action:
            return lambda: done.append(run_in_process("tag", "name", run_id, cwd=folder).code)

        came = _interrupting(folder, tag(addresses[0]), tag(addresses[1]), at)
        tags = folder / "runs" / "tags"
        assert sorted(done) in ([0, 2], [0, 6], [0])
        assert (tags / "name").read_text() in [f"{run_id}\n" for run_id in addresses]
        assert [path.name for path in tags.iterdir()] == ["name"]
        if not came:
            break
    assert at > 5, "a tag has more calls"
    count_faults("tags between two calls of another", at)


def test_only_one_of_two_processes_resumes_a_run(tmp_path: Path, count_faults: Count) -> None:
    """The other reports that it is in progress, or that it no longer exists."""
    first = tmp_path / "first"
    first.mkdir()
    file = experiment(tmp_path)
    written = count()

    def stop(call: Call) -> None:
        if call.name == "write" and call.path.endswith("events.jsonl") and next(written) == 3:
            raise KeyboardInterrupt

    with watched(first, stop):
        assert run_in_process("run", "-q", str(file), cwd=first).code == 130
    (name,) = Store(first / "runs").work_names()
    for at, folder in _each_place(tmp_path / "at", every=9):
        shutil.copytree(first, folder)
        done: list[tuple[int, bytes]] = []

        def resume(folder: Path = folder, done: list[tuple[int, bytes]] = done) -> None:
            found = run_in_process("resume", "-q", name, cwd=folder)
            done.append((found.code, found.stderr))

        came = _interrupting(folder, resume, resume, at)
        codes = sorted(code for code, _ in done)
        assert codes in ([0], [0, 2], [0, 4]), done
        assert all(b"is in progress" in said or b"no run" in said for code, said in done if code), done
        _check_one_whole_run(folder)
        shutil.rmtree(folder)
        if not came:
            break
    assert at > 20, "resuming has more calls"
    count_faults("resumptions between two calls of another of the same run", at if WIDE else at // 9)
