"""The address is the tree id of real git in a SHA-256 repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exprec.recorder.store.tree import folder_id
from tests.support import git_tree_id

CASES: dict[str, dict[str, bytes]] = {
    "one empty file": {"a": b""},
    "names that sort by bytes": {"a": b"1", "a.b": b"2", "a-b": b"3", "ab": b"4", "é": b"5", "B": b"6"},
    "carriage returns stay": {"crlf.txt": b"one\r\ntwo\r\n"},
    "larger than a chunk": {"large.bin": b"0123456789abcdef" * 200_000},
}


@pytest.mark.parametrize("files", CASES.values(), ids=CASES.keys())
def test_folder_id_is_what_git_computes(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert folder_id(folder) == git_tree_id(folder)


def test_git_here_knows_sha256(tmp_path: Path) -> None:
    done = subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path / "r")], check=False)
    assert done.returncode == 0, "these tests need git 2.29 or newer"
