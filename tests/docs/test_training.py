"""The training example: one program recorded through the Python API and as a command, with declared events."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.docs.installed import copy_of
from tests.fixtures.cli import exprec

ADDRESS = "136e04c01160f359bc3d76e2d9894cf30cd88d79916211332e367b142aca140b"
"""The run id of `python record.py` without options, on every machine."""
LAST = {"accuracy": 0.89, "loss": 0.648775}
WEIGHTS = [0.030219, 0.085796, -0.190418]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return copy_of("training", tmp_path / "training")


def recorded(place: Path, env: dict[str, str], *options: str, code: int = 0) -> tuple[bytes, RunDirectory]:
    """Run `record.py`; returns its output and its run."""
    command = ["python", "record.py", *options]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr.decode()
    address = done.stdout.split()[-1].decode()
    return done.stdout, Store(place / "runs").resolve(address)


def run(place: Path, env: dict[str, str], lr: str) -> RunDirectory:
    """Record `train.py` as a command."""
    asked = ("--schemas", "schemas", "--input", "train.py", "--artifact", "weights.json")
    done = exprec("run", "-q", *asked, "--", "python", "train.py", "--lr", lr, cwd=place, env=env)
    return Store(place / "runs").resolve(done.stdout.decode().strip())


def test_run_id_is_the_same_everywhere(place: Path, env: dict[str, str]) -> None:
    shown, first = recorded(place, env)
    assert first.run_id == ADDRESS
    assert b"epoch 10: loss 0.6488, accuracy 89.0%\n" in shown
    again, same = recorded(place, env)
    assert (again, same.run_id) == (shown, ADDRESS)
    assert len(Store(place / "runs").attestations(ADDRESS)) == 2
    assert exprec("show", ADDRESS, cwd=place, env=env).stdout == shown
    assert f"ok {ADDRESS}" in exprec("verify", ADDRESS, cwd=place, env=env).stdout.decode()
    assert first.head["result"] == LAST
    assert json.loads((first.path / "artifacts" / "weights.json").read_bytes()) == WEIGHTS


def test_rerun_says_how_a_program_is_executed_again(place: Path, env: dict[str, str]) -> None:
    recorded(place, env)
    said = exprec("rerun", ADDRESS, cwd=place, env=env, code=1).stdout.decode()
    assert said.startswith(f"cannot run  {ADDRESS[:8]}  training")
    assert "program" in said


def test_a_training_that_breaks_off_is_kept_as_failed(place: Path, env: dict[str, str]) -> None:
    shown, failed = recorded(place, env, "--lr", "10000", code=1)
    assert failed.head["failure"] == {"error_type": "OverflowError", "message": "math range error"}
    assert exprec("show", failed.run_id, cwd=place, env=env).stdout == shown
    exprec("verify", failed.run_id, cwd=place, env=env)


def test_two_learning_rates_differ_by_epoch(place: Path, env: dict[str, str]) -> None:
    one, other = (recorded(place, env, "--lr", lr)[1].run_id for lr in ("0.1", "1"))
    _compare(one, other, place, env)
    assert "lr 0.1 → 1.0" in exprec("diff", one, other, cwd=place, env=env, code=1).stdout.decode()


def test_the_same_program_as_a_command(place: Path, env: dict[str, str]) -> None:
    through_api = recorded(place, env)[1]
    one, other = run(place, env, "0.1"), run(place, env, "1")
    for directory in (one, other):
        exprec("verify", directory.run_id, cwd=place, env=env)
        assert exprec("rerun", directory.run_id, cwd=place, env=env).stdout.startswith(b"identical")
    assert json.loads((one.path / "artifacts" / "weights.json").read_bytes()) == WEIGHTS
    _compare(one.run_id, other.run_id, place, env)
    events = [exprec("show", each.run_id, "--event", "epoch", cwd=place, env=env).stdout for each in (through_api, one)]
    assert events[0] == events[1]


def _compare(one: str, other: str, place: Path, env: dict[str, str]) -> None:
    """The metrics of the last epoch are compared side by side."""
    said = exprec("diff", one, other, cwd=place, env=env, code=1).stdout.decode()
    (last,) = (line.split() for line in said.splitlines() if line.split()[:1] == ["10"])
    assert last[1:] == ["0.89", "→", "0.91", "+0.02", "0.648775", "→", "0.445111", "-0.2037"]
