"""Commands that write to a store, each with a store to begin with, and what must hold after a fault in any of them.

The faults are injected by the tests; a command is called in this process, unless the test lets it be killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from unittest import mock

from exprec.cli.main import main
from exprec.recorder.format import layout
from exprec.recorder.format.hashing import folder_id
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fault.syscalls import Call, watched
from tests.fixtures.cli import CallResult
from tests.fixtures.experiments import answer, experiment

ALL = os.environ.get("EXPREC_FAULTS") == "all"
"""Whether the faults are injected too that take minutes; see CONTRIBUTING."""

ANSWERS = [answer("A", 0.25), {"agent": "A", "answer": "none"}, answer("A", 0.2)]
"""One is accepted and one is none; all within two iterations."""
_RECOVERED: set[tuple[str, str]] = set()
"""The states of stores from which the commands of stages have gone on."""
_VERIFIED: set[frozenset[str]] = set()
"""The runs of stores that were verified: that a run has its address is looked at each time, and all else follows."""
_SECONDS_LATER = 3600.0
INTERRUPTED = "0123456789abcdef"
_COMMAND = (
    "printf 'one\\n'; printf two >&2; printf result > made/result; "
    """printf '{"event_type": "epoch", "iteration": 1, "loss": 0.5}\\n' >> "$EXPREC_EVENTS" """
)


def run_in_process(*words: str, cwd: Path) -> CallResult:
    """Call the command in this process; what is no exit on purpose is raised here."""
    code: object = 0
    with contextlib.chdir(cwd), apart_from_the_machine(), _stream() as out, _stream() as err:
        argv = mock.patch.object(sys, "argv", ["exprec", *words])
        with argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = ended.code
        out.flush()
        err.flush()
        streams = [_content(out), _content(err)]
    assert code is None or isinstance(code, int)
    done = CallResult(words, code or 0, *streams)
    assert b"Traceback" not in done.stderr, done.report
    return done


@contextmanager
def apart_from_the_machine() -> Iterator[None]:
    """Look for no git around the experiment: a process for each execution would take half of the time."""
    with mock.patch("exprec.recorder.sessions.provenance._git", return_value=None):
        yield


@contextmanager
def later() -> Iterator[None]:
    """Let `gc` find an hour later whatever is there."""
    with mock.patch("exprec.cli.commands.gc.seconds_since", return_value=_SECONDS_LATER):
        yield


@contextmanager
def _stream() -> Iterator[io.TextIOWrapper]:
    with tempfile.TemporaryFile(dir=memory()) as file:
        yield io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="\n")


def _content(stream: io.TextIOWrapper) -> bytes:
    return os.pread(stream.fileno(), 10_000_000, 0)


def memory() -> str | None:
    """A folder in memory, where there is one: nothing here is about the disk itself."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass(frozen=True)
class Stage:
    """A command, and the folder that it is called in, with the store in `runs`."""

    name: str
    words: tuple[str, ...]
    folder: Path
    address: str | None = None
    """Of the run that it seals."""
    log: bytes = b""
    """The log of that run."""
    can_go_on_to: str | None = None
    """The address of the run that is interrupted in the store to begin with."""
    before: dict[str, str] = field(default_factory=dict)
    """The digests of what is sealed and must stay."""

    def copied(self, folder: Path) -> Path:
        """A folder like this one, for one call; `folder` has nothing else."""
        return shutil.copytree(self.folder, folder, copy_function=shutil.copy)


def calls_of(stage: Stage, folder: Path) -> list[Call]:
    """The system calls of the command of a stage, which is called in `folder`, a new one that is removed."""
    calls: list[Call] = []
    stage.copied(folder)
    with watched(folder, calls.append):
        done = run_in_process(*stage.words, cwd=folder)
    assert done.code == 0, done.report
    shutil.rmtree(folder)
    return calls


def numbers(stage: Stage, calls: Sequence[Call]) -> Iterable[int]:
    """At which of the calls of a stage the faults are injected, by their number from 0, the end behind them included.

    Of the experiment at all, however many there are; of the others by default at the first and the last of each kind.
    """
    if ALL or stage.name == "an experiment":
        return count()
    kinds = [kind_of(call) for call in calls]
    last = {kind: number for number, kind in enumerate(kinds)}
    return sorted({*map(kinds.index, kinds), *last.values(), len(calls)})


def kind_of(call: Call) -> tuple[str, str]:
    """The name of a call and its file, whatever random names or addresses that has."""
    return call.name, re.sub(r"[0-9a-f]{8,}", "*", call.path)


