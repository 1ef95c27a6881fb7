"""A repository from elsewhere starts no program, whatever its configuration names.

A clone brings files, and in them a bare repository with a configuration of its own; an unpacked archive brings a whole
`.git`. Every command of exprec runs in both. A program of the repository would create a file; where strace is
installed, the programs that are started are listed too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.cli import START, inherited_environment
from tests.fixtures.git import ISOLATION, commit_all, git
from tests.fixtures.paths import ROOT

_EXPERIMENT = ROOT / "examples/castro/two-period.yaml"
_HOOKS = ("post-index-change", "pre-commit", "reference-transaction", "post-checkout", "fsmonitor-watchman")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A program that leaves `canary.log` beside itself when it is started."""
    program = tmp_path / "canary"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/canary.log\ncat\n')
    program.chmod(0o755)
    return program


def _arm(git_folder: Path, canary: Path) -> None:
    """Name the canary wherever a configuration can name a program."""
    for hook in _HOOKS:
        (git_folder / "hooks").mkdir(exist_ok=True)
        shutil.copy(canary, git_folder / "hooks" / hook)
    values = {
        "core.fsmonitor": canary,
        "core.hooksPath": git_folder / "hooks",
        "core.pager": canary,
        "core.sshCommand": canary,
        "core.editor": canary,
        "core.askPass": canary,
        "core.alternateRefsCommand": canary,
        "core.gitProxy": canary,
        "credential.helper": canary,
        "diff.external": canary,
        "diff.log.textconv": canary,
        "diff.log.command": canary,
        "filter.evil.clean": canary,
        "filter.evil.smudge": canary,
        "filter.evil.process": canary,
        "filter.evil.required": "true",
        "gpg.program": canary,
        "log.showSignature": "true",
        "pager.status": canary,
        "pager.ls-tree": canary,
        "alias.status": f"!{canary}",
        "protocol.ext.allow": "always",
        "extensions.partialClone": "origin",
        "core.repositoryFormatVersion": "1",
        "remote.origin.promisor": "true",
        "remote.origin.url": git_folder,
        "remote.origin.uploadpack": canary,
        "remote.origin.proxy": canary,
        "submodule.sub.update": f"!{canary}",
    }
    for key, value in values.items():
        git(git_folder, "config", "-f", "config", key, str(value))
    (git_folder / "info").mkdir(exist_ok=True)
    (git_folder / "info/attributes").write_text("* filter=evil diff=log\n")


