"""The field `git_dirty` of execution records: whether the commit has what was executed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.cli import exprec, inherited_environment
from tests.fixtures.experiments import experiment
from tests.fixtures.git import git

PROGRAM = """from exprec.recorder import record
with record("a", store="runs") as run:
    run.event("epoch", loss=1)
"""
MODULE = """def simulate(scenario, policies, seed):
    return {agent: 1 for agent in policies}
"""
PYTHON = ("run", "--store", "runs", "--", sys.executable)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    for name, text in (("script.py", "print(1)\n"), ("data.csv", "1\n"), ("program.py", PROGRAM), ("game.py", MODULE)):
        (tmp_path / name).write_text(text)
    answers = [{"agent": agent, "answer": "no"} for agent in "AB"]
    experiment(tmp_path, answers=answers, simulator="game:simulate", llm__max_retries=0, convergence__max_iterations=1)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "all")
    return tmp_path


def is_dirty(repository: Path) -> bool:
    (record,) = (repository / "runs" / "attestations").glob("*/*.json")
    value: bool = json.loads(record.read_bytes())["git_dirty"]
    return value


CASES: dict[str, tuple[str, ...]] = {
    "script.py": (*PYTHON, "script.py"),
    "data.csv": ("run", "--input", "data.csv", "--", sys.executable, "script.py"),
    "experiment.json": ("run", "-q", "experiment.json"),
    "answers.jsonl": ("run", "-q", "experiment.json"),
    "game.py": ("run", "-q", "experiment.json"),
    "program.py": (),
}


@pytest.mark.parametrize(("name", "words"), CASES.items(), ids=CASES.keys())
@pytest.mark.parametrize("untracked", [False, True])
def test_the_commit_must_have_the_program_and_its_inputs(
    repository: Path, name: str, words: tuple[str, ...], untracked: bool
) -> None:
    if untracked:
        git(repository, "rm", "-q", "--cached", name)
        git(repository, "commit", "-q", "-m", f"without {name}")
    if words:
        exprec(*words, cwd=repository)
    else:
        command = [sys.executable, name]
        subprocess.run(command, cwd=repository, env=inherited_environment(), check=True, capture_output=True)
    assert is_dirty(repository) is untracked
