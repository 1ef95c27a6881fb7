"""The state of a working tree: its commit, and whether it has what was executed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exprec.recorder.git import read_git_state
from tests.fixtures.git import git


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one commit, in which `program.py` and `a b/[x].csv` are tracked."""
    top = tmp_path / "project"
    (top / "a b").mkdir(parents=True)
    for name in ("program.py", "a b/[x].csv"):
        (top / name).write_text("1\n")
    (top / ".gitignore").write_text("*.ignored\n")
    git(top, "init", "-q")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "first")
    return top


def test_what_lies_beside_the_program_does_not_count(tree: Path) -> None:
    (tree / "notes.txt").write_text("")
    (tree / "runs").mkdir()
    (tree / "runs" / "store.json").write_text("{}")
    files = [tree / "program.py", tree / "a b" / "[x].csv"]
    assert read_git_state(tree, files) == (git(tree, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("name", ["new.py", "a b/*.csv", "data.ignored", ":(glob)x", "link"])
def test_an_untracked_program_or_input_is_a_change(tree: Path, name: str) -> None:
    if name == "link":
        (tree / name).symlink_to("program.py")
    else:
        (tree / name).write_text("1\n")
    assert read_git_state(tree).is_dirty is False
    assert read_git_state(tree, [tree / name]).is_dirty is True
    assert read_git_state(tree / "a b", [tree / "program.py", tree / "a b" / ".." / name]).is_dirty is True


def test_files_elsewhere_belong_to_no_commit(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.csv").write_text("1\n")
    files = [tmp_path / "elsewhere.csv", Path("/bin/sh"), tree / "missing.csv"]
    assert read_git_state(tree, files).is_dirty is False


def test_a_tree_that_is_reached_by_a_link(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    (tree / "new.py").write_text("1\n")
    assert read_git_state(tmp_path / "link", [tmp_path / "link" / "new.py"]).is_dirty is True


def test_nothing_is_written_into_the_repository(tree: Path) -> None:
    """`git status` would write the index anew when a file was touched."""
    index = tree / ".git" / "index"
    os.utime(tree / "program.py", (1, 1))
    before = (index.read_bytes(), index.stat().st_mtime_ns, sorted((tree / ".git").iterdir()))
    assert read_git_state(tree, [tree / "program.py"]).is_dirty is False
    assert (index.read_bytes(), index.stat().st_mtime_ns, sorted((tree / ".git").iterdir())) == before


def test_an_index_that_another_git_has_locked(tree: Path) -> None:
    (tree / ".git" / "index.lock").write_text("")
    os.utime(tree / "program.py", (1, 1))
    assert read_git_state(tree).is_dirty is False
