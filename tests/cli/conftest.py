"""Fixtures of the tests of commands."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy of the folder `recorded` of the module, for a test to change."""
    return Path(shutil.copytree(recorded, tmp_path / "copy"))


@pytest.fixture
def git_as_it_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Git without the configuration of the machine, the environment of a hook, and repositories above `tmp_path`."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
