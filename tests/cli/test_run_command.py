"""`exprec run -- COMMAND`: everything a command does is recorded and passed on unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.cli import START, exprec, inherited_environment
from tests.fixtures.runs import SealedRun, sealed_run

# Prints to both streams, in pieces that are no lines and no text.
NOISY = r"""
import os
for number in range(50):
    os.write(1, b"out %d \xff\x00\r" % number)
    os.write(2, b"err %d \x1b[31m\n" % number)
os.write(1, b"no newline at the end")
"""


def _python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def test_both_streams_are_passed_on_recorded_and_shown_byte_for_byte(tmp_path: Path) -> None:
    done = exprec("run", "--", *_python(NOISY), cwd=tmp_path)
    run = sealed_run(tmp_path)
    assert done.stdout == run.read("stdout")
    assert done.stdout == b"".join(b"out %d \xff\x00\r" % n for n in range(50)) + b"no newline at the end"
    assert run.read("stderr") == b"".join(b"err %d \x1b[31m\n" % n for n in range(50))
    assert done.stderr == run.read("stderr") + f"Run {run.run_id}\n".encode()
    shown = exprec("show", run.run_id, cwd=tmp_path)
    assert (shown.stdout, shown.stderr) == (done.stdout, done.stderr)
    exprec("verify", run.run_id, cwd=tmp_path)


def test_what_is_recorded_of_a_command(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(b"123")
    words = ["sh", "-c", "cat data.txt > made.txt"]
    exprec("run", "--input", "data.txt", "--artifact", "made.txt", "--", *words, cwd=tmp_path)
    run = sealed_run(tmp_path)
    digest = "a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"
    inputs = {"data.txt": {"sha256": digest, "size": 3}}
    assert run.config == {
        "command": {"argv": words, "artifacts": ["made.txt"], "inputs": inputs},
        "strict": False,
    }
    assert run.read("artifacts/made.txt") == b"123"
    assert [event["event_type"] for event in run.events] == ["command_end", "run_end"]
    assert not list((tmp_path / "runs" / ".work").iterdir()), "the file of events is gone"
    exprec("verify", run.run_id, cwd=tmp_path)


def test_same_command_has_one_run_id_on_any_day_and_in_any_store(tmp_path: Path) -> None:
    first, second = (
        exprec("run", "-q", "--store", tmp_path / store, "--", *_python(NOISY), cwd=tmp_path).stdout
        for store in ("one", "other")
    )
    assert first == second
    again = exprec("run", "-q", "--store", tmp_path / "one", "--", *_python(NOISY), cwd=tmp_path)
    assert again.stdout == first
    assert again.stderr == b"exprec: reproduced: execution 2 with the same run id\n"


def test_run_id_is_on_its_own_line_after_output_without_a_newline(tmp_path: Path) -> None:
    done = exprec("run", "--", "sh", "-c", "printf half >&2", cwd=tmp_path)
    run = sealed_run(tmp_path)
    assert run.read("stderr") == b"half"
    assert done.stderr == f"half\nRun {run.run_id}\n".encode()
    assert exprec("show", run.run_id, cwd=tmp_path).stderr == done.stderr


@pytest.mark.parametrize("words", [["true"], ["sh", "-c", "exec 1>&- 2>&-; exit 0"]], ids=["silent", "closes both"])
def test_a_command_that_writes_nothing(words: list[str], tmp_path: Path) -> None:
    done = exprec("run", "--", *words, cwd=tmp_path)
    run = sealed_run(tmp_path)
    assert run.read("stdout") == run.read("stderr") == done.stdout == b""
    exprec("verify", run.run_id, cwd=tmp_path)


def test_command_may_close_its_streams(tmp_path: Path) -> None:
    exprec("run", "--artifact", "made", "--", "sh", "-c", "exec 1>&- 2>&-; sleep 0.2; echo x > made", cwd=tmp_path)
    assert sealed_run(tmp_path).read("artifacts/made") == b"x\n"


def test_exit_status_of_the_command_is_that_of_exprec(tmp_path: Path) -> None:
    exprec("run", "--", "sh", "-c", "echo so; exit 7", cwd=tmp_path, code=7)
    run = sealed_run(tmp_path)
    assert run.head["failure"] == {"error_type": "ExitStatus", "message": "exit status 7"}
    assert run.events[0]["exit_status"] == 7
    exprec("verify", run.run_id, cwd=tmp_path)


def test_a_command_that_a_signal_ends(tmp_path: Path) -> None:
    done = exprec("run", "--", "sh", "-c", "echo so; kill -KILL $$", cwd=tmp_path, code=137)
    run = sealed_run(tmp_path)
    assert done.stdout == b"so\n"
    assert run.events[0] == {
        "event_type": "command_end", "exit_status": None, "iteration": 0, "seq": 0, "signal": "SIGKILL",
    }  # fmt: skip
    assert run.head["failure"] == {"error_type": "Signal", "message": "ended by SIGKILL"}


@pytest.mark.parametrize(
    ("word", "code", "reason"),
    [
        ("no-such-command", 127, "there is no such command on the PATH"),
        ("./none", 127, "there is no such file, or the interpreter that it names is not there"),
        ("./plain", 126, "it may not be executed; is it a program, and executable (chmod +x)?"),
        ("./folder", 126, "it may not be executed"),
        ("./garbage", 126, "it is not a program that this system can execute"),
        ("./lost", 127, "the interpreter that it names is not there"),
    ],
)
def test_a_command_that_cannot_be_started(word: str, code: int, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, content in (("plain", b"echo"), ("garbage", b"\x00\x01"), ("lost", b"#!/no/such/thing\n")):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)
    done = exprec("run", "--", word, cwd=tmp_path, code=code)
    run = sealed_run(tmp_path)
    failure = run.head["failure"]
    assert failure["error_type"] == "NotStarted"
    assert reason in failure["message"]
    assert done.stderr.decode() == f"exprec: the run failed: {failure['message']}\nRun {run.run_id}\n"
    assert run.events[0]["exit_status"] is run.events[0]["signal"] is None
    exprec("verify", run.run_id, cwd=tmp_path)


def test_a_command_has_the_stdin_of_exprec(tmp_path: Path) -> None:
    assert exprec("run", "--", "tr", "a-z", "A-Z", cwd=tmp_path, stdin=b"loud\n").stdout == b"LOUD\n"
    assert sealed_run(tmp_path).read("stdout") == b"LOUD\n"


def test_background_process_does_not_delay_the_seal(tmp_path: Path) -> None:
    done = exprec("run", "--", "sh", "-c", "sleep 30 & echo $! > pid; echo so", cwd=tmp_path)
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert done.stdout == sealed_run(tmp_path).read("stdout") == b"so\n"
    assert done.stderr.count(b"a process started by the command still has its") == 2


def test_twenty_megabytes_in_full(tmp_path: Path) -> None:
    program = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 78125)"
    done = exprec("run", "--", *_python(program), cwd=tmp_path)
    assert done.stdout == sealed_run(tmp_path).read("stdout") == bytes(range(256)) * 78125


SENDS = r"""
import json, os, sys
print("begin")
with open(os.environ["EXPREC_EVENTS"], "a") as events:
    for epoch in (1, 2):
        print(json.dumps({"event_type": "epoch", "iteration": epoch, "loss": 1 / epoch}), file=events, flush=True)
    events.write('{"event_type": "note", "text": "no newline"}')
