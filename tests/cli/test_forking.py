"""A command run in a fork of a loaded process, as in most tests, behaves as one in a new process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fixtures.cli import exprec
from tests.fixtures.paths import CASTRO, ROOT

TWO = CASTRO / "two-period.yaml"
ANEW = "pass"
"""Does nothing, but makes `exprec` start a new process."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    run_id = exprec("run", "-q", TWO, cwd=folder).stdout.decode().strip()
    exprec("run", "-q", ROOT / "tests" / "data" / "every_event.yaml", cwd=folder)
    exprec("tag", "two", run_id, cwd=folder)
    return folder


CALLS: list[tuple[list[str], int]] = [
    (["show", "two", "-v", "--color", "always"], 0),
    (["show", "none"], 4),
    (["log"], 0),
    (["tag"], 0),
    (["verify", "--all"], 0),
    (["check", "none.yaml", str(TWO)], 2),
    (["simulate", "--batch", "-"], 0),
    (["schema", "experiment"], 0),
    (["--version"], 0),
    (["run"], 2),
]


@pytest.mark.parametrize(("words", "code"), CALLS, ids=[" ".join(words[:2]) for words, _ in CALLS])
def test_each_command(recorded: Path, words: list[str], code: int) -> None:
    forked, anew = (
        exprec(*words, cwd=recorded, stdin=b'{"A":{}}\n{}\n', code=code, first=first) for first in ("", ANEW)
    )
    assert (forked.stdout, forked.stderr) == (anew.stdout, anew.stderr)
    assert forked.stdout + forked.stderr


def test_a_run_in_several_processes(recorded: Path, tmp_path: Path) -> None:
    done = []
    for name, first in (("forked", ""), ("anew", ANEW)):
        store = Path(shutil.copytree(recorded / "runs", tmp_path / name))
        done.append(exprec("run", CASTRO / "two-period.yaml", "--jobs", "2", "--store", store, first=first))
    assert done[0].stdout == done[1].stdout
    assert done[0].stderr == done[1].stderr


def test_fork_has_its_own_folder_environment_and_input(recorded: Path, tmp_path: Path) -> None:
    def runs(**environment: str) -> bytes:
        return exprec("log", cwd=tmp_path, env=environment).stdout

    assert runs(EXPREC_STORE=str(recorded / "runs"))
    # Neither environment nor folder of one call are those of the next.
    assert runs() == b""
    assert exprec("log", cwd=recorded).stdout
