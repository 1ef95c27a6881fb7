"""`exprec rerun` of a recorded command: identical, diverged with the first difference, or why it cannot run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.runs import seal

# Reads what it is told in a file that is no declared input.
PROGRAM = """
set -e
printf '{"event_type": "epoch", "iteration": 1, "loss": %s}\\n' "$(cat loss)" >> "$EXPREC_EVENTS"
echo first; cat text; cat warnings >&2; cat data > made; cat note >> made
exit $(cat status)
"""
FILES = {"loss": "0.5", "text": "one\ntwo\n", "warnings": "careful\n", "data": "1", "note": "2", "status": "0"}


LOSS = "  loss: recorded 0.5, now 0.25"
STATUS = ["  all output is identical", "  exit_status: recorded 0, now 4"]
MADE = [
    "  all events and all output are identical",
    "  sha256: recorded '6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbb…', "
    "now 'd2f483672c0239f6d7dd3c9ecee6deacbcd59185855625902a8b1c1a3bd6…'",
    "  size: recorded 2, now 3",
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed run of the program, in the store of the folder with its files."""
    folder = tmp_path_factory.mktemp("recorded")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    exprec("run", "-q", "--input", "data", "--artifact", "made", "--name", "p", "--", "sh", "-c", PROGRAM, cwd=folder)
    (run_id,) = Store(folder / "runs").run_ids()
    return folder / "runs" / run_id


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy of the folder."""
    return Path(shutil.copytree(recorded.parent.parent, tmp_path / "copy"))


def test_identical_adds_an_attestation(recorded: Path, folder: Path) -> None:
    done = exprec("rerun", recorded.name, cwd=folder)
    assert done.stdout.decode() == f"identical  {recorded.name[:8]}  p  3 events, same run id\n"
    assert len(Store(folder / "runs").attestations(recorded.name)) == 2
    assert Store(folder / "runs").run_ids() == [recorded.name]


@pytest.mark.parametrize(
    ("name", "text", "place", "said"),
    [
        ("loss", "0.25", "at event 0 (epoch, iteration 1); 0 events reproduced before it", [LOSS]),
        ("text", "one\nTWO\n", "in stdout", ["  line 3: recorded 'two', now 'TWO'"]),
        ("text", "one\n", "in stdout", ["  line 3: recorded 'two', now missing"]),
        ("text", "one\ntwo\n\n", "in stdout", ["  line 4: not recorded, now ''"]),
        ("text", "one\ntwo", "in stdout", ["  newline at the end of line 3: recorded true, now false"]),
        ("warnings", "care\n", "in stderr", ["  line 1: recorded 'careful', now 'care'"]),
        ("status", "4", "at event 1 (command_end); 1 event reproduced before it", STATUS),
        ("note", "33", "in artifacts/made", MADE),
    ],
)
def test_diverged_at_the_first_place(
    name: str, text: str, place: str, said: list[str], recorded: Path, folder: Path
) -> None:
    (folder / name).write_text(text)
    done = exprec("rerun", recorded.name, cwd=folder, code=1)
    first, *rest = done.stdout.decode().splitlines()
    assert first == f"diverged  {recorded.name[:8]}  p  {place}"
    assert rest == said
    as_json = json.loads(exprec("rerun", "--json", recorded.name, cwd=folder, code=1).stdout)
    assert as_json["verdict"] == "diverged"
    assert as_json["file"] == (place.removeprefix("in ") if place.startswith("in ") else "events.jsonl")


def test_inputs_are_looked_at_first(recorded: Path, folder: Path) -> None:
    (folder / "made").unlink()
    (folder / "data").write_text("other")
    lines = exprec("rerun", recorded.name, cwd=folder, code=1).stdout.decode().splitlines()
    assert lines[0] == f"cannot run  {recorded.name[:8]}  p  nothing was executed"
    assert lines[1:] == ["  the input 'data' has changed since it was recorded (its SHA-256 differs)"]
    (folder / "data").unlink()
    assert b"  the input 'data' does not exist\n" in exprec("rerun", recorded.name, cwd=folder, code=1).stdout
    assert not (folder / "made").exists(), "it was not executed"


def test_in_another_folder(recorded: Path, folder: Path, tmp_path: Path) -> None:
    done = exprec("rerun", folder / "runs" / recorded.name, "--files", folder, cwd=tmp_path)
    assert done.stdout.startswith(b"identical")


def test_missing_program_cannot_run(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho so\n")
    (tmp_path / "tool").chmod(0o755)
    exprec("run", "-q", "--", "./tool", cwd=tmp_path)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert exprec("rerun", run_id, cwd=tmp_path).stdout.startswith(b"identical")
    (tmp_path / "tool").unlink()
    done = exprec("rerun", run_id, cwd=tmp_path, code=1)
    assert done.stdout.startswith(b"cannot run")
    assert b"./tool cannot be started: there is no such file" in done.stdout


@pytest.mark.parametrize(
    ("words", "code"), [(["false"], 1), (["no-such-command"], 127), (["sh", "-c", "echo x; kill -9 $$"], 137)]
)
def test_what_failed_fails_again_in_the_same_way(words: list[str], code: int, tmp_path: Path) -> None:
    exprec("run", "-q", "--", *words, cwd=tmp_path, code=code)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert exprec("rerun", run_id, cwd=tmp_path).stdout.startswith(b"identical")


def test_events_are_checked_by_the_schemas_in_the_run(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    (tmp_path / "schemas" / "step.schema.json").write_text(json.dumps(schema))
    send = 'echo "{\\"event_type\\": \\"step\\", \\"n\\": $(cat n)}" >> "$EXPREC_EVENTS"'
    (tmp_path / "n").write_text("1")
    exprec("run", "-q", "--schemas", "schemas", "--", "sh", "-c", send, cwd=tmp_path)
    shutil.rmtree(tmp_path / "schemas")
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert exprec("rerun", run_id, cwd=tmp_path).stdout.startswith(b"identical")
    (tmp_path / "n").write_text("1.5")
    assert b"the execution ended before this event" in exprec("rerun", run_id, cwd=tmp_path, code=1).stdout


def test_stdin_is_that_of_rerun(tmp_path: Path) -> None:
    exprec("run", "-q", "--", "cat", cwd=tmp_path, stdin=b"said\n")
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert exprec("rerun", run_id, cwd=tmp_path, stdin=b"said\n").stdout.startswith(b"identical")
    assert b"line 1: recorded 'said', now missing" in exprec("rerun", run_id, cwd=tmp_path, code=1).stdout


def test_python_program_cannot_be_rerun(tmp_path: Path) -> None:
    recording = Store.open_or_create(tmp_path / "runs").begin("mine", "python", {})
    from exprec.recorder.state.provider import LiveStateProvider

    provider = LiveStateProvider("mine", "python", recording=recording)
    provider.record_event(0, "run_end", {})
    sealed = seal(provider)
    done = exprec("rerun", sealed.run_id, cwd=tmp_path, code=1)
    assert done.stdout.startswith(b"cannot run")
    assert b"run the program again" in done.stdout