print("end")
"""

BEGUN = [
    {"event_type": "epoch", "iteration": 1, "loss": 1.0, "seq": 0},
    {"event_type": "epoch", "iteration": 2, "loss": 0.5, "seq": 1},
    {"event_type": "note", "iteration": 0, "seq": 2, "text": "no newline"},
]


def test_events_that_a_command_sends(tmp_path: Path) -> None:
    done = exprec("run", "--", *_python(SENDS), cwd=tmp_path)
    run = sealed_run(tmp_path)
    assert run.events[:3] == BEGUN
    assert done.stdout == b"begin\nend\n"
    exprec("verify", run.run_id, cwd=tmp_path)
    verbose = exprec("run", "-v", "--", *_python(SENDS), cwd=tmp_path)
    assert verbose.stdout.startswith(b"begin\nend\nepoch 1  loss 1.0\nepoch 2  loss 0.5\n")
    assert exprec("show", "-v", run.run_id, cwd=tmp_path).stdout == verbose.stdout
    as_json = exprec("run", "--json", "--", *_python(SENDS), cwd=tmp_path)
    assert as_json.stdout == run.read("events.jsonl")
    assert as_json.stderr.decode().splitlines()[0] == run.run_id


def _schemas(folder: Path) -> Path:
    schemas = folder / "schemas"
    schemas.mkdir()
    number = {"type": "object", "properties": {"loss": {"type": "number"}}, "required": ["loss"]}
    (schemas / "epoch.schema.json").write_text(json.dumps(number))
    return schemas


def _sends(*lines: str) -> list[str]:
    """Return a command that sends these lines, and then one that can be recorded."""
    last = '{"event_type": "epoch", "iteration": 9, "loss": 9}'
    return ["sh", "-c", 'printf "%s\n" "$@" >> "$EXPREC_EVENTS"; echo sent', "sh", *lines, last]


def _epoch(fields: str) -> str:
    return f'{{"event_type": "epoch", {fields}}}'


_BACKWARDS = [_epoch('"iteration": 2, "loss": 1'), _epoch('"iteration": 1, "loss": 1')]


@pytest.mark.parametrize(
    ("lines", "error", "said"),
    [
        ([_epoch('"loss": "low"')], "InvalidEvent", "line 1: event epoch: loss: "),
        ([_epoch('"lost": 1')], "InvalidEvent", "line 1: event epoch: loss"),
        (["", '{"event_type": "epoc"}'], "InvalidEvent", "line 2: event epoc: event_type: unknown event type; did you"),
        ([_epoch('"loss": {"$float": "nan"}')], "NotEncodable", 'line 1: loss: an object {"$float": "nan"} means'),
        ([_epoch('"loss": 1, "loss": 2')], "InvalidLine", "line 1: loss: this key stands twice"),
        ([_epoch('"loss": 123456789012345678901234567890')], "NotEncodable", "line 1: loss: the integer 12345678"),
        (_BACKWARDS, "InvalidEvent", "line 2: event epoch: iteration: iteration 1 comes after iteration 2"),
        (
            ["loss=0.3"],
            "InvalidLine",
            "line 1: is not valid JSON: column 1: unexpected 'loss=0.3'; a line must be",
        ),
        (["[1]"], "InvalidLine", "line 1: is a list; a line must be a JSON object such as {"),
        (['{"loss": 1}'], "InvalidLine", "line 1: event_type: is missing"),
        (['{"event_type": "run_end"}'], "InvalidLine", "line 1: event_type: 'run_end' is a type of exprec's own; name"),
        ([_epoch('"iteration": true')], "InvalidLine", "line 1: iteration: must be an integer from 1, or 0 for none"),
        ([_epoch('"seq": 4, "loss": 1')], "InvalidLine", "line 1: seq: is a field that exprec gives every event"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_an_event_that_cannot_be_recorded_fails_the_run_once_the_command_has_ended(
    lines: list[str], error: str, said: str, tmp_path: Path
) -> None:
    done = exprec("run", "--schemas", _schemas(tmp_path), "--", *_sends(*lines), cwd=tmp_path, code=3)
    run = sealed_run(tmp_path)
    assert run.head["failure"]["error_type"] == error
    assert run.head["failure"]["message"].startswith(said.replace(":", " of EXPREC_EVENTS:", 1))
    assert f"exprec: the run failed: {run.head['failure']['message']}\n" in done.stderr.decode()
    assert [run.events[-3].get("loss"), run.events[-2]["exit_status"]] == [9, 0], "it went on"
    exprec("verify", run.run_id, cwd=tmp_path)


_BAD = [_epoch('"iteration": 1, "loss": 1'), "nonsense", _epoch('"iteration": 2, "loss": 123456789012345678901234')]
_WHY = [
    "line 2 of EXPREC_EVENTS: is not valid JSON: column 1: unexpected 'nonsense'",
    "line 3 of EXPREC_EVENTS: loss: the integer 123456789012345678901234 is beyond 64 bits",
]


def test_the_failure_says_how_many_events_cannot_be_recorded(tmp_path: Path) -> None:
    exprec("run", "--", *_sends(*_BAD), cwd=tmp_path, code=3)
    run = sealed_run(tmp_path)
    assert run.head["failure"]["message"].startswith(_WHY[0])
    assert run.head["failure"]["message"].endswith("; 1 more cannot be recorded")
    assert [event.get("iteration") for event in run.events] == [1, 9, 0, 0]
    assert "on_bad_event" not in run.config["command"]


@pytest.mark.parametrize("mode", ["mark", "drop"])
def test_a_bad_event_is_marked_or_dropped_on_request(mode: str, tmp_path: Path) -> None:
    done = exprec("run", "--on-bad-event", mode, "--", *_sends(*_BAD), cwd=tmp_path)
    run = sealed_run(tmp_path)
    assert run.config["command"]["on_bad_event"] == mode
    assert run.head["status"] == "completed"
    for why in _WHY:
        assert f"exprec: not recorded: {why}" in done.stderr.decode()
    if mode == "mark":
        bad = run.head["result"]["bad_events"]
        assert bad["count"] == 2
        assert [text.startswith(why) for text, why in zip(bad["first"], _WHY, strict=True)] == [True, True]
        assert b"Completed  bad_events" in exprec("show", "-v", run.run_id, cwd=tmp_path).stdout
    else:
        assert run.head["result"] == {}
    exprec("verify", run.run_id, cwd=tmp_path)
    assert b"same run id" in exprec("rerun", run.run_id, cwd=tmp_path).stdout


def test_many_bad_events_are_counted(tmp_path: Path) -> None:
    lines = [f"bad{number}" for number in range(30)]
    done = exprec("run", "--on-bad-event", "mark", "--", *_sends(*lines), cwd=tmp_path)
    bad = sealed_run(tmp_path).head["result"]["bad_events"]
    assert (bad["count"], len(bad["first"])) == (30, 10)
    assert done.stderr.decode().count("exprec: not recorded: line ") == 10
    assert "exprec: not recorded: 30 events in total\n" in done.stderr.decode()


def test_a_marked_run_that_fails_says_so_too(tmp_path: Path) -> None:
    command = ["sh", "-c", 'echo bad >> "$EXPREC_EVENTS"; exit 7']
    exprec("run", "--on-bad-event", "mark", "--", *command, cwd=tmp_path, code=7)
    message = sealed_run(tmp_path).head["failure"]["message"]
    assert message.startswith("exit status 7; events that cannot be recorded: 1, first line 1 of EXPREC_EVENTS: is not")


def test_what_bad_events_do_is_asked_of_commands_only(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("{}")
    assert b"applies to a command" in exprec("run", "--on-bad-event", "drop", "x.yaml", cwd=tmp_path, code=2).stderr


OVERWRITES = r"""
import os, time
for name in ("one", "two"):
    with open(os.environ["EXPREC_EVENTS"], "w") as events:
        events.write('{"event_type": "%s"}\n' % name)
    time.sleep(0.3)
