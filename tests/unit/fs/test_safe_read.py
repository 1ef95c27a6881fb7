"""Only regular files up to a limit are read, whatever lies in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exprec.recorder.errors import Damaged
from exprec.recorder.fs import EntryKind, file_names, kind_of, plain_size, read_pieces, read_whole, visible_names


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"123")
    assert (read_whole(path, 3), plain_size(path)) == (b"123", 3)
    path.write_bytes(b"1234")
    with pytest.raises(Damaged, match="has 4 bytes, more than 3") as raised:
        read_whole(path, 3)
    assert raised.value.path == path


def test_other_entries_are_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    kinds = {"folder": EntryKind.FOLDER, "link": EntryKind.LINK, "pipe": EntryKind.OTHER}
    for name, kind in kinds.items():
        assert kind_of((tmp_path / name).lstat().st_mode) is kind
        with pytest.raises(Damaged, match=f"must be a file, and is {kind}"):
            read_whole(tmp_path / name, 100)


def test_a_link_above_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("there")
    assert plain_size(tmp_path / "link" / "file") == 1
    with pytest.raises(Damaged, match="must be a folder, and is a symbolic link"):
        plain_size(tmp_path / "link" / "file", tmp_path)


def test_a_large_file_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12" * 100_000)
    pieces = list(read_pieces(path))
    assert b"".join(pieces) == path.read_bytes()
    assert max(map(len, pieces)) == 64 * 1024


def test_names_are_those_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    for name in ("a/b/1", "a/2", ".hidden"):
        (tmp_path / name).touch()
    assert file_names(tmp_path) == [".hidden", "a/2", "a/b/1", "link"]
    assert sorted(visible_names(tmp_path)) == ["a", "link"]
    assert visible_names(tmp_path / "missing") == []
