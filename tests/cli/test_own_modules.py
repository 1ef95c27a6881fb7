"""A user folder with modules named like exprec's: `cli`, `schemas` and `recorder`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment

PROGRAM = """
import cli
import recorder.parts
import schemas
from exprec.recorder import record

assert (cli.NAME, schemas.NAME, recorder.parts.NAME) == ("my cli", "my schemas", "my parts"), "not those of the user"
with record("own", store="python runs") as run:
    run.event("names", cli=cli.NAME, recorder=recorder.__name__)
print(run.id)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recorder").mkdir()
    (tmp_path / "recorder" / "__init__.py").write_text("")
    (tmp_path / "recorder" / "parts.py").write_text('NAME = "my parts"\n')
    (tmp_path / "cli.py").write_text('NAME = "my cli"\n')
    (tmp_path / "schemas.py").write_text('NAME = "my schemas"\n')
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def _address(folder: Path, store: str, output: bytes) -> RunDirectory:
    run = RunDirectory(folder / store / output.decode().split()[-1])
    assert list(verify_run(run)) == []
    return run


def test_program_imports_its_own_modules_and_exprec(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "EXPREC_STORE"}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert _address(folder, "python runs", done.stdout).type == "python"


def test_recorded_command_imports_its_own_modules_and_exprec(folder: Path) -> None:
    done = exprec("run", "--store", "command runs", "--", sys.executable, "program.py", cwd=folder, first="pass")
    inner = _address(folder, "python runs", done.stdout)
    run = _address(folder, "command runs", done.stderr)
    assert run.type == "command"
    assert (run.path / "stdout").read_text() == f"{inner.run_id}\n"


def test_experiment_runs_beside_modules_of_the_same_names(folder: Path) -> None:
    (folder / "model.py").write_text(
        "import cli\nimport recorder.parts\nimport schemas\n\n"
        "def costs(scenario, policies, seed):\n"
        '    assert (cli.NAME, schemas.NAME, recorder.parts.NAME) == ("my cli", "my schemas", "my parts")\n'
        "    return {agent: 100 for agent in policies}\n"
    )
    path = experiment(folder, scenario={}, simulator="model:costs")
    done = exprec("run", "-q", path, cwd=folder)
    assert _address(folder, "runs", done.stdout).status == "completed"