"""
REPLACES = r"""
import os
path = os.environ["EXPREC_EVENTS"]
with open(path + ".new", "w") as events:
    events.write('{"event_type": "one"}\n')
os.replace(path + ".new", path)
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (OVERWRITES, "what was read already was overwritten; open the file for appending"),
        (REPLACES, "another file has taken its place; append to the one that was there"),
    ],
    ids=["overwritten", "replaced"],
)
def test_a_file_of_events_that_was_not_only_appended_to(program: str, said: str, tmp_path: Path) -> None:
    done = exprec("run", "--", *_python(program), cwd=tmp_path, code=3)
    assert said in done.stderr.decode()
    exprec("verify", sealed_run(tmp_path).run_id, cwd=tmp_path)


def test_events_of_undeclared_types(tmp_path: Path) -> None:
    line = '{"event_type": "other", "any": [1]}'
    send = ["sh", "-c", 'echo "$1" >> "$EXPREC_EVENTS"', "sh", line]
    exprec("run", "-q", "--schemas", _schemas(tmp_path), "--", *send, cwd=tmp_path, code=3)
    exprec("run", "-q", "--strict", "--", *send, cwd=tmp_path, code=3)
    exprec("run", "-q", "--no-strict", "--schemas", tmp_path / "schemas", "--", *send, cwd=tmp_path)
    address = exprec("run", "-q", "--", *send, cwd=tmp_path).stdout.decode().strip()
    assert SealedRun(tmp_path / "runs" / address).events[0]["any"] == [1]


