"""`exprec run` with a user simulator and with several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment

NOISY = """\
import random
import recorder
print("importing the simulator")
def costs(scenario, policies, seed):
    print("simulating")
    luck = random.Random(seed).random()
    fractions = {agent: policy["parameters"]["initial_liquidity_fraction"] for agent, policy in policies.items()}
    return {agent: recorder.rounded(1000 * luck * fraction) for agent, fraction in fractions.items()}
"""
SLOW = """\
import time
from pathlib import Path
def costs(scenario, policies, seed):
    (Path(__file__).parent / f"started-{seed}").touch()
    time.sleep(60)
    return {"A": 1, "B": 1}
"""


def written(folder: Path, source: str, **changes: Any) -> Path:
    (folder / "simulation.py").write_text(source)
    (folder / "recorder.py").write_text("def rounded(cost):\n    return round(cost)\n")
    sampled = {"evaluation__mode": "bootstrap", "evaluation__num_samples": 4}
    return experiment(folder, **{"scenario": {}, "simulator": "simulation:costs", **sampled, **changes})


def test_same_output_and_run_id_with_any_number_of_processes(tmp_path: Path) -> None:
    path = written(tmp_path, NOISY)
    outputs = [exprec("run", "-v", path, *jobs, cwd=tmp_path) for jobs in ((), ("--jobs", "2"), ("-j", "0"))]
    assert len({done.stdout for done in outputs}) == 1
    assert all(b"simulating" not in done.stdout and b"simulating" in done.stderr for done in outputs)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert len(Store(tmp_path / "runs").attestations(run_id)) == 3
    assert exprec("show", "-v", run_id, cwd=tmp_path).stdout == outputs[0].stdout
    config = json.loads((tmp_path / "runs" / run_id / "config.json").read_bytes())
    assert config["simulator"].startswith("simulation:costs#sha256=")


def test_no_folder_is_part_of_a_run(tmp_path: Path) -> None:
    run_ids = set()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        path = written(tmp_path / name, NOISY)
        run_ids.add(exprec("run", "-q", path, cwd=tmp_path, env={"PYTHONHASHSEED": str(len(name))}).stdout)
    assert len(run_ids) == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_traceback_of_a_simulator_that_fails_is_shown_and_not_recorded(tmp_path: Path, jobs: str) -> None:
    path = written(tmp_path, "def costs(*_):\n    return {}[0]\n")
    done = exprec("run", path, "--jobs", jobs, cwd=tmp_path, code=3)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{tmp_path}/simulation.py", line 2, in costs')
    assert lines[-1] == (
        "exprec: the experiment failed: SimulationError: simulator simulation:costs raised KeyError: 0"
    )
    assert b"Failed: SimulationError: simulator simulation:costs raised KeyError: 0" in done.stdout
    for file in (tmp_path / "runs" / run_id).iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("source", "reason"),
    [("import nosuch\n", "No module named 'nosuch' (simulation.py, line 1)"), ("cost = 1\n", "has no costs")],
)
def test_a_simulator_that_cannot_be_imported(tmp_path: Path, source: str, reason: str) -> None:
    path = written(tmp_path, source)
    for command in (("run", path), ("run", "--dry-run", "--import", path), ("check", "--import", path)):
        done = exprec(*command, cwd=tmp_path, code=2)
        said = (done.stdout + done.stderr).decode()
        assert f"{path}:1: simulator: " in said
        assert reason in said
        assert "Traceback" not in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ["experiment.json", "recorder.py", "simulation.py"]


@pytest.mark.parametrize("jobs", ["two", "-1", "1.5"])
def test_invalid_numbers_of_jobs(tmp_path: Path, jobs: str) -> None:
    exprec("run", written(tmp_path, NOISY), f"--jobs={jobs}", cwd=tmp_path, code=2)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_run(tmp_path: Path, how: signal.Signals) -> None:
    path = written(tmp_path, SLOW)
    process = subprocess.Popen(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", str(path), "--jobs", "2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("started-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if how == signal.SIGINT:
        # As a terminal does it: every process of the group hears of it.
        os.killpg(process.pid, how)
    else:
        process.kill()
    # Workers have the same standard error: it is closed once the last one has ended.
    _, errors = process.communicate(timeout=20)
    assert b"Traceback" not in errors
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert errors.splitlines()[-1] == b"exprec: interrupted"
        assert b"run interrupted; kept as" in errors
    assert Store(tmp_path / "runs").run_ids() == []


def test_program_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    path = written(tmp_path, NOISY)
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio\n"
        "from pathlib import Path\n"
        "from exprec.recorder import ExperimentConfig, GenericExperimentRunner, Store\n"
        "print('begins')\n"
        f"config = ExperimentConfig.load(Path({str(path)!r}))\n"
        "store = Store.open_or_create(Path('runs'))\n"
        "asyncio.run(GenericExperimentRunner(config, store=store, jobs=2).run())\n"
    )
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"begins\n"
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert exprec("run", "-q", path, cwd=tmp_path).stdout.decode().strip() == run_id
