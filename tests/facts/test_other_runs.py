"""Runs of programs and of commands, with their own event types and files."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from exprec import schemas
from exprec.recorder.errors import InvalidEvent, InvalidInput
from exprec.recorder.events import EventTypes
from exprec.recorder.format import layout
from exprec.recorder.fs import durable
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store import artifacts
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.log import EventLog
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import WorkRun
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.events import EVENT_TYPES, OTHER_TYPES
from tests.fixtures.files import read_json, read_json_lines
from tests.fixtures.git import git_tree_id
from tests.fixtures.paths import ROOT
from tests.fixtures.runs import ARTIFACTS, EPOCH, OUTPUT, Run, record_command, seal, sealed_run

CHILD = """
import os, sys
sys.stdout.buffer.write(b"out \\xff\\x00 no newline")
sys.stderr.write("to stderr\\n")
with open(os.environ["EXPREC_EVENTS"], "a") as events:
    events.write('{"event_type":"epoch","iteration":1,"loss":0.5}\\n')
    events.write('{"event_type":"note","text":"anything"}\\n')
os.makedirs("made/deep", exist_ok=True)
with open("made/deep/model.bin", "wb") as file:
    file.write(b"weights")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def command(tmp_path: Path) -> RunDirectory:
    """The run of a command, recorded through the library."""
    store = Store.open_or_create(tmp_path / "runs")
    return RunDirectory(record_command(store).path)


def _recorded(folder: Path, *options: str, status: int = 0) -> Run:
    """Record the run of a command with `exprec run` in a new folder."""
    folder.mkdir()
    (folder / "child.py").write_text(CHILD)
    (folder / "data.csv").write_bytes(b"a,b\n")
    words = ("run", *options, "--artifact", "made/deep/model.bin", "--", sys.executable, "child.py", str(status))
    done = exprec(*words, cwd=folder, code=status)
    return Run(sealed_run(folder).folder, folder / "child.py", done.stdout)


@pytest.mark.fact("F74")
def test_the_type_says_who_recorded_a_run(searched: Run, tmp_path: Path) -> None:
    assert searched.head["type"] == "generic"
    assert _recorded(tmp_path / "one").head["type"] == "command"
    program = "from exprec import recorder\nwith recorder.record('loop', store='runs') as run: run.event('x')\n"
    exprec("log", cwd=tmp_path, first=program)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert read_json(tmp_path / "runs" / run_id / "run.json")["type"] == "python"


@pytest.mark.fact("F75")
def test_config_of_a_command_is_its_request(tmp_path: Path) -> None:
    plain = _recorded(tmp_path / "one")
    argv = [sys.executable, "child.py", "0"]
    asked: dict[str, Any] = {"argv": argv, "inputs": {}, "artifacts": ["made/deep/model.bin"]}
    assert plain.config == {"command": asked, "strict": False}
    more = ("--input", "data.csv", "--name", "mine", "--artifact-limit", "1000", "--strict")
    types = tmp_path / "types"
    types.mkdir()
    for name in ("epoch", "note"):
        (types / f"{name}.schema.json").write_text("{}")
    whole = _recorded(tmp_path / "two", *more, "--schemas", str(types))
    digest = {"sha256": hashlib.sha256(b"a,b\n").hexdigest(), "size": 4}
    asked |= {"inputs": {"data.csv": digest}, "artifact_limit": 1000}
    assert whole.config == {"command": asked, "name": "mine", "strict": True}
    # Elsewhere it is the same run.
    assert _recorded(tmp_path / "three").run_id == plain.run_id


@pytest.mark.fact("F75", "F16")
@pytest.mark.parametrize("given", ["absolute", "../data.csv", ".././one/../data.csv", "../one/in.csv"])
def test_an_input_gives_the_same_run_id_in_every_folder(tmp_path: Path, given: str) -> None:
    (tmp_path / "data.csv").write_text("a,b\n")
    path = str(tmp_path / "data.csv") if given == "absolute" else given
    run_ids = set()
    for folder in ("one", "two", "deep/three") if given == "absolute" else ("one", "two"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "one" / "in.csv").write_text("a,b\n")
        words = ("run", "-q", "--store", tmp_path / "store", "--input", path, "--", "cat", path)
        run_ids.add(exprec(*words, cwd=tmp_path / folder).stdout)
    if given == "absolute":
        words = ("run", "-q", "--store", tmp_path / "store", "--input", path, "--", "cat", path)
        run_ids.add(exprec(*words, cwd=tmp_path).stdout)
    assert len(run_ids) == 1