@pytest.mark.parametrize(
    ("program", "limit", "said"),
    [
        ("pass", "1MB", "the artifact 'made' cannot be kept: there is no"),
        ("__import__('os').mkdir('made')", "1MB", "the artifact 'made' cannot be kept: it is a folder without files"),
        (
            "open('made', 'w').write('x' * 2001)",
            "2kB",
            "the artifact 'made' has 2001 bytes, and 2000 are the most; raise --artifact",
        ),
        ("__import__('os').mkfifo('made')", "1MB", "the artifact 'made' cannot be kept: it is a special file"),
        (
            "__import__('os').symlink('made', 'made')",
            "1MB",
            "the artifact 'made' cannot be kept: it is a link to itself",
        ),
    ],
)
def test_an_artifact_that_cannot_be_kept(program: str, limit: str, said: str, tmp_path: Path) -> None:
    words = ["run", "--artifact", "made", "--artifact", "also", "--artifact-limit", limit, "--"]
    done = exprec(*words, *_python(f"open('also', 'w').write('y'); {program}"), cwd=tmp_path, code=3)
    run = sealed_run(tmp_path)
    assert run.head["failure"]["error_type"] == "Artifact"
    assert said in run.head["failure"]["message"]
    assert said in done.stderr.decode()
    assert run.read("artifacts/also") == b"y", "what was made is kept"
    exprec("verify", run.run_id, cwd=tmp_path)


