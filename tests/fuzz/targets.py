"""What is fuzzed: each reader of exprec, as a function of any bytes that raises nothing unless exprec is at fault.

Which bytes come is up to others: `mutations`, a corpus, or a fuzzer that looks for new branches.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from exprec.cli.main import cli
from exprec.cli.terminal import make_console
from exprec.recorder.diagnostics import SecretGuard, visible
from exprec.recorder.diff import diff
from exprec.recorder.display import EventDisplay, VerboseConfig, display_experiment_output
from exprec.recorder.documents import Document, parse_document
from exprec.recorder.errors import ExprecError, InvalidInput
from exprec.recorder.events import EventTypes
from exprec.recorder.experiment.config import ExperimentConfig, ModelConfig
from exprec.recorder.experiment.proposal import check_answer
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.payments import PaymentSimulator, check_policy, check_scenario
from exprec.recorder.payments.policy.tree import compile_policy
from exprec.recorder.payments.scenario.scenario import compile_scenario
from exprec.recorder.proposers.recorded import RecordedProposer
from exprec.recorder.proposers.scripted import ScriptedProposer
from exprec.recorder.query import list_orphans, list_runs
from exprec.recorder.schema.display_template import DisplayTemplate
from exprec.recorder.sessions.command.event_channel import EventChannel
from exprec.recorder.state.provider import DatabaseStateProvider
from exprec.recorder.state.reducer import Reducer
from exprec.recorder.store.log import EventLog, ExchangeReader, LogReader
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.sinks import MemorySink
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run, verify_store
from tests.fixtures.cli import make_runner
from tests.fixtures.documents import lines_of
from tests.fixtures.experiments import GAME
from tests.fixtures.paths import ROOT

ARCHIVE = ROOT / "tests" / "archive" / "v1"
LARGEST = 64 * 1024
"""The limit of an input in bytes; longer ones reveal nothing more."""

_EVENT = {"seq": 0, "event_type": "epoch", "iteration": 1, "loss": 0.5, "text": "é", "part": {"n": [1, None]}}
_WIDE = VerboseConfig.all_enabled()
_STYLE = re.compile(r"\x1b\[\d*m")


def call(name: str, data: bytes) -> bool:
    """Run a target on some bytes; returns whether they were refused. Any exception is a fault of exprec."""
    try:
        TARGETS[name](data[:LARGEST])
    except ExprecError as error:
        refusal = error
    else:
        return False
    assert str(refusal), "an error without a message"
    assert refusal.exit_code in range(1, 7)
    return True


@cache
def _scratch() -> Path:
    """Return a folder in memory, if there is one: the disk is not tested."""
    memory = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def _written(name: str, data: bytes) -> Path:
    path = _scratch() / name
    path.write_bytes(data)
    return path


def _shown(show: Callable[[EventDisplay], object]) -> None:
    """Display in plain and in colour, and check that no control characters are printed."""
    texts = []
    for color in (False, True):
        stream = io.StringIO()
        show(EventDisplay(make_console(stream, color=color, width=60, shows_invisible=True), _WIDE))
        texts.append(_STYLE.sub("", stream.getvalue()))
    _check_shown(texts[0])
    assert texts[0] == texts[1], "colour changes the text"


def _check_shown(text: str) -> None:
    assert visible(text, keep="\n", quoted=True) == text, "a terminal would obey what is shown"


# --- files that people write --------------------------------------------------------------------------


def _document(kind: str) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        document = parse_document(text, f"input.{kind}", kind)
        _check_document(document)
        if kind != "yaml":
            other = json.loads(text) if kind == "json" else tomllib.loads(text)
            assert _same(document.value, other), "another value than that of Python's own reader"

    return target


def _check_document(document: Document) -> None:
    """What is kept can be recorded, and every line is one of the text."""
    canonical_json.encode({"value": document.value})
    lines = lines_of(document.lines)
    assert all(line >= 1 for line in lines.values())
    for path in list(lines)[:50]:
        assert document.line(path) == lines[path]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and (one == other or math.isnan(one))


def config(data: bytes) -> None:
    """An experiment file of any kind, by its first byte; what it comes to can be loaded again."""
    suffix = (".yaml", ".json", ".toml")[data[0] % 3] if data else ".yaml"
    path = _written(f"experiment{suffix}", data[1:])
    loaded = ExperimentConfig.load(path)
    resolved = loaded.to_dict()
    canonical_json.encode(resolved)
    again = ExperimentConfig.from_mapping(resolved, path.parent)
    assert again.to_dict() == resolved


def _json(data: bytes) -> Any:
    return parse_document(data.decode("utf-8", "replace"), "input.json", "json").value


def policy(data: bytes) -> None:
    """A policy: what is found valid compiles, and simulates."""
    value = _json(data)
    problems = check_policy(value)
    if problems:
        raise InvalidInput(problems)
    compile_policy(value)
    _simulator().simulate({"A": value})


@cache
def _simulator() -> PaymentSimulator:
    return PaymentSimulator(GAME)


def scenario(data: bytes) -> None:
    """A scenario: what is found valid compiles."""
    value = _json(data)
    problems = check_scenario(value)
    if problems:
        raise InvalidInput(problems)
    compile_scenario(value)


def script(data: bytes) -> None:
    """A script of answers."""
    ScriptedProposer(_written("answers.jsonl", data))


def answer(data: bytes) -> None:
    """The answer of a model."""
    text = data.decode("utf-8", "surrogateescape")
    verdict = check_answer(text, lambda value: [str(each) for each in check_policy(value)], lambda _: [])
    if verdict.policy is not None:
        canonical_json.encode({"policy": verdict.policy})
    canonical_json.encode({"errors": list(verdict.errors)})


# --- types of events that somebody declares -----------------------------------------------------------


def schema(data: bytes) -> None:
    """A declared schema: one that can be used checks any event, and is read back from the run."""
    value = _json(data)
    types = EventTypes({"epoch": value})
    EventTypes.recorded(types.schemas, strict=True)
    log = EventLog(types=types)
    for fields in ({}, {key: _EVENT[key] for key in ("loss", "text", "part")}, {"loss": "x" * 300}):
        with suppress(ExprecError):
            log.append("epoch", 1, fields)
    line = types.templates.get("epoch")
    if line is not None:
        _check_shown(visible(line.render(_EVENT)))


def template(data: bytes) -> None:
    """Fuzz display templates, which never raise for any event."""
    text, _, event = data.partition(b"\n")
    try:
        line = DisplayTemplate(text.decode("utf-8", "replace"))
    except ValueError:
        return
    line.render(_EVENT)
    with suppress(ValueError):
        value = canonical_json.decode(event)
        if isinstance(value, dict):
            line.render(value)
    assert len(line.fields) <= 500


def inbox(data: bytes) -> None:
    """Fuzz the lines that a command appends to its file of events."""
    path = _scratch() / "events"
    path.unlink(missing_ok=True)
    opened = EventChannel(path, SecretGuard({"A_KEY": "s3cret-value"}))
    try:
        log = EventLog(types=EventTypes(strict=False))
        half = len(data) // 2
        for part in (data[:half], data[half:]):
            with path.open("ab") as file:
                file.write(part)
            for sent in opened.received():
                log.append(sent.event_type, sent.iteration, sent.fields)
        for sent in opened.rest():
            log.append(sent.event_type, sent.iteration, sent.fields)
    finally:
        opened.close()


# --- what exprec recorded -----------------------------------------------------------------------------


def event(data: bytes) -> None:
    """A log: every line that is an event is folded and shown."""
    sink = MemorySink()
    sink.append(data)

    def show(display: EventDisplay) -> None:
        fold = Reducer()
        for entry in LogReader(sink).entries():
            fold.apply(entry)
            display.show(entry.event)
        fold.summary()

    _shown(show)


def exchanges(data: bytes) -> None:
    """The exchanges of a run, which answer again."""
    sink = MemorySink()
    sink.append(data)
    found = list(ExchangeReader(sink, Path("exchanges.jsonl")))
    RecordedProposer(found, ModelConfig("search"))
    assert [each["index"] for each in found] == list(range(len(found)))


RUNS = ("asked", "program", "command", "failed")
FILES = (
    layout.RUN_FILE,
    layout.CONFIG_FILE,
    layout.EVENTS_FILE,
    layout.EXCHANGES_FILE,
    layout.SCHEMAS_FILE,
    "stdout",
)


@cache
def _base() -> Path:
    """Return a store to change, in which every run has a different id."""
    store = _scratch() / "store"
    shutil.copytree(ARCHIVE / "store", store)
    shutil.copytree(ARCHIVE / "work", store / layout.WORK_FOLDER)
    return store


@cache
def _archived(name: str) -> str:
    return (ARCHIVE / "store" / layout.TAGS_FOLDER / name).read_text("ascii").strip()


def replaced(data: bytes) -> tuple[str, str, bytes, bool]:
    """Choose from the first bytes which file of which run the rest replaces, and whether the head is forged."""
    choice = data[0] if data else 0
    run_number, file_number = choice % len(RUNS), choice // len(RUNS) % len(FILES)
    return RUNS[run_number], FILES[file_number], data[1:], choice >= FORGED


FORGED = 128
"""The first byte of an input from which on the head is forged too."""


@contextmanager
def _other_run(data: bytes) -> Iterator[Path]:
    """The folder of a run in which, for a while, a file has other bytes."""
    name, file, content, is_forged = replaced(data)
    folder = _base() / _archived(name)
    with _Changed(folder / file, content):
        if is_forged and file != layout.RUN_FILE:
            head = json.loads((folder / layout.RUN_FILE).read_bytes())
            digest = hashlib.sha256(content).hexdigest()
            head["files"][file] = {"sha256": digest, "size": len(content)}
            head["inputs"] = digest if file == layout.CONFIG_FILE else head["inputs"]
            with _Changed(folder / layout.RUN_FILE, canonical_json.encode(head, indent=True)):
                yield folder
        else:
            yield folder


class _Changed:
    """A store in which one file has other bytes for a while."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._before = path.read_bytes() if path.exists() else None
        path.write_bytes(data)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            self._path.unlink()
        else:
            self._path.write_bytes(self._before)


