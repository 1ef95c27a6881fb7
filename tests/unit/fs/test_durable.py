"""Files are rewritten whole or not at all; removing follows no link, whatever another process does to the folders."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.fs import durable


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a work folder, and beside it a folder of someone else with the same names."""
    for top in ("store", "elsewhere"):
        inner = tmp_path / top / ".work" / "run" / "artifacts"
        inner.mkdir(parents=True)
        (inner / "file").write_text("precious")
        (inner.parent / "events.jsonl").write_text("precious")
    return tmp_path / "store"


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", [".work/run/events.jsonl", ".work/run", ".work/run/artifacts/file", ".work"])
def test_files_and_folders_are_removed_once(store: Path, name: str) -> None:
    durable.remove(store / name, store)
    assert not (store / name).exists()
    durable.remove(store / name, store)
    durable.remove(store / name / "gone" / "too", store)


def test_a_link_is_removed_and_not_followed(store: Path) -> None:
    elsewhere = store.parent / "elsewhere"
    (store / "link").symlink_to(elsewhere / ".work")
    (store / ".work" / "run" / "inner").symlink_to(elsewhere)
    durable.remove(store / "link", store)
    durable.remove(store / ".work" / "run", store)
    assert not os.path.lexists(store / "link")
    assert len(_files(elsewhere)) == 5


@pytest.mark.parametrize("place", [".work", ".work/run"])
def test_a_link_in_the_path_is_damage(store: Path, place: str) -> None:
    durable.remove(store / place)
    (store / place).symlink_to(store.parent / "elsewhere" / place)
    with pytest.raises(Damaged, match="must be a folder, and is a symbolic link"):
        durable.remove(store / ".work" / "run" / "events.jsonl", store)
    assert len(_files(store.parent / "elsewhere")) == 5


@pytest.mark.parametrize("name", ["open", "stat", "unlink", "scandir", "rmdir"])
@pytest.mark.parametrize("place", [".work", ".work/run", ".work/run/artifacts"])
@pytest.mark.parametrize("moment", range(4))
def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    store: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str, moment: int
) -> None:
    """Before the call of this number, another process puts a link in the place of a folder."""
    elsewhere, real, calls = store.parent / "elsewhere", getattr(os, name), 0

    def raced(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        if calls == moment:
            (store / place).rename(store.parent / "moved")
            (store / place).symlink_to(elsewhere / place)
        calls += 1
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, raced)
    with suppress(Damaged, StorageFailure):
        durable.remove(store / ".work" / "run", store)
    monkeypatch.undo()
    assert len(_files(elsewhere)) == 5


def test_rewriting_parts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"one two three\n" + b"x" * 2_000_000 + b"end")
    size = durable.rewrite(path, iter([(0, b"one", b"1"), (4, b"two", b"zwei"), (2_000_014, b"end", b"")]))
    assert path.read_bytes() == b"1 zwei three\n" + b"x" * 2_000_000
    assert size == path.stat().st_size
    assert list(tmp_path.iterdir()) == [path]


def test_a_rewrite_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"one two")
    monkeypatch.setattr("os.rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageFailure, match="No space left"):
        durable.rewrite(path, [(0, b"one", b"1")])
    assert path.read_bytes() == b"one two"
    assert list(tmp_path.iterdir()) == [path]