@pytest.mark.fact("F76", "F29")
def test_output_of_a_command_is_recorded_byte_by_byte(tmp_path: Path, every_run: tuple[Run, ...]) -> None:
    run = _recorded(tmp_path / "one")
    assert (run.folder / "stdout").read_bytes() == run.stdout == b"out \xff\x00 no newline"
    assert (run.folder / "stderr").read_bytes() == b"to stderr\n"
    silent = exprec("run", "--store", tmp_path / "silent", "--", sys.executable, "-c", "", cwd=tmp_path)
    assert silent.stdout == b""
    (run_id,) = Store(tmp_path / "silent").run_ids()
    for stream in ("stdout", "stderr"):
        assert (tmp_path / "silent" / run_id / stream).read_bytes() == b""
        assert not any((other.folder / stream).exists() for other in every_run)


@pytest.mark.fact("F77", "F17", "F25", "F29")
def test_artifacts_are_files_of_the_run(command: RunDirectory) -> None:
    for name, data in ARTIFACTS.items():
        assert (command.path / "artifacts" / name).read_bytes() == data
    others = {
        str(path.relative_to(command.path)): path.read_bytes() for path in command.path.rglob("*") if path.is_file()
    }
    del others["run.json"]
    assert others.keys() >= {f"artifacts/{name}" for name in ARTIFACTS} | OUTPUT.keys()
    assert command.head["files"] == {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in others.items()
    }
    assert command.run_id == folder_id(command.path) == git_tree_id(command.path)


@pytest.mark.fact("F15")
def test_run_has_no_other_folders(command: RunDirectory) -> None:
    assert {path.name for path in command.path.iterdir() if path.is_dir()} == {"artifacts"}
    names = {"run.json", "config.json", "events.jsonl", "schemas.json", "stdout", "stderr"}
    assert {path.name for path in command.path.iterdir() if path.is_file()} == names


def _by_the_formula(folder: Path) -> bytes:
    """Compute the run id by F23 to F25, independently of exprec."""

    def id_of(kind: str, data: bytes) -> bytes:
        return hashlib.sha256(f"{kind} {len(data)}\0".encode() + data).digest()

    entries = []
    for path in folder.iterdir():
        mode, digest = (
            ("40000", _by_the_formula(path)) if path.is_dir() else ("100644", id_of("blob", path.read_bytes()))
        )
        key = path.name.encode() + (b"/" if path.is_dir() else b"")
        entries.append((key, f"{mode} {path.name}\0".encode() + digest))
    return id_of("tree", b"".join(entry for _, entry in sorted(entries)))