def run(data: bytes) -> None:
    """A run with another file: it is verified, shown, compared and listed."""
    with _other_run(data) as folder:
        for quick in (True, False):
            for problem in verify_run(RunDirectory(folder), quick=quick):
                assert str(problem)
        refusals = [_refusal(each, folder) for each in (_show_run, _ask_run, _compare_run)]
        for row in list_runs(Store(_base())):
            json.dumps(row.as_dict())
    for refusal in refusals:
        if refusal is not None:
            raise refusal


def _refusal(ask: Callable[[Path], None], folder: Path) -> ExprecError | None:
    try:
        ask(folder)
    except ExprecError as error:
        return error
    return None


def _show_run(folder: Path) -> None:
    provider = DatabaseStateProvider(RunDirectory(folder))
    stream = io.StringIO()
    display_experiment_output(provider, make_console(stream, color=False, width=60, shows_invisible=True), _WIDE)
    _check_shown(stream.getvalue())


def _ask_run(folder: Path) -> None:
    directory = RunDirectory(folder)
    provider = DatabaseStateProvider(directory)
    provider.get_experiment_info()
    provider.get_run_metadata()
    provider.get_final_result()
    for index in range(min(5, provider.get_total_iterations())):
        provider.get_iteration_costs(index)
        provider.get_iteration_accepted_changes(index)
        provider.get_iteration_policies(index)
        provider.get_iteration_events(index)
    directory.exchanges()
    directory.other_files()
    EventTypes.recorded(directory.schemas, strict=True)


