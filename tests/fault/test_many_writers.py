"""64 processes record into one store at once and a third is killed: nothing is lost, and nothing else is sealed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exprec.recorder import record
from exprec.recorder.events import Event, common
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run

WRITERS = 64
KILLED = frozenset(range(0, WRITERS, 3))
SAME = frozenset(range(1, WRITERS, 4)) - KILLED
"""Writers that record the same content, hence the same run, at the same moment."""
ENDLESS = frozenset(sorted(KILLED)[::2])
"""Writers that are killed while recording; other killed writers may be at any point, even in their seal."""
EVENTS = 60


def _config(number: int) -> dict[str, int]:
    return {"writer": -1 if number in SAME else number}


def _write(number: int, store: Path, told: Path, gate: tuple[int, int]) -> None:
    """Record a run; report each event and the run id once they are recorded."""
    handle = os.open(told / str(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    payload = told / f"{number}.payload"
    payload.write_text(str(_config(number)))
    # It opens when the only writer of the pipe closes it. A barrier would stay shut after a kill within its lock.
    os.close(gate[1])
    os.read(gate[0], 1)
    with record("many", config=_config(number), store=store, secrets={}) as run:
        os.write(handle, f"begun {run.id}\n".encode())
        run.artifact(payload, name="payload")
        for step in range(1, 1_000_000 if number in ENDLESS else EVENTS + 1):
            run.event("step", iteration=step, value=step * 0.5)
            os.write(handle, b"step\n")
            if number in KILLED:
                # Long enough to be killed in.
                time.sleep(0.002)
    os.write(handle, f"sealed {run.id}\n".encode())


def _write_all(folder: Path) -> None:
    """Start all writers at once, kill some of them, and write their exit codes."""
    (folder / "told").mkdir()
    context = multiprocessing.get_context("fork")
    gate = os.pipe()
    chance = random.Random(4)
    writers = [
        context.Process(target=_write, args=(number, folder / "runs", folder / "told", gate))
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    os.close(gate[1])
    began = time.monotonic()
    for moment, number in sorted((chance.random(), number) for number in KILLED):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        process = writers[number].pid
        assert process is not None
        os.kill(process, signal.SIGKILL)
    for writer in writers:
        writer.join()
    (folder / "ended").write_text(json.dumps([writer.exitcode for writer in writers]))


Written = tuple[Path, dict[int, list[str]], dict[int, int]]
"""The store, what each writer reported, and its exit code."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    tmp_path = tmp_path_factory.mktemp("written")
    # A process without threads, which can be forked.
    done = subprocess.run([sys.executable, __file__, str(tmp_path)], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"", done.stderr.decode()
    words = {number: (tmp_path / "told" / str(number)).read_text().splitlines() for number in range(WRITERS)}
    return tmp_path / "runs", words, dict(enumerate(json.loads((tmp_path / "ended").read_bytes())))


def _steps(run: RunDirectory) -> list[Event]:
    events = [entry.event for entry in run.reader().entries()]
    steps = [event for event in events if event["event_type"] == "step"]
    assert [event["iteration"] for event in steps] == list(range(1, len(steps) + 1))
    assert [event["value"] for event in steps] == [number * 0.5 for number in range(1, len(steps) + 1)]
    return steps


def _address(words: list[str]) -> str | None:
    return words[-1].removeprefix("sealed ") if words and words[-1].startswith("sealed ") else None


def test_only_killed_writers_fail(written: Written) -> None:
    _, words, ended = written
    for number, code in ended.items():
        # One that was through before its turn came ended well.
        assert code in ((0, -signal.SIGKILL) if number in KILLED else (0,)), number
        assert (_address(words[number]) is not None) == (code == 0)
    assert {number for number, code in ended.items() if code} >= ENDLESS


def test_each_reported_run_verifies_and_has_every_event(written: Written) -> None:
    store, words, _ = written
    addresses = {number: address for number, said in words.items() if (address := _address(said))}
    assert len({addresses[number] for number in SAME}) == 1
    assert len(set(addresses.values())) == len(addresses) - len(SAME) + 1
    for address in set(addresses.values()):
        run = RunDirectory(store / address)
        assert list(verify_run(run)) == []
        assert run.run_id == address
        assert len(_steps(run)) == EVENTS
    for number, address in addresses.items():
        assert RunDirectory(store / address).config == _config(number)
    shared = addresses[min(SAME)]
    assert len(Store(store).attestations(shared)) == len(SAME)


def test_no_reported_event_of_a_killed_writer_is_lost(written: Written) -> None:
    store, words, _ = written
    for number, said in words.items():
        if _address(said) is not None or not said:
            continue
        name = said[0].removeprefix("begun ")
        folder = store / ".work" / name
        if not folder.exists():
            # Killed between its seal and the report of it.
            sealed = [run for run in _sealed(store) if run.config == _config(number)]
            assert len(sealed) == 1
            continue
        run = RunDirectory(folder)
        assert run.status == "interrupted"
        assert run.config == _config(number)
        assert len(_steps(run)) >= said.count("step")


def test_no_other_run_is_sealed(written: Written) -> None:
    store, words, _ = written
    reported = {_address(said) for said in words.values()}
    for run in _sealed(store):
        assert list(verify_run(run)) == []
        last = [entry.event for entry in run.reader().entries()][-1]
        assert last["event_type"] == common.RUN_END.event_type
        # Sealed without a report, only by one that was killed at that very moment.
        assert run.run_id in reported or run.config["writer"] in KILLED
    # Drafts of a file that a kill cut off are the only other thing that may be left.
    names = {path.name for path in store.iterdir() if not path.name.startswith(".")}
    assert names == {"store.json", "attestations", *Store(store).run_ids()}


def _sealed(store: Path) -> list[RunDirectory]:
    return [RunDirectory(store / name) for name in Store(store).run_ids()]


if __name__ == "__main__":
    _write_all(Path(sys.argv[1]))