@pytest.mark.fact("F24", "F25")
def test_run_id_covers_nested_folders(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    recording = store.begin("names", "python", {})
    for name in ("a/b", "a.b", "a-", "a0", "a-b/c", "é/x"):
        (tmp_path / "source").write_text(name)
        recording.artifacts.add(name, tmp_path / "source")
    provider = LiveStateProvider("names", "python", recording=recording)
    provider.record_event(0, "run_end", {})
    sealed = seal(provider)
    assert sealed.run_id == _by_the_formula(sealed.path).hex() == git_tree_id(sealed.path)


NO_NAMES = ["", "/a", "a/", "a//b", ".", "a/../b", "./a", "a\\b", "a\nb", "a\x1b", "\ud800", "a/.git", ".GitIgnore"]
NO_NAMES += [".gitx/a", "x" * 201, "/".join(["x" * 150] * 7)]


@pytest.mark.fact("F78")
def test_characters_that_no_name_has_are_those_of_the_page() -> None:
    page = (ROOT / "schemas" / "FORMAT.md").read_text("utf-8")
    listed = page.partition("whatever version of Unicode: U+")[2].partition(". No folder")[0].split(",")
    ranges = [each.strip().partition("-") for each in listed]
    refused = {code for first, _, last in ranges for code in range(int(first, 16), int(last or first, 16) + 1)}
    assert len(refused) > 100_000
    for code in range(0x110000):
        is_refused = code in refused or chr(code) == "\\"
        assert (layout.artifact_name_problem(f"a{chr(code)}b") is not None) == is_refused, hex(code)


@pytest.mark.fact("F78")
@pytest.mark.parametrize("name", NO_NAMES)
def test_invalid_artifact_names_are_refused(tmp_path: Path, name: str) -> None:
    recording = Store.open_or_create(tmp_path / "runs").begin("names", "python", {})
    (tmp_path / "source").write_bytes(b"")
    with pytest.raises(InvalidInput, match="artifact"):
        recording.artifacts.add(name, tmp_path / "source")
    assert not (recording.folder / "artifacts").exists()
    recording.close()


@pytest.mark.fact("F78")
@pytest.mark.parametrize(
    "name", ["a b", "é", "決済/済", ".hidden", "a.git", "git/x", "x" * 200, "/".join(["x" * 190] * 5)]
)
def test_names_that_an_artifact_can_have(tmp_path: Path, name: str) -> None:
    recording = Store.open_or_create(tmp_path / "runs").begin("names", "python", {})
    (tmp_path / "source").write_bytes(b"data")
    recording.artifacts.add(name, tmp_path / "source")
    assert (recording.folder / "artifacts" / name).read_bytes() == b"data"
    recording.close()


def _begin(tmp_path: Path) -> WorkRun:
    return Store.open_or_create(tmp_path / "runs").begin("artifacts", "python", {})


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.fact("F103")
def test_a_folder_is_its_files_and_the_last_one_of_a_name_counts(tmp_path: Path) -> None:
    recording = _begin(tmp_path)
    for content in ("first", "last"):
        folder = tmp_path / content
        (folder / "deep" / "empty").mkdir(parents=True)
        (folder / f"{content}.txt").write_text(content)
        (folder / "deep" / "link").symlink_to(f"../{content}.txt")
        recording.artifacts.add("out", folder)
        recording.artifacts.add("best", folder / f"{content}.txt")
    expected = {"best": b"last", "out/deep/link": b"last", "out/last.txt": b"last"}
    assert _files(recording.folder / "artifacts") == expected
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidInput, match="a folder without files"):
        recording.artifacts.add("none", tmp_path / "none")
    left_out = recording.artifacts.add("out", tmp_path / "last", is_new=lambda path: path.name == "link")
    assert left_out == ("out/last.txt",)
    assert _files(recording.folder / "artifacts") == {"best": b"last", "out/deep/link": b"last"}
    recording.close()


