"""The command `exprec resume`: from any folder, and refused where a run cannot be resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.chat_server import ChatServer, says
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment, policy
from tests.fixtures.paths import CASTRO

SLOW = """
import time

def costs(scenario, policies, seed):
    time.sleep(0.02)
    return {agent: int(1000 * policy["parameters"]["initial_liquidity_fraction"])
            for agent, policy in policies.items()}
"""


def _cut(store: Path, run_id: str, lines: int) -> str:
    """Turn a sealed run into an interrupted one with the first lines of its log; returns its work name."""
    name = "0123456789abcdef"
    work = store / ".work" / name
    (store / run_id).rename(work)
    shutil.rmtree(store / "attestations")
    head = json.loads((work / "run.json").read_bytes())
    work.with_name(f"{name}.json").write_text(json.dumps({key: head[key] for key in ("format", "name", "type")}))
    for file in ("run.json", "schemas.json"):
        (work / file).unlink()
    log = (work / "events.jsonl").read_bytes().splitlines(keepends=True)
    (work / "events.jsonl").write_bytes(b"".join(log[:lines]))
    return name


@pytest.fixture
def interrupted(tmp_path: Path) -> tuple[str, str]:
    """The name of an interrupted run in the store `runs`, and the run id expected once it is resumed."""
    run_id = exprec("run", "-q", CASTRO / "two-period.yaml", cwd=tmp_path).stdout.decode().strip()
    return _cut(tmp_path / "runs", run_id, 20), run_id


def test_interrupt_prints_how_to_resume_from_any_folder(tmp_path: Path) -> None:
    home = tmp_path / "home of the experiment"
    home.mkdir()
    (home / "model.py").write_text(SLOW)
    path = experiment(home, simulator="model:costs", llm__model="search", convergence__max_iterations=8)
    store = tmp_path / "my runs"
    whole = exprec("run", "-q", path, "--store", tmp_path / "other").stdout.decode().strip()
    command = [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", "--store", str(store)]
    process = subprocess.Popen(
        [*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home.parent, env=_environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    while b"Iteration 2" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    errors = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    assert process.wait() == 130
    (name,) = Store(store).work_names()
    assert f"inspect: exprec show {name} --store '{store}'" in errors
    assert f"resume:  exprec resume {name} --store '{store}'" in errors
    done = exprec("resume", "-q", name[:6], "--store", store, cwd=tmp_path)
    assert done.stdout.decode().strip() == whole
    assert f"resuming {name}: ".encode() in done.stderr
    assert not list((store / ".work").iterdir())


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "EXPREC_STORE")}


def test_what_it_prints_is_what_show_prints_with_every_switch(tmp_path: Path, interrupted: tuple[str, str]) -> None:
    name, run_id = interrupted
    done = exprec("resume", name, "-v", "--no-policy", cwd=tmp_path)
    assert done.stdout == exprec("show", run_id, "-v", "--no-policy", cwd=tmp_path).stdout
    assert len(Store(tmp_path / "runs").attestations(run_id)) == 1
    exprec("verify", run_id, cwd=tmp_path)


def test_json_prints_the_whole_log(tmp_path: Path, interrupted: tuple[str, str]) -> None:
    name, run_id = interrupted
    done = exprec("resume", name, "--json", cwd=tmp_path)
    assert done.stdout == (tmp_path / "runs" / run_id / "events.jsonl").read_bytes()


def test_divergence_from_the_recording_is_named(tmp_path: Path, interrupted: tuple[str, str]) -> None:
    name, _ = interrupted
    log = tmp_path / "runs" / ".work" / name / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"total_cost":10000', b'"total_cost":10001'))
    before = log.read_bytes()
    errors = exprec("resume", "-q", name, cwd=tmp_path, code=1).stderr.decode()
    assert "event 1 (iteration_start, iteration 1):\n  total_cost: recorded 10001, now 10000\n" in errors
    assert "events.jsonl:2: re-execution diverges from the recorded log here" in errors
    assert log.read_bytes() == before


def test_runs_that_cannot_be_resumed(tmp_path: Path, interrupted: tuple[str, str]) -> None:
    name, run_id = interrupted
    held = Store(tmp_path / "runs").resume(Store(tmp_path / "runs").resolve(name), "castro-two-period", "generic")
    assert b"is in progress" in exprec("resume", name, cwd=tmp_path, code=2).stderr
    held.close()
    (tmp_path / "runs" / ".work" / name / "config.json").rename(tmp_path / "config.json")
    assert b"config.json: the file is missing" in exprec("resume", name, cwd=tmp_path, code=5).stderr
    (tmp_path / "config.json").rename(tmp_path / "runs" / ".work" / name / "config.json")
    exprec("resume", "-q", name, cwd=tmp_path)
    assert (
        b"is already sealed; `exprec rerun` executes it again" in exprec("resume", run_id, cwd=tmp_path, code=2).stderr
    )
    assert b"no run '0123'" in exprec("resume", "0123", cwd=tmp_path, code=4).stderr


def test_recorded_answers_are_not_requested_again(tmp_path: Path) -> None:
    path = experiment(tmp_path, llm__model="openai:small", convergence__max_iterations=3)
    fractions = [0.5 / step for step in range(2, 8)]
    with ChatServer(*[says(policy(each)) for each in fractions]) as server:
        run_id = exprec("run", "-q", path, cwd=tmp_path, env=server.environment()).stdout.decode().strip()
        asked = len(server.requests)
    log = (tmp_path / "runs" / run_id / "exchanges.jsonl").read_bytes().splitlines(keepends=True)
    name = _cut(tmp_path / "runs", run_id, 6)
    (tmp_path / "runs" / ".work" / name / "exchanges.jsonl").write_bytes(b"".join(log[:2]))
    with ChatServer(*[says(policy(each)) for each in fractions[2:]]) as server:
        exprec("resume", "-q", name, cwd=tmp_path, env=server.environment())
        assert len(server.requests) == asked - 2


def test_replay_resumes_as_a_replay(tmp_path: Path) -> None:
    path = experiment(tmp_path, llm__model="openai:small", convergence__max_iterations=3)
    with ChatServer(says(policy(0.25))) as server:
        run_id = exprec("run", "-q", path, cwd=tmp_path, env=server.environment()).stdout.decode().strip()
    shutil.copytree(tmp_path / "runs", tmp_path / "origin")
    name = _cut(tmp_path / "runs", run_id, 4)
    head = tmp_path / "runs" / ".work" / f"{name}.json"
    shutil.copytree(tmp_path / "origin" / run_id, tmp_path / "runs" / run_id)
    head.write_text(json.dumps({**json.loads(head.read_text()), "replayed": run_id}))
    (tmp_path / "runs" / ".work" / name / "exchanges.jsonl").unlink()
    log = tmp_path / "runs" / ".work" / name / "events.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    assert exprec("resume", "-q", name, cwd=tmp_path).stdout.decode().strip() == run_id
