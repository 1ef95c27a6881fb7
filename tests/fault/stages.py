"""Commands that write to a store, the store that each starts from, and what must hold after a fault in any of them."""

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
from exprec.recorder.git.work_tree import GitState
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fault.syscalls import Call, watched
from tests.fixtures.cli import CallResult
from tests.fixtures.experiments import answer, experiment

ALL = os.environ.get("EXPREC_FAULTS") == "all"
"""Whether to inject the faults that take minutes, too; see CONTRIBUTING."""

ANSWERS = [answer("A", 0.25), {"agent": "A", "answer": "none"}, answer("A", 0.2)]
"""One answer is accepted and one is unusable, within two iterations."""
_RECOVERED: set[tuple[str, str]] = set()
"""The store states from which a stage has already been shown to recover."""
_VERIFIED: set[frozenset[str]] = set()
"""The sets of runs already verified; that each run matches its run id is checked every time."""
_SECONDS_LATER = 3600.0
INTERRUPTED = "0123456789abcdef"
_COMMAND = (
    "printf 'one\\n'; printf two >&2; printf result > made/result; "
    """printf '{"event_type": "epoch", "iteration": 1, "loss": 0.5}\\n' >> "$EXPREC_EVENTS" """
)


def run_in_process(*words: str, cwd: Path) -> CallResult:
    """Run the command in this process; any exception but an exit is raised."""
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
    """Do not ask git about the experiment: a process for each execution would take half of the time."""
    with mock.patch("exprec.recorder.git.read_git_state", return_value=GitState()):
        yield


@contextmanager
def later() -> Iterator[None]:
    """Let `gc` see every file as an hour old."""
    with mock.patch("exprec.cli.commands.gc.seconds_since", return_value=_SECONDS_LATER):
        yield


@contextmanager
def _stream() -> Iterator[io.TextIOWrapper]:
    with tempfile.TemporaryFile(dir=memory()) as file:
        yield io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="\n")


def _content(stream: io.TextIOWrapper) -> bytes:
    return os.pread(stream.fileno(), 10_000_000, 0)


