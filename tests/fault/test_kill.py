"""SIGKILL at random moments: displayed events are recorded, sealed runs are unchanged, and the run resumes."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exprec.recorder.store.store import Store
from tests.fault.stages import ALL
from tests.fixtures.cli import exprec
from tests.fixtures.paths import CASTRO

MOMENTS = 8 if ALL else 2
"""`test_kill_points` tries every point; here it depends on the machine."""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment that never converges, so that it can be killed."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "three-period-scenario.yaml").write_bytes((CASTRO / "three-period-scenario.yaml").read_bytes())
    text = (CASTRO / "three-period.yaml").read_text()
    assert "max_iterations: 25" in text
    assert "stability_window: 5" in text
    text = text.replace("max_iterations: 25", "max_iterations: 60").replace(
        "stability_window: 5", "stability_window: 99"
    )
    path = folder / "three-period.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def full(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """The output of an uninterrupted run, and its run id."""
    output = exprec("run", "-v", experiment, "--store", tmp_path_factory.mktemp("full") / "runs").stdout
    return output, output.split()[-1].decode()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a sealed run in it."""
    store = tmp_path_factory.mktemp("other") / "runs"
    exprec("run", "-q", CASTRO / "two-period.yaml", "--store", store)
    return store


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".work" not in path.parts
    }


def _started(experiment: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start the experiment in `folder` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", "-v", str(experiment)],
        cwd=folder,
        stdout=subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if key not in ("COLUMNS", "EXPREC_STORE")},
    )


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_run_is_shown_and_resumes_to_the_same_run_id(
    tmp_path: Path, experiment: Path, full: tuple[bytes, str], other: Path, moment: int
) -> None:
    full_output, address = full
    chance = random.Random(moment)
    lines = chance.randrange(full_output.count(b"\n") - 40)
    shutil.copytree(other, tmp_path / "runs")
    sealed_before = _digests(tmp_path / "runs")

    process = _started(experiment, tmp_path)
    assert process.stdout is not None
    seen = b"".join(process.stdout.readline() for _ in range(lines))
    time.sleep(chance.random() / 500)
    process.send_signal(signal.SIGKILL)
    seen += process.stdout.read()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL

    (work,) = (path for path in (tmp_path / "runs" / ".work").iterdir() if path.is_dir())
    shown = exprec("show", "-v", work.name, cwd=tmp_path)
    assert full_output.startswith(shown.stdout)
    assert shown.stdout.startswith(seen), "something was shown that is not in the log"
    assert b"not sealed (interrupted)" in shown.stderr
    assert _digests(tmp_path / "runs") == sealed_before

    resumed = exprec("resume", "-v", work.name, cwd=tmp_path)
    assert resumed.stdout == full_output
    assert resumed.stdout.split()[-1].decode() == address
    sealed_after = _digests(tmp_path / "runs")
    assert sealed_before.items() <= sealed_after.items()
    assert {Path(name).parts[0] for name in sealed_after.keys() - sealed_before.keys()} == {address, "attestations"}
    assert not list((tmp_path / "runs" / ".work").iterdir())


def test_next_run_works_beside_a_killed_one(tmp_path: Path, experiment: Path) -> None:
    process = _started(experiment, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.stdout.close()
    process.wait()
    exprec("run", "-q", CASTRO / "two-period.yaml", cwd=tmp_path)
    assert len(Store(tmp_path / "runs").run_ids()) == 1
    assert len(Store(tmp_path / "runs").work_names()) == 1