def _compare_run(folder: Path) -> None:
    directory = RunDirectory(folder)
    # Of the address that its folder claims, nothing would be read.
    directory.__dict__["run_id"] = "0" * 64
    json.dumps(diff(RunDirectory(ARCHIVE / "store" / folder.name), directory).as_dict())


def _in_store(place: Callable[[bytes], str]) -> Callable[[bytes], None]:
    """A store with another file at a place; it is opened, listed, verified, and asked for what is there."""

    def target(data: bytes) -> None:
        path = _base() / place(data)
        path.parent.mkdir(exist_ok=True)
        with _Changed(path, data):
            store = Store(_base())
            for problem in verify_store(store):
                assert str(problem)
            for run in list_runs(store):
                json.dumps(run.as_dict())
            for reference in ("fuzz", *store.tags()):
                with suppress(ExprecError):
                    store.resolve(reference)
            for row in list_orphans(store):
                assert row.orphan.size >= 0
            for run_id in store.run_ids():
                store.attestations(run_id)

    return target


def work(data: bytes) -> None:
    """An interrupted run: what is beside it up to the first zero byte, and its log."""
    head, _, log = data.partition(b"\0")
    folder = _base() / layout.WORK_FOLDER / "0123456789abcdef"
    folder.mkdir(exist_ok=True)
    with _Changed(folder.with_name(f"{folder.name}.json"), head), _Changed(folder / layout.EVENTS_FILE, log):
        (folder / layout.CONFIG_FILE).write_bytes(b"{}\n")
        list_runs(Store(_base()))
        list_orphans(Store(_base()))
        assert list(verify_run(RunDirectory(folder)))
        _show_run(folder)
        _ask_run(folder)


