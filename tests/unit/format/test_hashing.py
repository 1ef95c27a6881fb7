"""The address is the tree id of real git in a SHA-256 repository."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprec.recorder.format.hashing import blob_id, tree_id
from exprec.recorder.fs import file_names
from exprec.recorder.store.file_tree import folder_id
from tests.fixtures.git import git_tree_id

CASES: dict[str, dict[str, bytes]] = {
    "one empty file": {"a": b""},
    "names that sort by bytes": {"a": b"1", "a.b": b"2", "a-b": b"3", "ab": b"4", "é": b"5", "B": b"6"},
    "carriage returns stay": {"crlf.txt": b"one\r\ntwo\r\n"},
    "names around a slash": {
        **dict.fromkeys(("a-", "a.b", "a0", "aa", "a b", "b", "é"), b"a file"),
        **{f"{name}/x": b"within" for name in ("a", "a!", "a.", "a/b", "a/b-", "a-b", "ab", "é!")},
    },
    "larger than a chunk": {"large.bin": b"0123456789abcdef" * 200_000},
}


@pytest.mark.parametrize("files", CASES.values(), ids=CASES.keys())
def test_folder_id_is_what_git_computes(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    _write(folder, files)
    assert folder_id(folder) == git_tree_id(folder)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


_PARTS = st.text("aA-.0 é", min_size=1, max_size=3).filter(lambda part: part.strip(".") != "")


@settings(max_examples=20, deadline=None)
@given(st.sets(st.lists(_PARTS, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12))
def test_any_names_in_folders_sort_as_git_sorts_them(paths: set[str]) -> None:
    # What is a folder in one path cannot be a file in another.
    files = {path: path.encode() for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir()
        _write(folder, files)
        assert file_names(folder) == sorted(files)
        assert folder_id(folder) == tree_id({path: blob_id(data) for path, data in files.items()})
        assert folder_id(folder) == git_tree_id(folder)


def test_git_here_knows_sha256(tmp_path: Path) -> None:
    done = subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path / "r")], check=False)
    assert done.returncode == 0, "these tests need git 2.29 or newer"
