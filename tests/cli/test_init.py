"""`exprec init`: the store, how git shows it, and the commit hook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.format import layout
from tests.fixtures.cli import exprec
from tests.fixtures.git import git
from tests.fixtures.paths import CASTRO

TWO = CASTRO / "two-period.yaml"
RENDERED = "+Iteration 1  total 10000  BANK_A 5000  BANK_B 5000\n"
"""A line of the first run in a diff that adds it."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run."""
    folder = tmp_path_factory.mktemp("init")
    exprec("run", "-q", TWO, cwd=folder)
    return folder / "runs"


@pytest.fixture(autouse=True)
def no_configuration_but_the_repositorys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "t")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "t@example.org")
    # What is found when exprec is not installed as a program of its own beside this Python.
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "exprec"
    program.write_text(f"#!{sys.executable}\nfrom exprec.cli.main import main\nmain()\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "a repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def _init(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    said = json.loads(exprec("init", "--json", *arguments, cwd=folder, code=code).stdout)
    assert isinstance(said, dict)
    return said


def _commit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    git(folder, "add", "-A")
    return subprocess.run(
        ["git", "commit", "-qm", "one", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def _log(folder: Path) -> Path:
    (log,) = (folder / "runs").glob("*/events.jsonl")
    return log


def test_the_store_is_made_once(tmp_path: Path) -> None:
    assert exprec("init", cwd=tmp_path).stdout == b"created the store runs\n"
    made = {path.name: path.read_bytes() for path in (tmp_path / "runs").iterdir() if path.is_file()}
    assert exprec("init", cwd=tmp_path).stdout == b"runs is already a store\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / "runs").iterdir() if path.is_file()} == made
    assert _init(tmp_path, "--store", "other/store")["store"] == "new"
    assert (tmp_path / "other" / "store" / "store.json").is_file()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("mine")
    assert b"is not an exprec store" in exprec("init", "--store", "thesis", cwd=tmp_path, code=5).stderr


def test_the_attributes_of_an_older_store_are_completed(tmp_path: Path) -> None:
    exprec("init", cwd=tmp_path)
    attributes = tmp_path / "runs" / ".gitattributes"
    complete = attributes.read_text()
    attributes.write_text("* -text\n*.png binary")
    assert _init(tmp_path)["store"] == "changed"
    assert attributes.read_text() == f"* -text\n*.png binary\n{layout.GIT_ATTRIBUTES}"
    attributes.unlink()
    exprec("init", cwd=tmp_path)
    assert attributes.read_text() == complete


@pytest.mark.parametrize("option", ["--git", "--hook"])
def test_without_a_repository_nothing_is_made(tmp_path: Path, option: str) -> None:
    said = exprec("init", option, cwd=tmp_path, code=2).stderr.decode()
    assert "not a git repository" in said
    assert "run this in a git repository" in said
    assert not (tmp_path / "runs").exists()


def test_git_shows_logs_as_text(repository: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (_init(repository, "--git")["git"], _init(repository, "--git")["git"]) == ("new", "present")
    git(repository, "commit", "-q", "--allow-empty", "-m", "zero")
    shutil.copytree(store, repository / "runs", dirs_exist_ok=True)
    git(repository, "add", "-A")
    assert RENDERED in git(repository, "diff", "--cached")
    assert _commit(repository).returncode == 0
    for command in ("log -p", "show"):
        shown = git(repository, *command.split())
        assert RENDERED in shown
        assert '+{"agents"' not in shown
        assert "\x1b" not in shown
    assert '+{"agents"' in git(repository, "show", "--no-textconv")
    # The same in a wider terminal, kept or not: what git keeps has one width.
    monkeypatch.setenv("COLUMNS", "200")
    assert git(repository, "show") == shown
    git(repository, "update-ref", "-d", "refs/notes/textconv/exprec")
    assert git(repository, "show") == shown


def test_git_diff_shows_the_readable_lines_of_a_damaged_log(repository: Path, store: Path) -> None:
    _init(repository, "--git")
    shutil.copytree(store, repository / "runs", dirs_exist_ok=True)
    assert _commit(repository).returncode == 0
    lines = _log(repository).read_bytes().splitlines(keepends=True)
    _log(repository).write_bytes(b"".join([*lines[:-2], b"{" + lines[-2], lines[-1]]))
    shown = git(repository, "diff")
    assert "\n+(damaged here: git diff --no-textconv shows the lines themselves)" in shown
    assert "\n-Converged after" in shown
    assert "\n-Iteration 1 " not in shown


def test_git_diff_shows_raw_lines_without_exprec(
    repository: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _init(repository, "--git")
    command = git(repository, "config", "--local", "diff.exprec.textconv")
    git(repository, "config", "diff.exprec.textconv", command.replace("e=", "e=/gone", 1))
    shutil.copytree(store, repository / "runs", dirs_exist_ok=True)
    assert _commit(repository).returncode == 0
    shown = git(repository, "show")
    assert RENDERED in shown, "exprec is found on the PATH"
    git(repository, "update-ref", "-d", "refs/notes/textconv/exprec")
    tools = {tool: shutil.which(tool) for tool in ("git", "cat", "sh")}
    bare = repository.parent / "tools"
    bare.mkdir()
    for tool, path in tools.items():
        assert path is not None
        (bare / tool).symlink_to(path)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(bare))
        assert '+{"agents"' in git(repository, "show")
    assert '+{"agents"' in git(repository, "show"), "git kept it"
    assert _init(repository, "--git")["git"] == "changed"
    assert RENDERED in git(repository, "show")


def test_git_diff_works_without_a_user_name(repository: Path, store: Path) -> None:
    git(repository, "config", "user.useConfigOnly", "true")
    nobody = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "EMAIL", "HOME"), "")
    exprec("init", "--git", cwd=repository, env=nobody)
    assert git(repository, "config", "diff.exprec.cachetextconv") == "false"
    assert _init(repository, "--git")["git"] == "changed"
    assert git(repository, "config", "diff.exprec.cachetextconv") == "true"


def test_hook_passes_valid_runs_and_refuses_damaged_ones(repository: Path, store: Path) -> None:
    said = _init(repository, "--hook")
    assert said["hook"] == "new"
    assert said["hook_path"] == str(repository / ".git" / "hooks" / "pre-commit")
    shutil.copytree(store, repository / "runs", dirs_exist_ok=True)
    done = _commit(repository)
    assert done.returncode == 0, done.stderr
    log = _log(repository)
    log.write_bytes(log.read_bytes().replace(b"5000", b"5001"))
    done = _commit(repository)
    assert done.returncode == 1
    assert f"runs/{log.parent.name}/events.jsonl" in done.stdout + done.stderr
    assert git(repository, "rev-list", "--count", "HEAD") == "1"
    assert _commit(repository, "--no-verify").returncode == 0


def test_only_our_own_hook_is_replaced(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    _init(repository, "--hook")
    ours = hook.read_bytes()
    hook.write_bytes(ours.replace(b"--staged", b"--older"))
    assert [_init(repository, "--hook")["hook"] for _ in range(2)] == ["changed", "present"]
    assert hook.read_bytes() == ours
    assert hook.stat().st_mode & 0o111 == 0o111
    hook.chmod(0o644)
    assert _init(repository, "--hook")["hook"] == "changed"
    assert hook.stat().st_mode & 0o111 == 0o111

    mine = "#!/bin/sh\n# exprec verify --staged\nmake lint\n"
    hook.write_text(mine)
    done = exprec("init", "--hook", cwd=repository, code=2)
    assert b"add this line to it: exprec verify --staged || exit 1" in done.stderr
    assert str(hook).encode() in done.stderr
    assert hook.read_text() == mine
    assert _init(repository, "--hook", code=2)["hook"] == "foreign"
    hook.write_text(mine + "exprec verify --staged || exit 1\n")
    assert _init(repository, "--hook")["hook"] == "present"
    hook.unlink()
    hook.symlink_to("nowhere")
    assert _init(repository, "--hook", code=2)["hook"] == "foreign"
    assert hook.is_symlink()


def test_hooks_are_where_git_looks_for_them(repository: Path) -> None:
    (repository / "deep" / "er").mkdir(parents=True)
    git(repository, "commit", "-q", "--allow-empty", "-m", "zero")
    git(repository, "worktree", "add", "-q", "../worktree")
    worktree = repository.parent / "worktree"
    assert _init(worktree, "--hook")["hook_path"] == str(repository / ".git" / "hooks" / "pre-commit")
    git(repository, "config", "core.hooksPath", "our hooks")
    assert _init(repository / "deep" / "er", "--hook")["hook"] == "new"
    assert (repository / "our hooks" / "pre-commit").is_file()


def test_hook_reports_a_missing_exprec(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _init(repository, "--hook")
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.write_text(hook.read_text().replace("exprec=", "exprec=/gone", 1).replace("=exprec\n", "=exprec-gone\n", 1))
    done = _commit(repository)
    assert done.returncode == 1
    assert "exprec is gone" in done.stderr


def test_store_ignored_by_git_is_reported(repository: Path) -> None:
    (repository / ".gitignore").write_text("runs/\n")
    for options in ((), ("--git",)):
        said = exprec("init", *options, cwd=repository).stderr.decode()
        assert "warning: git ignores runs by the rule 'runs/' in .gitignore, line 1" in said
        assert said.endswith("remove the rule, or type: echo '!/runs/' >> .gitignore\n")
    (repository / ".gitignore").unlink()
    assert exprec("init", "--git", cwd=repository).stderr == b""