def test_unmodified_existing_file_is_not_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("of yesterday")
    done = exprec("run", "--artifact", "made", "--", "true", cwd=tmp_path, code=3)
    assert b"the artifact 'made' was there before, and the command did not write it" in done.stderr
    exprec("run", "--artifact", "made", "--", "sh", "-c", "printf 'of yesterday' > made", cwd=tmp_path)


def test_a_folder_is_an_artifact_without_what_was_there_before(tmp_path: Path) -> None:
    for name in ("old", "older"):
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("of yesterday")
    made = [
        "run",
        "--artifact",
        "out/",
        "--",
        "sh",
        "-c",
        "mkdir -p out/deep && echo 1 > out/new && echo 2 > out/deep/b",
    ]
    done = exprec(*made, cwd=tmp_path)
    run = sealed_run(tmp_path)
    assert run.config["command"]["artifacts"] == ["out"]
    kept = {name: run.read(name) for name in run.head["files"] if name.startswith("artifacts/")}
    assert kept == {"artifacts/out/new": b"1\n", "artifacts/out/deep/b": b"2\n"}
    told = "'out/old' and 1 other file were there before, and not written by the command: not in the run"
    assert done.stderr.decode().splitlines() == [f"exprec: {told}", f"Run {run.run_id}"]
    exprec("verify", run.run_id, cwd=tmp_path)
    shutil.rmtree(tmp_path / "out")
    assert f"Run {run.run_id}" in exprec(*made, cwd=tmp_path).stderr.decode()


