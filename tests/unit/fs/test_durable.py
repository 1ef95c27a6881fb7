"""Removing follows no link, also where another process changes the folders at the worst moment."""

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