def memory() -> str | None:
    """Return a folder in memory, if there is one: the faults do not depend on a real disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass(frozen=True)
class Stage:
    """A command and the folder to call it in, which has a store in `runs`."""

    name: str
    words: tuple[str, ...]
    folder: Path
    address: str | None = None
    """The id of the run that it seals."""
    log: bytes = b""
    """The log of that run."""
    resumed_id: str | None = None
    """The run id of the interrupted run in the store, once it is resumed."""
    before: dict[str, str] = field(default_factory=dict)
    """The digests of sealed files, which must not change."""

    def copied(self, folder: Path) -> Path:
        """Copy the folder of the stage to `folder`, for one call."""
        return shutil.copytree(self.folder, folder, copy_function=shutil.copy)


def calls_of(stage: Stage, folder: Path) -> list[Call]:
    """Run the command of a stage in the new `folder`, which is removed afterwards; returns its system calls."""
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
    """Return the name of a call and its file, with random names and run ids replaced."""
    return call.name, re.sub(r"[0-9a-f]{8,}", "*", call.path)


def sealed_files(folder: Path) -> dict[str, str]:
    """Return the digests of all files of the sealed runs and the attestations of a store."""
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
    """Return the stage of this name; the first call sets up all stages in `folder`."""
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
    _run_successfully("run", "-q", other_path, cwd=begun)
    (first,) = Store(begun / "runs").run_ids()
    shutil.copytree(begun, whole)
    address = _run_successfully("run", "-q", path, cwd=whole).stdout.decode().strip()
    shutil.copytree(begun, halves)
    _make_interrupted_run(whole / "runs" / address, halves / "runs", study)
    shutil.copytree(whole, tagged)
    _run_successfully("tag", "best", first, cwd=tagged)
    (begun / "made").mkdir()
    command = ("run", "--json", "--artifact", "made/result", "--", "sh", "-c", _COMMAND)
    with_command = shutil.copytree(begun, folder / "with command")
    _run_successfully(*command, cwd=with_command)
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


def _make_interrupted_run(run: Path, store: Path, study: Path) -> None:
    """Make an interrupted run with torn lines, an incomplete seal, and drafts of other files."""
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


def _run_successfully(*words: str, cwd: Path) -> CallResult:
    done = run_in_process(*words, cwd=cwd)
    assert done.code == 0, done.report
    return done


def check_recovery(place: Path, stage: Stage, shown: bytes = b"", kept: bytes = b"") -> None:
    """Check after a fault in a stage that nothing is lost and that the command still reaches its result.

    `shown` is what had been printed, of which the log must have each line; `kept` is how much of the log must be
    there at least.
    """
    store = place / "runs"
    _check_sealed_files(store, stage)
    works = []
    if (store / layout.STORE_FILE).exists():
        opened = Store(store)
        works = opened.work_names()
        assert set(opened.tags().values()) <= set(opened.run_ids()), "a tag is whole or not there"
        for run_id in opened.run_ids():
            # Raises if one is not a valid attestation.
            opened.attestations(run_id)
    if stage.log:
        _check_log(store, stage, works, shown, kept)
    state = (stage.name, _state(store))
    if state in _RECOVERED and not ALL:
        # Recovery from the same bytes has been checked.
        return
    _RECOVERED.add(state)
    resumed = _resume_interrupted(place, stage, works)
    if not resumed:
        again = run_in_process(*stage.words, cwd=place)
        gone = stage.words[0] in ("resume", "tag") and again.code == 4
        assert again.code == 0 or gone, again.report
    if stage.address is not None:
        assert (store / stage.address).is_dir()
    with later():
        _run_successfully("gc", "--yes", cwd=place)
    _check_no_garbage(store)
    _check_sealed_files(store, stage)
    runs = frozenset(Store(store).run_ids())
    if runs and (ALL or runs not in _VERIFIED):
        _run_successfully("verify", "--all", cwd=place)
        _VERIFIED.add(runs)


def _state(store: Path) -> str:
    """Return a digest of a store without random names and the times of executions."""
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


def _check_sealed_files(store: Path, stage: Stage) -> None:
    after = sealed_files(store)
    assert stage.before.items() <= after.items()
    for name in {Path(path).parts[0] for path in after} - {layout.ATTESTATIONS_FOLDER}:
        assert folder_id(store / name) == name, "a run is whole or not there"
        assert name in (stage.address, stage.resumed_id) or any(path.startswith(name) for path in stage.before)


def _check_log(store: Path, stage: Stage, works: Sequence[str], shown: bytes, kept: bytes) -> None:
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


def _resume_interrupted(place: Path, stage: Stage, works: Sequence[str]) -> bool:
    """Show and resume each interrupted run; returns whether that sealed the run of the stage."""
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
            assert done.stdout.decode().strip() in (stage.address, stage.resumed_id), done.report
        else:
            assert done.code == 2, done.report
            # A run that `gc` was removing may lack any file once its log is gone.
            has_not_begun = stage.name == "gc" or b"was interrupted before its first event" in done.stderr
            assert (has_not_begun and not shown.stdout) or b"run the command again" in done.stderr, done.report
    return sealed


def _check_no_garbage(store: Path) -> None:
    """Check that `gc` left no traces of faults."""
    assert not list((store / layout.WORK_FOLDER).iterdir())
    runs = {path.name for path in store.iterdir() if layout.is_run_id(path.name)}
    expected = {layout.STORE_FILE, ".gitattributes", ".gitignore", layout.WORK_FOLDER}
    assert {path.name for path in store.iterdir()} - runs <= expected | {layout.TAGS_FOLDER, layout.ATTESTATIONS_FOLDER}
    for folder in (layout.TAGS_FOLDER, layout.ATTESTATIONS_FOLDER):
        drafts = [path for path in (store / folder).rglob("*") if path.name.startswith(".")]
        assert not drafts