def test_how_a_command_ends_comes_before_its_artifacts(tmp_path: Path) -> None:
    exprec("run", "--artifact", "made", "--", "false", cwd=tmp_path, code=1)
    assert sealed_run(tmp_path).head["failure"]["error_type"] == "ExitStatus"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "none", "--", "true"], "the input 'none' does not exist"),
        (["--input", "folder", "--", "true"], "the input 'folder' is not a regular file; name the files in it"),
        (["--artifact", "../out", "--", "true"], "the artifact '../out' must be named by a relative path"),
        (["--artifact-limit", "much", "--", "true"], "'much' is not a size such as 250MB"),
        (["--schemas", "folder", "--", "true"], "has no file <type>.schema.json"),
        (["--", "echo", "\udcff"], "is not UTF-8 and cannot be recorded"),
        (["--"], "give either the file of an EXPERIMENT, or a command after --"),
        ([], "give either the file of an EXPERIMENT, or a command after --"),
        (["experiment.yaml", "--", "true"], "give either the experiment experiment.yaml, or the command after --"),
        (["python", "train.py"], "to record a command, put -- before it:\n  exprec run -- python train.py"),
        (["-q", "--json", "--", "true"], "--quiet and --json exclude each other"),
        (["--seed", "1", "--", "true"], "--seed applies to experiments, not to a command"),
        (["--model", "m", "--", "true"], "--model applies to experiments"),
        (["--replay-exchanges", "3f5c", "--", "true"], "--replay-exchanges applies to experiments"),
        (["--jobs", "1", "--", "true"], "--jobs applies to experiments"),
        (["--dry-run", "--", "true"], "--dry-run applies to experiments"),
        (["--name", "n", "e.yaml"], "--name applies to a command (exprec run ... -- COMMAND)"),
        (["--input", "n", "e.yaml"], "--input applies to a command"),
        (["--artifact", "n", "e.yaml"], "--artifact applies to a command"),
        (["--artifact-limit", "1", "e.yaml"], "--artifact-limit applies to a command"),
        (["--schemas", "folder", "e.yaml"], "--schemas applies to a command"),
        (["--no-strict", "e.yaml"], "--strict applies to a command"),
    ],
    ids=lambda value: " ".join(value).encode("ascii", "replace").decode() if isinstance(value, list) else "",
)
def test_wrong_usage_leaves_no_trace(words: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = exprec("run", *words, cwd=tmp_path, code=2)
    assert said in done.stderr.decode()
    assert done.stdout == b""
    assert not (tmp_path / "runs").exists()


def test_everything_after_the_first_dashes_belongs_to_the_command(tmp_path: Path) -> None:
    done = exprec("run", "--name", "echoes", "--", "echo", "-q", "--", "--seed", "1", cwd=tmp_path)
    assert done.stdout == b"-q -- --seed 1\n"
    run = sealed_run(tmp_path)
    assert run.config["command"]["argv"] == ["echo", "-q", "--", "--seed", "1"]
    assert run.config["name"] == run.head["name"] == "echoes"


def test_the_name_of_a_command_is_its_words_in_one_short_line(tmp_path: Path) -> None:
    exprec("run", "--", "echo", "a b\n c", "x" * 100, cwd=tmp_path)
    name = sealed_run(tmp_path).head["name"]
    assert name == f"echo 'a b c' {'x' * 46}…"
    assert len(name) == 60


def test_artifacts_are_named_from_the_folder_and_inputs_as_they_are_typed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in").write_text("1")
    read = ["--input", str(tmp_path / "data" / "in"), "--input", "./data//in", "--input", f"../{tmp_path.name}/data/in"]
    made = ["--artifact", str(tmp_path / "data" / "out")]
    exprec("run", *read, *made, "--", "cp", "data/in", "data/out", cwd=tmp_path)
    run = sealed_run(tmp_path)
    inputs = [f"../{tmp_path.name}/data/in", f"{tmp_path}/data/in", "data/in"]
    assert (list(run.config["command"]["inputs"]), run.config["command"]["artifacts"]) == (inputs, ["data/out"])
    assert exprec("rerun", run.run_id, cwd=tmp_path).stdout.startswith(b"identical")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("Best", "best"), "the artifacts 'Best' and 'best' are one file on some systems; give one another name"),
        (("caf\u00e9", "cafe\u0301"), "are one file on some systems"),
        (("A/x", "a/y"), "the artifacts 'A/x' and 'a/y' are in one folder on some systems"),
        (("a:b",), "the artifact 'a:b' has : in its name, which Windows does not allow; name it otherwise"),
        (("out/aux",), "the artifact 'out/aux' is named aux, which is a device on Windows"),
    ],
)
def test_names_that_some_system_cannot_have_are_refused_before_the_command_runs(
    names: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    made = [word for name in names for word in ("--artifact", name)]
    done = exprec("run", *made, "--", "touch", "ran", cwd=tmp_path, code=2)
    assert said in done.stderr.decode()
    assert not list(tmp_path.iterdir())


SECRET = "sk-planted-0123456789"
KEY = {"PLANTED_API_KEY": SECRET}


def _holds(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


PLANTED = r"""
import json, os, time
key = os.environ["PLANTED_API_KEY"]
def send(event):
    with open(os.environ["EXPREC_EVENTS"], "a") as events:
        print(json.dumps(event), file=events)
def pieces(size):
    for n in range(0, len(key), size):
        os.write(1, key[n : n + size].encode())
        time.sleep(0.3 / size)
"""


@pytest.mark.parametrize(
    ("program", "field"),
    [
        ("print('a'); print('the key is', key, flush=True)", "stdout from line 2 on"),
        ("os.write(2, b'x' * 65530 + key.encode())", "stderr from line 1 on"),
        ("pieces(7)", "stdout from line 1 on"),
        ("pieces(5)", "stdout from line 1 on"),
        ("import base64; print(base64.b64encode(b'user:' + key.encode()).decode())", "stdout from line 1 on"),
        ("print(''.join('%%%02x' % ord(c) for c in key))", "stdout from line 1 on"),
        ("print('ghp_' + 'aB3dE6gH9j' * 4)", "stdout from line 1 on"),
        ("send({'event_type': 'note', 'text': key})", "line 1 of EXPREC_EVENTS"),
        ("send({'event_type': 'BAD ' + key})", "line 1 of EXPREC_EVENTS"),
        ("open('made', 'w').write('a' * 1048570 + key)", "the artifact 'made'"),
    ],
)
def test_secrets_are_withheld_and_the_command_continues(program: str, field: str, tmp_path: Path) -> None:
    made: list[str] = ["--artifact", "made"] if "made" in program else []
    program = f"{PLANTED}{program}; send({{'event_type': 'note', 'text': 'the end'}}); print('the end')"
    done = exprec("run", *made, "--", *_python(program), cwd=tmp_path, env=KEY, code=3)
    source = "github-token" if "ghp_" in program else "PLANTED_API_KEY"
    assert f"{field} contains the value of {source}; it was not written" in done.stderr.decode()
    assert not _holds(tmp_path / "runs", SECRET[:6]), "not even the beginning of it"
    assert SECRET not in done.stderr.decode().partition("exprec: ")[2]
    if "print" in program:
        assert done.stdout.endswith(b"the end\n"), "the reader of its output gets all of it"
    run = sealed_run(tmp_path)
    assert run.head["status"] == "failed"
    assert b"the end" in run.read("events.jsonl")
    recorded = b"the end\n" if "stdout" not in field else b"a\n" if "line 2" in field else b""
    assert run.read("stdout") == recorded, "not even the beginning of the line"
    exprec("verify", run.run_id, cwd=tmp_path)


PROMPT = """
import os, sys
print("ready"); print("Continue? ", end="", flush=True)
sys.stdin.readline()
print(os.environ["PLANTED_API_KEY"], end="", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("options", [[], ["--redact"]], ids=["withheld", "redacted"])
def test_an_unfinished_line_is_shown_at_once_and_recorded_when_it_is_finished(
    options: list[str], tmp_path: Path
) -> None:
    words = [sys.executable, "-c", START, "run", *options, "--", *_python(PROMPT)]
    environment = {**inherited_environment(), **KEY}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdin=-1, stdout=-1, stderr=-1) as recorder:
        assert recorder.stdin is not None
        assert recorder.stdout is not None
        assert recorder.stdout.read(len(b"ready\nContinue? ")) == b"ready\nContinue? "
        work = next(path for path in (tmp_path / "runs" / ".work").iterdir() if path.is_dir())
        recorder.stdin.write(b"yes\n")
        recorder.stdin.flush()
        assert recorder.stdout.read(len(SECRET)) == SECRET.encode()
        assert (work / "stdout").read_bytes() == b"ready\n"
        recorder.kill()
    assert not _holds(tmp_path / "runs", SECRET[:6])
    shown = exprec("show", work.name, cwd=tmp_path)
    assert shown.stdout == b"ready\n"


def test_every_secret_is_named(tmp_path: Path) -> None:
    program = PLANTED + "print(key); send({'event_type': 'note', 'text': key}); send({'event_type': 'n', 'x': [key]})"
    done = exprec("run", "--", *_python(program), cwd=tmp_path, env=KEY, code=3)
    for field in ("stdout from line 1 on", "line 1 of EXPREC_EVENTS", "line 2 of EXPREC_EVENTS"):
        assert field in done.stderr.decode()


def test_a_secret_that_is_allowed_is_recorded(tmp_path: Path) -> None:
    words = _python(PLANTED + "print(key)")
    exprec("run", "--allow-secret", "PLANTED_API_KEY", "--", *words, cwd=tmp_path, env=KEY)
    assert sealed_run(tmp_path).read("stdout") == f"{SECRET}\n".encode()


def test_a_killed_recording_leaves_no_secret_to_the_next(tmp_path: Path) -> None:
    exprec("run", "--", "true", cwd=tmp_path)
    left = tmp_path / "runs" / ".work" / "0123456789abcdef.events"
    harmless = left.with_name("fedcba9876543210.events")
    left.write_text(f'{{"event_type": "note", "text": "{SECRET}"}}\n')
    harmless.write_text('{"event_type": "note"}\n')
    exprec("run", "--", "echo", "again", cwd=tmp_path, env=KEY)
    assert not left.exists()
    assert harmless.exists()


@pytest.mark.parametrize(
    "words", [["--", "echo", SECRET], ["--name", SECRET, "--", "true"], ["--input", SECRET, "--", "true"]]
)
def test_command_with_a_secret_is_not_executed(words: list[str], tmp_path: Path) -> None:
    (tmp_path / SECRET).touch()
    done = exprec("run", *words, cwd=tmp_path, env=KEY, code=3)
    assert b"contains the value of PLANTED_API_KEY" in done.stderr
    assert SECRET.encode() not in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


def test_prefix_of_a_secret_is_recorded(tmp_path: Path) -> None:
    program = "import os, sys, time\nfor each in sys.argv[1:]:\n    os.write(1, each.encode())\n    time.sleep(0.1)"
    words = _python(program, SECRET[:15], "x", SECRET[:12])
    done = exprec("run", "--", *words, cwd=tmp_path, env=KEY)
    assert done.stdout == sealed_run(tmp_path).read("stdout") == f"{SECRET[:15]}x{SECRET[:12]}".encode()