def sealed_files(folder: Path) -> dict[str, str]:
    """The digests of all files of sealed runs and attestations of a store."""
    found = {}
    for run in sorted(folder.iterdir()) if folder.exists() else ():
        if layout.is_run_id(run.name) or run.name == layout.ATTESTATIONS_FOLDER:
            for path in sorted(run.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


STAGES = (
    *(("a first experiment", "a repetition") if ALL else ()),
    "an experiment",
    "an experiment once more",
    "resume",
    "a command",
    "rerun",
    "a tag",
    "a tag removed",
    "gc",
    "init",
)


def staged(name: str, folder: Path) -> Stage:
    """The stage of this name; what it needs is made in `folder`, for all stages, unless it is there already."""
    return _stages(folder)[name]


@cache
def _stages(folder: Path) -> dict[str, Stage]:
    study, other = folder / "study", folder / "other"
    for each in (study, other):
        each.mkdir()
    path = str(experiment(study, answers=ANSWERS, optimized_agents=["A"], convergence__max_iterations=2))
    other_path = str(experiment(other, convergence__max_iterations=1))
    run = ("run", "--json", path)

    empty, begun, whole, halves, tagged = (folder / name for name in ("empty", "begun", "whole", "halves", "tagged"))
    empty.mkdir()
    begun.mkdir()
    _fine("run", "-q", other_path, cwd=begun)
    (first,) = Store(begun / "runs").run_ids()
    shutil.copytree(begun, whole)
    address = _fine("run", "-q", path, cwd=whole).stdout.decode().strip()
    shutil.copytree(begun, halves)
    _half_a_run(whole / "runs" / address, halves / "runs", study)
    shutil.copytree(whole, tagged)
    _fine("tag", "best", first, cwd=tagged)
    (begun / "made").mkdir()
    command = ("run", "--json", "--artifact", "made/result", "--", "sh", "-c", _COMMAND)
    with_command = shutil.copytree(begun, folder / "with command")
    _fine(*command, cwd=with_command)
    (of_command,) = set(Store(with_command / "runs").run_ids()) - {first}

    log = (whole / "runs" / address / layout.EVENTS_FILE).read_bytes()
    command_log = (with_command / "runs" / of_command / layout.EVENTS_FILE).read_bytes()
    calls: dict[str, tuple[tuple[str, ...], Path, str | None, bytes]] = {
        "an experiment": (run, begun, address, log),
        "a first experiment": (run, empty, address, log),
        "an experiment once more": (run, whole, address, log),
        "a repetition": (("run", "--json", "--replay-exchanges", address, path), whole, address, log),
        "resume": (("resume", "--json", INTERRUPTED), halves, address, log),
        "a command": (command, begun, of_command, command_log),
        "rerun": (("rerun", address), whole, None, b""),
        "a tag": (("tag", "--force", "best", address), tagged, None, b""),
        "a tag removed": (("tag", "--delete", "best"), tagged, None, b""),
        "gc": (("gc", "--yes"), halves, None, b""),
        "init": (("init",), empty, None, b""),
    }
    assert set(STAGES) <= calls.keys()
    return {
        name: Stage(name, *call, address if call[1] == halves else None, sealed_files(call[1] / "runs"))
        for name, call in calls.items()
    }


def _half_a_run(run: Path, store: Path, study: Path) -> None:
    """An interrupted run with torn lines and half a seal, and drafts of other files."""
    work = store / layout.WORK_FOLDER / INTERRUPTED
    work.mkdir()
    shutil.copy(run / layout.CONFIG_FILE, work)
    for name, lines in ((layout.EVENTS_FILE, 5), (layout.EXCHANGES_FILE, 1)):
        data = (run / name).read_bytes().splitlines(keepends=True)
        (work / name).write_bytes(b"".join(data[:lines]) + data[lines][:20])
    (work / layout.RUN_FILE).write_bytes(b"{")
    work.with_name(f"{INTERRUPTED}.json").write_text(
        f'{{"folder":"{study}","format":1,"name":"two banks","type":"generic"}}\n'
    )
    (store / "..gitignore.00000000").write_bytes(b"")


def _fine(*words: str, cwd: Path) -> CallResult:
    done = run_in_process(*words, cwd=cwd)
    assert done.code == 0, done.report
    return done


def recovers(place: Path, stage: Stage, shown: bytes = b"", kept: bytes = b"") -> None:
    """After a fault in the command of a stage: nothing is lost, and all goes on to where it would have come.

    `shown` is what had been printed, of which the log must have each line; `kept` is how much of the log must be
    there at least.
    """
    store = place / "runs"
    _nothing_sealed_is_touched(store, stage)
    works = []
    if (store / layout.STORE_FILE).exists():
        opened = Store(store)
        works = opened.work_names()
        assert set(opened.tags().values()) <= set(opened.run_ids()), "a tag is whole or not there"
        for run_id in opened.run_ids():
            # What is no observation is raised.
            opened.attestations(run_id)
    if stage.log:
        _the_log_has(store, stage, works, shown, kept)
    state = (stage.name, _state(store))
    if state in _RECOVERED and not ALL:
        # From the same bytes all goes on in the same way.
        return
    _RECOVERED.add(state)
    resumed = _goes_on(place, stage, works)
    if not resumed:
        again = run_in_process(*stage.words, cwd=place)
        gone = stage.words[0] in ("resume", "tag") and again.code == 4
        assert again.code == 0 or gone, again.report
    if stage.address is not None:
        assert (store / stage.address).is_dir()
    with later():
        _fine("gc", "--yes", cwd=place)
    _nothing_is_left(store)
    _nothing_sealed_is_touched(store, stage)
    runs = frozenset(Store(store).run_ids())
    if runs and (ALL or runs not in _VERIFIED):
        _fine("verify", "--all", cwd=place)
        _VERIFIED.add(runs)


def _state(store: Path) -> str:
    """A digest of all that is in a store, but for random names and the times of executions."""
    digest = hashlib.sha256()
    names: dict[str, str] = {}
    for path in sorted(store.rglob("*")):
        name = str(path.relative_to(store))
        for found in re.findall(r"\b(?:[0-9a-f]{16}|[0-9a-f]{8})\b", name):
            name = name.replace(found, names.setdefault(found, f"name {len(names)}"))
        is_attestation = name.startswith(layout.ATTESTATIONS_FOLDER)
        content = path.read_bytes() if path.is_file() and not is_attestation else b""
        if is_attestation:
            name = f"{Path(name).parent} {path.is_dir()} {path.name.startswith('.')}"
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _nothing_sealed_is_touched(store: Path, stage: Stage) -> None:
    after = sealed_files(store)
    assert stage.before.items() <= after.items()
    for name in {Path(path).parts[0] for path in after} - {layout.ATTESTATIONS_FOLDER}:
        assert folder_id(store / name) == name, "a run is whole or not there"
        assert name in (stage.address, stage.can_go_on_to) or any(path.startswith(name) for path in stage.before)


def _the_log_has(store: Path, stage: Stage, works: Sequence[str], shown: bytes, kept: bytes) -> None:
    assert stage.log.startswith(shown)
    assert stage.address is not None
    if (store / stage.address).is_dir():
        return
    logs = [b"".join(entry.line for entry in RunDirectory(_work(store, name)).reader().entries()) for name in works]
    assert all(stage.log.startswith(log) for log in logs)
    for needed in (shown, kept):
        assert not needed or any(log.startswith(needed) for log in logs), "something was lost"


def _work(store: Path, name: str) -> Path:
    return store / layout.WORK_FOLDER / name


def _goes_on(place: Path, stage: Stage, works: Sequence[str]) -> bool:
    """Look at each interrupted run, and go on with it; whether that sealed the run of the stage."""
    sealed = False
    for name in works:
        folder = _work(place / "runs", name)
        if not folder.is_dir():
            continue
        shown = run_in_process("show", "--json", name, cwd=place)
        assert (shown.code, b"interrupted" in shown.stderr) == (0, True), shown.report
        assert stage.log.startswith(shown.stdout) or not stage.log
        done = run_in_process("resume", "-q", name, cwd=place)
        if done.code == 0:
            sealed = sealed or done.stdout.decode().strip() == stage.address
            assert done.stdout.decode().strip() in (stage.address, stage.can_go_on_to), done.report
        else:
            assert done.code == 2, done.report
            # What `gc` was removing may lack any of its files, once its log has gone.
            has_not_begun = stage.name == "gc" or b"was interrupted before its first event" in done.stderr
            assert (has_not_begun and not shown.stdout) or b"run the command again" in done.stderr, done.report
    return sealed


def _nothing_is_left(store: Path) -> None:
    """Of faults, after `gc`."""
    assert not list((store / layout.WORK_FOLDER).iterdir())
    runs = {path.name for path in store.iterdir() if layout.is_run_id(path.name)}
    expected = {layout.STORE_FILE, ".gitattributes", ".gitignore", layout.WORK_FOLDER}
    assert {path.name for path in store.iterdir()} - runs <= expected | {layout.TAGS_FOLDER, layout.ATTESTATIONS_FOLDER}
    for folder in (layout.TAGS_FOLDER, layout.ATTESTATIONS_FOLDER):
        drafts = [path for path in (store / folder).rglob("*") if path.name.startswith(".")]
        assert not drafts