@pytest.mark.fact("F104")
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_file_that_changes_while_it_is_copied_is_copied_again(
    tmp_path: Path, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = _begin(tmp_path)
    source, contents = tmp_path / "source", itertools.count(1)
    source.write_bytes(b"0" * 10_000)
    write_all = durable._write_all

    def write_and_change(handle: int, data: bytes) -> None:
        write_all(handle, data)
        number = next(contents)
        if number % 3 == 1 and number < 3 * attempts:
            source.write_bytes(str(number).encode() * 10_000)

    # Each attempt writes two pieces and an empty one; the file changes after the first.
    monkeypatch.setattr(artifacts, "_CHUNK_BYTES", 5000)
    monkeypatch.setattr(durable, "_write_all", write_and_change)
    with pytest.raises(InvalidInput, match="changed while it was copied") if attempts == 3 else nullcontext():
        recording.artifacts.add("a", source)
    assert [len(set(data)) for data in _files(recording.folder / "artifacts").values()] == ([1] if attempts < 3 else [])
    assert not (recording.folder / layout.WORK_DRAFT).exists()
    recording.close()


@pytest.mark.fact("F105")
def test_a_missing_artifact_costs_nothing_else(tmp_path: Path) -> None:
    recording = _begin(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "missing", tmp_path / "pipe"):
        with pytest.raises(InvalidInput, match="cannot be kept"):
            recording.artifacts.add("it", source)
    (tmp_path / "there").write_bytes(b"data")
    recording.artifacts.add("it", tmp_path / "there")
    provider = LiveStateProvider("artifacts", "python", recording=recording)
    provider.record_event(0, "run_end", {})
    assert _files(seal(provider).path / "artifacts") == {"it": b"data"}


@pytest.mark.fact("F106")
def test_names_of_one_file_on_some_system_are_refused(tmp_path: Path) -> None:
    recording = _begin(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_bytes(b"data")
    for first, second in (("Model", "model"), ("é", "e\u0301"), ("a/b", "A/c")):
        recording.artifacts.add(first, tmp_path / "out" / "x")
        for source in (tmp_path / "out" / "x", tmp_path / "out"):
            with pytest.raises(InvalidInput, match="are one name on some systems"):
                recording.artifacts.add(second, source)
    for name in ("a<b", "a:b", "a?", "x.", "x ", "Con", "nul.txt", "com1.tar.gz", "a/CONOUT$/b"):
        assert "Windows" in (layout.portability_problem(name) or ""), name
        assert layout.artifact_name_problem(name) is None, "valid in a run"
    store = Store(tmp_path / "runs")
    run_id = record_command(store).run_id
    store.tag("Best", run_id)
    for tag in ("best", "Con"):
        with pytest.raises(InvalidInput):
            store.tag(tag, run_id)
    for name in ("a.b", "console", "com10", "x/.y", "a b", "lpt", "é"):
        assert layout.portability_problem(name) is None, name
    recording.close()


@pytest.mark.fact("F79", "F13")
def test_the_schema_of_a_declared_type_is_embedded_with_the_envelope(command: RunDirectory) -> None:
    embedded = command.schemas
    assert set(embedded) == {"event.epoch.v1", "event.v1", "event.command_end.v1", "event.run_end.v1"}
    epoch = copy.deepcopy(embedded["event.epoch.v1"])
    assert epoch.pop("type") == "object"
    assert set(epoch.pop("required")) == {"seq", "event_type", "iteration", *EPOCH["required"]}
    properties = epoch.pop("properties")
    assert [set(properties.pop(name)) >= {"type"} for name in ("seq", "iteration")] == [True, True]
    assert properties.pop("event_type") == {"const": "epoch"}
    assert properties == EPOCH["properties"]
    assert epoch == {key: value for key, value in EPOCH.items() if key not in ("properties", "required")}
    # By a validator that knows nothing of exprec.
    for event in read_json_lines(command.path / "events.jsonl"):
        name = f"event.{event['event_type']}.v1"
        Draft202012Validator(embedded.get(name, embedded["event.v1"])).validate(event)
    assert list(verify_run(command)) == []


@pytest.mark.fact("F79")
@pytest.mark.parametrize("kind", ["", "Epoch", "1st", "a-b", "a.b", "é", "x" * 65, *EVENT_TYPES, *OTHER_TYPES])
def test_reserved_event_types_cannot_be_declared(kind: str) -> None:
    with pytest.raises(InvalidInput):
        EventTypes({kind: {}})


@pytest.mark.fact("F79")
def test_nesting_is_limited_where_a_schema_multiplies_evaluations() -> None:
    tree = {"anyOf": [{"additionalProperties": {"$ref": "#/$defs/tree"}}] * 10}
    log = EventLog(types=EventTypes({"x": {"$defs": {"tree": tree}, "properties": {"a": {"$ref": "#/$defs/tree"}}}}))
    value: Any = {"b": 1}
    # The value on level n is asked about 10 ** (n - 1) times by each of the parts.
    for _ in range(4):
        value = {"b": value}
    assert log.append("x", 0, {"a": value}).event["a"] == value
    with pytest.raises(InvalidEvent, match="a: is nested 7 levels deep, and its schema can be asked about 6"):
        log.append("x", 0, {"a": {"b": value}})
    wide = {str(n): 1 for n in range(10_000)}
    assert log.append("x", 0, {"a": {"b": wide}})
    with pytest.raises(InvalidEvent, match="has too many values on 5 levels"):
        log.append("x", 0, {"a": {"b": {"b": {"b": wide}}}})


@pytest.mark.fact("F80")
def test_undeclared_types_need_only_the_envelope(command: RunDirectory) -> None:
    assert command.schemas["event.v1"] == schemas.load("event.v1")
    refusing, taking = EventLog(types=EventTypes({"epoch": EPOCH})), EventLog(types=EventTypes(strict=False))
    with pytest.raises(InvalidEvent, match="unknown event type"):
        refusing.append("note", 0, {"text": "x"})
    assert taking.append("note", 7, {"anything": [{"at": None}]}).event["iteration"] == 7
    with pytest.raises(InvalidEvent, match="iteration"):
        taking.append("note", -1, {})
    with pytest.raises(InvalidEvent, match="no event type"):
        taking.append("Not a type", 0, {})


@pytest.mark.fact("F81")
def test_declared_type_is_displayed_by_its_template(command: RunDirectory, tmp_path: Path) -> None:
    shown = exprec("show", command.path, "--event", "epoch").stdout.decode()
    assert shown == "epoch 1: loss 2.000\nepoch 2: loss 1.333\n"
    line = "{{{n:>4}}} {n:+,d} {part.text} {gone} {part.gone:.2f}"
    log = EventLog(types=EventTypes({"x": {"x-exprec-display": line}}))
    log.append("x", 0, {"n": "any value, since it changes no verdict"})
    store = Store.open_or_create(tmp_path / "other")
    provider = LiveStateProvider(
        "x",
        "python",
        recording=store.begin("x", "python", {}, types=EventTypes({"x": {"x-exprec-display": line}})),
    )
    provider.record_event(0, "x", {"n": 12345, "part": {"text": "within"}})
    provider.record_event(0, "run_end", {})
    sealed = seal(provider)
    assert exprec("show", sealed.path).stdout.decode().splitlines()[0] == "{12345} +12,345 within – –"


@pytest.mark.fact("F82", "F19")
def test_a_run_end_has_the_result(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    provider = LiveStateProvider("loop", "python", recording=store.begin("loop", "python", {}))
    result = {"accuracy": 0.9, "names": ["a", {"b": None}]}
    provider.record_event(0, "run_end", result)
    assert provider.get_final_result() == result
    sealed = seal(provider)
    head = read_json(sealed.path / "run.json")
    assert (head["status"], head["result"], head["failure"]) == ("completed", result, None)
    with pytest.raises(InvalidEvent, match="iteration"):
        EventLog().append("run_end", 1, {})


@pytest.mark.fact("F83", "F84", "F57")
@pytest.mark.parametrize(("status", "last"), [(0, "run_end"), (3, "experiment_failed")])
def test_end_of_a_command_is_recorded(tmp_path: Path, status: int, last: str) -> None:
    run = _recorded(tmp_path / "one", status=status)
    assert [event["event_type"] for event in run.events[-2:]] == ["command_end", last]
    assert (run.events[-2]["exit_status"], run.events[-2]["signal"]) == (status, None)
    assert run.head["status"] == ("failed" if status else "completed")


@pytest.mark.fact("F83", "F84")
def test_signal_or_missing_program_ends_a_command(tmp_path: Path) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    exprec("run", "--store", tmp_path / "one", "--", sys.executable, "-c", kill, code=128 + 9)
    exprec("run", "--store", tmp_path / "two", "--", tmp_path / "no such command", code=127)
    for name, signal in (("one", "SIGKILL"), ("two", None)):
        (run_id,) = Store(tmp_path / name).run_ids()
        end, failure = read_json_lines(tmp_path / name / run_id / "events.jsonl")
        assert (end["event_type"], end["exit_status"], end["signal"]) == ("command_end", None, signal)
        assert failure["event_type"] == "experiment_failed"


@pytest.mark.fact("F84")
def test_missing_artifact_fails_the_run(tmp_path: Path) -> None:
    words = ("--artifact", "never.made", "--", sys.executable, "-c", "")
    exprec("run", "--store", tmp_path / "runs", *words, cwd=tmp_path, code=3)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    end, failure = read_json_lines(tmp_path / "runs" / run_id / "events.jsonl")
    assert end["exit_status"] == 0
    assert "never.made" in failure["message"]


@pytest.mark.fact("F85")
def test_the_order_of_the_streams_is_not_recorded(tmp_path: Path) -> None:
    """Commands that write the same to both streams in another order differ only in their arguments."""
    out, err = "sys.stdout.write('out\\n'); sys.stdout.flush()", "sys.stderr.write('err\\n'); sys.stderr.flush()"
    event = 'open(os.environ["EXPREC_EVENTS"], "a").write(\'{"event_type":"x"}\\n\')'
    contents = []
    for number, parts in enumerate(((out, err, event), (event, err, out))):
        store = tmp_path / str(number)
        exprec("run", "--store", store, "--", sys.executable, "-c", "; ".join(("import os, sys", *parts)))
        (run_id,) = Store(store).run_ids()
        names = ("stdout", "stderr", "events.jsonl", "schemas.json")
        contents.append([(store / run_id / name).read_bytes() for name in names])
    assert contents[0] == contents[1]
    assert contents[0][:2] == [b"out\n", b"err\n"]


@pytest.mark.fact("F10", "F16")
def test_rules_of_experiments_do_not_apply_to_other_runs(command: RunDirectory, searched: Run, tmp_path: Path) -> None:
    assert command.config["command"]["argv"] == ["train", "--lr", "0.1"]
    assert "scenario" in searched.config
    again = record_command(Store.open_or_create(tmp_path / "again"))
    assert again.run_id == command.run_id


@pytest.mark.fact("F86")
def test_events_are_appended_to_a_file_of_the_store(tmp_path: Path) -> None:
    child = """
import os
path = os.environ["EXPREC_EVENTS"]
print(path, os.path.getsize(path))
with open(path, "a") as events:
    events.write('{"event_type":"one"}\\n{"event_type":"two","iteration":3,"seven":7}\\n')
"""
    printed = exprec("run", "--store", tmp_path / "runs", "--", sys.executable, "-c", child).stdout.decode()
    path, size = printed.split()
    assert Path(path).parent == tmp_path / "runs" / ".work"
    assert re.fullmatch(r"[0-9a-f]{16}\.events", Path(path).name)
    assert size == "0"
    (run_id,) = Store(tmp_path / "runs").run_ids()
    one, two, *_ = read_json_lines(tmp_path / "runs" / run_id / "events.jsonl")
    assert one == {"event_type": "one", "iteration": 0, "seq": 0}
    assert two == {"event_type": "two", "iteration": 3, "seq": 1, "seven": 7}
    assert list((tmp_path / "runs" / ".work").iterdir()) == []


@pytest.mark.fact("F86", "F109")
def test_a_line_that_is_no_event_is_left_out_and_the_config_says_what_it_does(tmp_path: Path) -> None:
    ends = {}
    for mode in ("fail", "mark", "drop"):
        store = tmp_path / mode
        words = ("sh", "-c", 'echo bad >> "$EXPREC_EVENTS"; echo \'{"event_type":"one"}\' >> "$EXPREC_EVENTS"')
        options = ("--store", store, "--on-bad-event", mode)
        exprec("run", *options, "--", *words, cwd=tmp_path, code=3 if mode == "fail" else 0)
        (run_id,) = Store(store).run_ids()
        one, end, ends[mode] = read_json_lines(store / run_id / "events.jsonl")
        assert (one["event_type"], end["exit_status"]) == ("one", 0)
        command = json.loads((store / run_id / "config.json").read_bytes())["command"]
        assert command.get("on_bad_event", "fail") == mode
    assert ends["fail"]["message"].startswith("line 1 of EXPREC_EVENTS: is not valid JSON")
    assert ends["mark"]["bad_events"] == {"count": 1, "first": [ends["fail"]["message"]]}
    assert ends["drop"] == {"event_type": "run_end", "iteration": 0, "seq": 2}
