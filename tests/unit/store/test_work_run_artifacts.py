"""Which files can be artifacts, and under which names; that they are copied is tested with what records them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exprec.recorder.errors import StorageFailure
from exprec.recorder.store.work_run import _artifact_problem as artifact_problem


def test_a_file_is_taken_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    assert artifact_problem("a", tmp_path / "a", 3) is None
    assert artifact_problem("a", tmp_path / "a", 2) == (
        "has 3 bytes, and 2 are the most; raise the limit, or record its SHA-256 instead"
    )


def test_only_a_file_is_taken(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("missing")
    for name, reason in (("missing", "there is no"), ("broken", "there is no"), ("pipe", "no file"), (".", "no file")):
        assert reason in (artifact_problem("a", tmp_path / name, 100) or "")


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "link").symlink_to("a")
    assert artifact_problem("a", tmp_path / "link", 3) is None


def test_a_name_is_looked_at_before_the_file(tmp_path: Path) -> None:
    assert (artifact_problem("../a", tmp_path / "missing", 3) or "").startswith("must be named by a relative path")


def test_what_cannot_be_looked_at_is_a_failure_of_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"123")

    def refused(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(StorageFailure, match="Permission denied") as raised:
        artifact_problem("a", source, 3)
    assert raised.value.path == source