# --- the command --------------------------------------------------------------------------------------

CALLS: tuple[tuple[str, ...], ...] = (
    ("show", "RUN", "-v"),
    ("show", "RUN", "--json", "--iteration", "1-2"),
    ("show", "RUN", "--event", "epoch", "--color", "always"),
    ("verify", "RUN"),
    ("verify", "RUN", "--json", "--quick"),
    ("diff", "RUN", "OTHER"),
    ("diff", "OTHER", "RUN", "--json"),
    ("diff", "RUN", "OTHER", "--md"),
    ("log",),
    ("log", "--json", "--sort", "cost"),
    ("rerun", "RUN"),
    ("gc",),
)


def command(data: bytes) -> None:
    """The command on a run with another file, by the first two bytes: it ends with a code, and no traceback."""
    words = CALLS[data[0] % len(CALLS)] if data else CALLS[0]
    if words[0] == "rerun" and (b"argv" in data or replaced(data[1:])[0] == "command"):
        # It would execute whatever came.
        return
    with _other_run(data[1:]) as folder:
        # Of one address, nothing would be compared.
        other = _base() / _archived("failed" if folder.name == _archived("asked") else "asked")
        places = {"RUN": str(folder), "OTHER": str(other)}
        _invoke([*(places.get(word, word) for word in words), "--store", str(_base())])


def check(data: bytes) -> None:
    """Fuzz `exprec check` and `exprec simulate`; the first byte chooses the kind of file."""
    suffix = (".yaml", ".json", ".toml", ".txt")[data[0] % 4] if data else ".yaml"
    path = _written(f"input{suffix}", data[1:])
    _invoke(["check", str(path)])
    _invoke(["check", "--json", str(path)])


def arguments(data: bytes) -> None:
    """Fuzz the arguments, each ended by a zero byte, of commands that change nothing."""
    names = ("show", "log", "verify", "diff", "check", "schema", "tag", "review")
    words = [word.decode("utf-8", "surrogateescape") for word in data[1:].split(b"\0")]
    if any(word.startswith("/") for word in words):
        # Some files of the system never end.
        return
    _invoke([names[data[0] % len(names) if data else 0], *words])


def _invoke(words: list[str]) -> None:
    done = make_runner().invoke(cli, words, env={"EXPREC_STORE": str(_base())})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in range(7), done.exit_code
    assert "Traceback" not in done.stderr


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": _document("json"),
    "toml": _document("toml"),
    "yaml": _document("yaml"),
    "config": config,
    "policy": policy,
    "scenario": scenario,
    "script": script,
    "answer": answer,
    "schema": schema,
    "template": template,
    "inbox": inbox,
    "event": event,
    "exchanges": exchanges,
    "run": run,
    "store": _in_store(lambda _: layout.STORE_FILE),
    "tag": _in_store(lambda _: f"{layout.TAGS_FOLDER}/fuzz"),
    "attestation": _in_store(lambda _: f"{layout.ATTESTATIONS_FOLDER}/{_archived('asked')}/{'f' * 64}.json"),
    "work": work,
    "command": command,
    "check": check,
    "arguments": arguments,
}
