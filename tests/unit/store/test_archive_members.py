"""The members of compressed files, up to limits."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from exprec.recorder.store import archive_members


def _names(path: Path) -> list[str]:
    with path.open("rb") as file:
        return [name for name, pieces in archive_members.read_members(file) if b"".join(pieces) == b"x"]


def test_a_zip_file_with_a_large_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"m{number}", b"x")
        archive.comment = b"a comment"
    assert _names(path) == ["m0", "m1", "m2"]
    # 46 bytes and the name for each member.
    monkeypatch.setattr(archive_members, "MAX_DIRECTORY_BYTES", 3 * 48)
    assert _names(path) == ["m0", "m1", "m2"]
    monkeypatch.setattr(archive_members, "MAX_DIRECTORY_BYTES", 3 * 48 - 1)
    assert _names(path) == []