@pytest.fixture
def made(tmp_path: Path, canary: Path) -> Path:
    """A repository of a stranger, with a run, a branch, a bare repository in `data`, and a program everywhere."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for number in ("1", "2"):
        _exprec(folder, "run", "--name", "run", "--", "echo", number)
        shutil.copy(_EXPERIMENT, folder / "experiment.yaml")
        commit_all(folder, f"run {number}")
        git(folder, "branch", f"run-{number}")
    git(folder, "init", "-q", "--bare", "data")
    shutil.copytree(folder / ".git/objects", folder / "data/objects", dirs_exist_ok=True)
    (folder / "data/refs/heads/main").write_text(git(folder, "rev-parse", "HEAD") + "\n")
    (folder / "data/refs/keep").write_text("")
    git(folder / "data", "config", "-f", "config", "core.bare", "false")
    git(folder / "data", "config", "-f", "config", "core.worktree", "..")
    _arm(folder / "data", canary)
    shutil.copytree(folder / "runs", folder / "data/runs")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "data")
    return folder


@pytest.fixture(params=["clone", "archive"])
def received(request: pytest.FixtureRequest, made: Path, tmp_path: Path, canary: Path) -> Path:
    """The folder in which the user works: a bare repository in a clone, or an archive with its `.git`."""
    home = tmp_path / "home"
    home.mkdir()
    if request.param == "clone":
        git(home, "clone", "-q", str(made), "clone")
        return home / "clone/data"
    _arm(made / ".git", canary)
    with tarfile.open(tmp_path / "archive.tar", "w") as archive:
        archive.add(made, "archive")
    with tarfile.open(tmp_path / "archive.tar") as archive:
        archive.extractall(home, filter="fully_trusted")
    folder = home / "archive"
    # Changed, and possibly changed: git compares the content of both by their filters.
    (folder / "experiment.yaml").write_text(_EXPERIMENT.read_text("utf-8") + "\n")
    os.utime(next(folder.glob("runs/*/run.json")))
    blob = git(made, "rev-parse", f"run-1:{next(made.glob('runs/*/run.json')).parent.relative_to(made)}/config.json")
    missing = folder / ".git/objects" / blob[:2] / blob[2:]
    missing.unlink()
    return folder


def _exprec(folder: Path, *arguments: str, traced: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    trace = ["strace", "-f", "-qq", "-e", "trace=execve", "-s", "300", "-o", str(traced)] if traced else []
    environment = {**inherited_environment(), **ISOLATION}
    words = [*trace, sys.executable, "-c", START, *arguments]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False, timeout=120)


def _commands(folder: Path) -> Iterator[tuple[str, ...]]:
    """Every command of exprec, in each way in which it has to do with git."""
    run_id = next(folder.glob("runs/*/run.json")).parent.name
    yield ("run", "--", "true")
    yield ("run", "-q", str(_EXPERIMENT))
    yield ("run", "--dry-run", str(_EXPERIMENT))
    yield ("rerun", run_id)
    yield ("resume", run_id)
    yield ("show", run_id)
    yield ("log",)
    yield ("diff", run_id, run_id)
    yield ("tag", "name", run_id)
    yield ("verify", "--all")
    yield ("verify", "--git", "HEAD")
    yield ("verify", "--git", "run-1")
    yield ("verify", "--staged")
    yield ("review", "run-1..run-2")
    yield ("review", "HEAD")
    yield ("gc", "--yes")
    yield ("check", str(_EXPERIMENT))
    yield ("simulate", "--help")
    yield ("schema",)
    yield ("init", "--git")
    yield ("init", "--hook")


def test_no_command_starts_a_program_of_the_repository(received: Path, tmp_path: Path) -> None:
    log = tmp_path / "canary.log"
    log.unlink(missing_ok=True)
    for words in _commands(received):
        done = _exprec(received, *words)
        assert not log.exists(), (words, log.read_text())
        assert b"Traceback" not in done.stderr, (words, done.stderr.decode())
    program = "from exprec import record\nwith record('p', {}) as run: run.finish({})"
    script = received / "program.py"
    script.write_text(program)
    subprocess.run([sys.executable, str(script)], cwd=received, env=inherited_environment(), check=False, timeout=60)
    assert not log.exists(), log.read_text()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_programs_started_are_git_and_the_recorded_command(received: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    started: set[str] = set()
    for words in _commands(received):
        _exprec(received, *words, traced=trace)
        if not trace.exists() or "ptrace" in trace.read_text():
            pytest.skip("strace may not trace here")
        calls = re.findall(r'execve\("([^"]+)".*\) = 0', trace.read_text())
        started |= {Path(name).name for name in calls if name != sys.executable}
    assert started <= {"git", "true", "echo"}, started


def test_the_canary_is_started_without_these_precautions(made: Path, canary: Path) -> None:
    subprocess.run(
        ["git", "status"], cwd=made / "data", env={**os.environ, **ISOLATION}, capture_output=True, check=False
    )
    assert (canary.parent / "canary.log").exists()


def test_the_commit_and_whether_it_is_dirty_are_recorded_without_filters(made: Path, canary: Path) -> None:
    from exprec.recorder.git import read_git_state

    commit = git(made, "rev-parse", "HEAD")
    assert read_git_state(made) == (commit, False)
    (made / "experiment.yaml").write_text("name: changed\n")
    assert read_git_state(made / "runs") == (commit, True)
    _arm(made / ".git", canary)
    # What the filter would make of the file is unknown.
    assert read_git_state(made) == (commit, None)
    git(made / ".git", "config", "-f", "config", "filter.a=b.clean", str(canary))
    assert read_git_state(made) == (commit, None)
    assert not (canary.parent / "canary.log").exists()
