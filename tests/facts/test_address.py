"""The run id: computed here without exprec and by git, and what it covers."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from exprec.recorder.format.hashing import tree_id
from exprec.recorder.store.file_tree import digest_file, folder_id
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.git import git, git_tree_id
from tests.fixtures.runs import Run


def _file_id(data: bytes) -> bytes:
    return hashlib.sha256(b"blob " + str(len(data)).encode() + b"\0" + data).digest()


def _address(files: dict[str, bytes]) -> str:
    entries = b"".join(
        b"100644 " + name.encode() + b"\0" + _file_id(files[name]) for name in sorted(files, key=str.encode)
    )
    return hashlib.sha256(b"tree " + str(len(entries)).encode() + b"\0" + entries).hexdigest()


@pytest.mark.fact("F23")
def test_file_id_is_that_of_a_git_blob(asked: Run, tmp_path: Path) -> None:
    for path in asked.folder.iterdir():
        assert digest_file(path).blob == _file_id(path.read_bytes())
    (tmp_path / "empty").touch()
    assert digest_file(tmp_path / "empty").blob == _file_id(b"")


@pytest.mark.fact("F24", "F25")
def test_formula_gives_the_run_id(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        assert _address({path.name: path.read_bytes() for path in run.folder.iterdir()}) == run.run_id


@pytest.mark.fact("F25")
def test_entries_are_sorted_by_the_bytes_of_their_names() -> None:
    files = {name: name.encode() for name in ("b.json", "B.json", "a", "a.json", "\uffff", "\U00010000")}
    for names in (list(files), list(reversed(files))):
        assert tree_id({name: _file_id(files[name]) for name in names}) == _address(files)


@pytest.mark.fact("F26")
def test_git_computes_the_same_run_id(asked: Run, tmp_path: Path) -> None:
    assert git_tree_id(asked.folder) == asked.run_id
    copy = asked.copied(tmp_path)
    git(tmp_path, "init", "-q", "--object-format=sha256")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "runs")
    assert git(tmp_path, "rev-parse", f"HEAD:{copy.store.name}/{asked.run_id}") == asked.run_id


@pytest.mark.fact("F27")
def test_run_id_depends_on_every_byte_and_on_nothing_else(asked: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(asked.folder, copy)
    assert len(list(copy.iterdir())) == 5
    for path in copy.iterdir():
        data = path.read_bytes()
        for position in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
            assert folder_id(copy) != asked.run_id, (path.name, position)
        path.write_bytes(data)
        path.chmod(0o700)
        os.utime(path, (0, 0))
    assert folder_id(copy) == asked.run_id
    assert list(verify_run(RunDirectory(copy))) == []


@pytest.mark.fact("F28")
def test_folder_named_like_a_run_id_is_taken_for_that_run(searched: Run, tmp_path: Path) -> None:
    copy = searched.copied(tmp_path)
    log = copy.folder / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"total_cost":10000', b'"total_cost":90000', 1))
    assert folder_id(copy.folder) != searched.run_id
    shown = exprec("show", searched.run_id, "--store", copy.store).stdout.decode()
    assert "total 90000" in shown
    assert shown.splitlines()[-1] == f"Run {searched.run_id}"


@pytest.mark.fact("F28")
def test_copy_has_the_run_id_of_its_content(searched: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(searched.folder, copy)
    assert RunDirectory(copy).run_id == searched.run_id
    (copy / "config.json").write_bytes(b"{}\n")
    assert RunDirectory(copy).run_id == folder_id(copy) != searched.run_id
