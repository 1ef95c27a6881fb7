"""What git ignores of a store is named with the rule, and what to type makes git take it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from exprec.recorder.git import Repository, explain_ignored_store
from exprec.recorder.git.ignored import find_ignored_files
from exprec.recorder.store import Store
from tests.fixtures.git import git
from tests.fixtures.runs import record_command


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git(tmp_path, "init", "-q")
    return tmp_path


def _typed(message: str, here: Path) -> None:
    command = message.partition("type: ")[2]
    assert command, message
    subprocess.run(["sh", "-c", command], cwd=here, check=True)


@pytest.mark.parametrize("rule", ["runs/", "runs", "/results/runs/", "r*"])
def test_an_ignored_store_is_named_with_the_rule_and_what_to_type(rule: str, here: Path) -> None:
    store = Store.open_or_create(Path("results/runs"))
    assert explain_ignored_store(store.path) is None
    (here / ".gitignore").write_text(f"# ours\n{rule}\n")
    if rule == "r*":
        assert explain_ignored_store(store.path) == (
            "git ignores results by the rule 'r*' in .gitignore, line 2, so that its runs will not be committed; "
            "remove the rule, or name a store in another folder with --store"
        )
        return
    message = explain_ignored_store(store.path)
    assert message == (
        f"git ignores results/runs by the rule '{rule}' in .gitignore, line 2, so that its runs will not be committed; "
        "remove the rule, or type: echo '!/runs/' >> results/.gitignore"
    )
    _typed(message, here)
    assert explain_ignored_store(store.path) is None
    git(here, "add", "-A")
    assert "results/runs/store.json" in git(here, "ls-files")


def test_rules_of_the_user_in_the_store_are_named(here: Path) -> None:
    store = Store.open_or_create(Path("runs"))
    (store.path / ".gitignore").write_text("*\n/.work/\n")
    message = explain_ignored_store(store.path) or ""
    assert message.startswith("git ignores runs/store.json by the rule '*' in runs/.gitignore, line 1, so that")
    assert message.endswith("; remove the rule")


def test_outside_of_a_repository_nothing_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / ".git").rename(tmp_path / "moved")
    assert explain_ignored_store(Store.open_or_create(Path("runs")).path) is None


@pytest.mark.parametrize("folder", ["", "deep"])
def test_an_ignored_file_of_a_run_is_named_with_what_to_type(
    folder: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open_or_create(Path("a b/runs"))
    run_id = record_command(store).run_id
    # As of exprec 0.1, in which rules of the repository counted.
    (store.path / ".gitignore").write_text("/.work/\n")
    (here / ".gitignore").write_text("stdout\n.gitattributes\n")
    git(here, "add", "-A")
    (here / "deep").mkdir()
    monkeypatch.chdir(here / folder)

    def problems() -> list[str]:
        staged = git(here, "ls-files").splitlines()
        return [str(found) for found in find_ignored_files(Repository(Path()), "a b/runs", [run_id], staged)]

    up = "../" if folder else ""
    assert [line.partition("; type: ")[2] for line in problems()] == [
        f"git add --force -- '{up}a b/runs/.gitattributes'",
        f"git add --force -- '{up}a b/runs/{run_id}/stdout'",
    ]
    assert (
        "stdout: is not in the commit, because git ignores it by the rule 'stdout' in .gitignore, line 1"
        in problems()[1]
    )
    for line in problems():
        _typed(line, here / folder)
    assert problems() == []
