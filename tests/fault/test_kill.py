"""SIGKILL at random moments of a run: what was shown is recorded, and nothing sealed is touched."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import CASTRO, exprec

MOMENTS = 10


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be killed in: it never converges."""
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
def full_output(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return exprec("run", "-v", experiment, "--store", tmp_path_factory.mktemp("full") / "runs").stdout


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".work" not in path.parts
    }


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_killed_run_shows_a_prefix_of_the_full_output(
    tmp_path: Path, experiment: Path, full_output: bytes, moment: int
) -> None:
    chance = random.Random(moment)
    lines = chance.randrange(full_output.count(b"\n") - 40)
    exprec("run", "-q", CASTRO / "two-period.yaml", cwd=tmp_path)
    sealed_before = _digests(tmp_path / "runs")

    process = subprocess.Popen(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", "-v", str(experiment)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if key not in ("COLUMNS", "EXPREC_STORE")},
    )
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
    # The next run works beside what is left of this one.
    exprec("run", "-q", CASTRO / "two-period.yaml", cwd=tmp_path)
