"""`--redact`: runs with placeholders in place of secrets, whose run ids do not depend on the values of these."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.fixtures.cli import exprec
from tests.fixtures.experiments import EXPERIMENT, changed, experiment, policy
from tests.fixtures.runs import SealedRun, sealed_run

VALUES = ("sk-planted-0123456789", 'a/b&c <wi> "th" other=characters')

PROGRAM = r"""
import base64, json, os, sys, time, urllib.parse
key, other = os.environ["PLANTED_API_KEY"], "ghp_" + "aB3dE6gH9j" * 4
def send(**event):
    with open(os.environ["EXPREC_EVENTS"], "a") as events:
        print(json.dumps(event), file=events)
for place in range(0, len(key), 5):
    os.write(1, key[place : place + 5].encode())
    time.sleep(0.02)
print("\nthe header is", base64.b64encode(f"ada:{key}!".encode()).decode(), "and", urllib.parse.quote(key), flush=True)
sys.stderr.write(f"log in with {other} or {key.encode().hex()}\n")
send(event_type="note", text=f"it is {key}", **{key: [key]})
open("made.json", "w").write(json.dumps({"key": key, "n": 1}))
"""


def _run(folder: Path, *arguments: str, value: str = VALUES[0], code: int = 0) -> tuple[SealedRun, bytes, str]:
    folder.mkdir(exist_ok=True)
    done = exprec("run", "--redact", *arguments, cwd=folder, env={"PLANTED_API_KEY": value}, code=code)
    return sealed_run(folder), done.stdout, done.stderr.decode()


def _holds(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_command_with_another_value_of_the_secret_has_the_same_run_id(tmp_path: Path) -> None:
    words = ("--artifact", "made.json", "--", sys.executable, "-c", PROGRAM)
    runs = [_run(tmp_path / str(number), *words, value=value) for number, value in enumerate(VALUES)]
    assert len({run.run_id for run, _, _ in runs}) == 1
    run, shown, messages = runs[0]
    assert run.head["status"] == "completed"
    assert run.read("stdout") == (
        b"[redacted:PLANTED_API_KEY:1]\nthe header is [redacted:PLANTED_API_KEY:1] and [redacted:PLANTED_API_KEY:1]\n"
    )
    assert run.read("stderr") == b"log in with [redacted:github-token:2] or [redacted:PLANTED_API_KEY:1]\n"
    key = "[redacted:PLANTED_API_KEY:1]"
    assert run.events[0] == {
        "event_type": "note", "iteration": 0, "seq": 0, "text": f"it is {key}", key: [key],
    }  # fmt: skip
    assert json.loads(run.read("artifacts/made.json")) == {"key": key, "n": 1}
    assert not _holds(tmp_path / "0" / "runs", VALUES[0][:8])
    assert shown.startswith(VALUES[0].encode()), "the output is passed through as it is"
    reports = messages.partition("exprec: ")[2]
    for field in ("event note: text", "stdout line 1 and 2 other places", "stderr line 1", "the artifact 'made.json'"):
        assert f"redacted: {field}" in messages
    assert "PLANTED_API_KEY" in reports
    assert VALUES[0] not in reports
    exprec("verify", run.run_id, cwd=tmp_path / "0")


def test_a_redacted_command_can_be_executed_again(tmp_path: Path) -> None:
    run, _, _ = _run(tmp_path, "--", sys.executable, "-c", PROGRAM)
    words = ("rerun", run.run_id, "--env", "PLANTED_API_KEY")
    environment = {"PLANTED_API_KEY": VALUES[1]}
    assert b"identical" in exprec(*words, "--redact", cwd=tmp_path, env=environment).stdout
    assert b"diverged" in exprec(*words, cwd=tmp_path, env=environment, code=1).stdout


def test_the_command_line_and_the_names_of_files(tmp_path: Path) -> None:
    ids = []
    for value in ("s3cret-value-0815", "other-value-4711x"):
        folder = tmp_path / value
        folder.mkdir()
        (folder / f"in-{value}").write_text("1")
        words = ["--input", f"in-{value}", "--artifact", f"out/{value}", "--name", f"with {value}", "--"]
        words += ["sh", "-c", 'mkdir out; echo 1 > "out/$1"', "sh", value]
        run, _, messages = _run(folder, *words, value=value)
        mark = "[redacted:PLANTED_API_KEY:1]"
        assert run.config["command"]["argv"][-1] == mark
        assert list(run.config["command"]["inputs"]) == [f"in-{mark}"]
        assert run.read(f"artifacts/out/{mark}") == b"1\n"
        assert run.head["name"] == f"with {mark}"
        assert "redacted: config.json: command.argv[4] contained the value of PLANTED_API_KEY" in messages
        assert value not in messages
        ids.append(run.run_id)
        said = exprec("rerun", run.run_id, cwd=folder, env={"PLANTED_API_KEY": value}, code=1).stdout.decode()
        assert "cannot run" in said
        assert "its command line contained a secret" in said
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("program", "field"),
    [
        ("open('made', 'wb').write(b'\\xff' + key.encode())", "the artifact 'made'"),
        ("open('made', 'wb').write(key.encode() + b'\\n' * 70000 + b'\\xff')", "the artifact 'made'"),
        ("import gzip; open('made', 'wb').write(gzip.compress(key.encode()))", "its gzip stream"),
        ("send(event_type='epoch', loss=1, note=key)", "line 1 of EXPREC_EVENTS: event epoch: note"),
        ("print('-----BEGIN PRIVATE KEY-----\\n' + 'MIIEvQIBADANBgkqhkiG9w0B\\n' * 4000)", "stdout from line 1 on"),
    ],
)
def test_what_cannot_have_a_placeholder_is_withheld(program: str, field: str, tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    folder.mkdir()
    schema = {"type": "object", "properties": {"note": {"type": "string", "pattern": "^sk-"}}}
    (folder / "epoch.schema.json").write_text(json.dumps(schema))
    made = ["--artifact", "made"] if "made" in program else []
    program = PROGRAM.partition("for place")[0] + program
    words = [*made, "--schemas", str(folder), "--", sys.executable, "-c", program]
    run, _, messages = _run(tmp_path, *words, code=3)
    assert run.head["status"] == "failed"
    assert field in run.head["failure"]["message"]
    assert field in messages
    assert not _holds(tmp_path / "runs", VALUES[0])
    exprec("verify", run.run_id, cwd=tmp_path)


def test_more_than_ten_secrets_in_streams_that_race(tmp_path: Path) -> None:
    program = (
        "import os\n"
        "values = ['ghp_%02d' % number + 'aB3dE6gH9jK2' * 3 for number in range(15)]\n"
        "for number, value in enumerate(values):\n"
        "    os.write(2 - number % 2, f'{number} {value}\\n'.encode())\n"
        'open(os.environ[\'EXPREC_EVENTS\'], \'a\').write(\'{"event_type":"last","v":"%s"}\\n\' % values[14])\n'
    )
    run, _, _ = _run(tmp_path, "--", sys.executable, "-c", program)
    assert run.events[0]["v"] == "[redacted:github-token:1]"
    odd, even = range(1, 15, 2), range(0, 15, 2)
    stdout = [f"{each} [redacted:github-token:{2 + place}]\n" for place, each in enumerate(odd)]
    numbers = [*range(9, 16), 1]
    stderr = [f"{each} [redacted:github-token:{number}]\n" for each, number in zip(even, numbers, strict=True)]
    assert run.read("stdout").decode() == "".join(stdout)
    assert run.read("stderr").decode() == "".join(stderr)
    exprec("verify", run.run_id, cwd=tmp_path)


def _answers(value: str) -> list[dict[str, str]]:
    proposed = policy(0.25, policy_id=f"with {value}")
    return [{"answer": f"not JSON, {value}"}, *({"answer": json.dumps(proposed)} for _ in range(9))]


def test_an_experiment_with_another_value_records_the_same(tmp_path: Path) -> None:
    events = set()
    for number, value in enumerate(("s3cret-value-0815", "other-value-4711x")):
        folder = tmp_path / str(number)
        folder.mkdir()
        run, _, messages = _run(folder, str(experiment(folder, answers=_answers(value))), value=value)
        assert run.head["status"] == "completed"
        assert not _holds(folder / "runs", value)
        assert "redacted: exchange: answer.text contained the value of PLANTED_API_KEY" in messages
        assert value not in messages
        sent = [json.loads(line) for line in run.read("exchanges.jsonl").splitlines()]
        assert "[redacted:PLANTED_API_KEY:1]" in sent[1]["origin"]["messages"][-2]["content"], (
            "the model gets the placeholder"
        )
        # The config has the digest of the script.
        events.add(run.read("events.jsonl"))
        environment = {"PLANTED_API_KEY": value}
        assert b"identical" in exprec("rerun", "--redact", run.run_id, cwd=folder, env=environment).stdout
    assert len(events) == 1


def test_an_experiment_with_a_secret_in_its_config_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(changed(EXPERIMENT, {"description": f"uses {VALUES[0]}"})))
    done = exprec("run", "--redact", file, cwd=tmp_path, env={"PLANTED_API_KEY": VALUES[0]}, code=2)
    assert b"description contains the value of PLANTED_API_KEY" in done.stderr
    assert not (tmp_path / "runs").exists()
