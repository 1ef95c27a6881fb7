"""The environment of a user: exprec and Python on the PATH, no git configuration, a copy of an example."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from tests.fixtures.cli import START
from tests.fixtures.git import ISOLATION
from tests.fixtures.paths import ROOT

_UNSET = ("GIT_", "EXPREC_", "COLUMNS", "NO_COLOR", "FORCE_COLOR")
"""Prefixes of environment variables that this user does not have."""


def environment(place: Path) -> dict[str, str]:
    """Create the programs `exprec` and `python` in `place`; returns the environment to use them in."""
    folder = place / "bin"
    folder.mkdir()
    python = shlex.quote(sys.executable)
    for name, command in (("exprec", f"{python} -c '{START}'"), ("python", python), ("python3", python)):
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        (folder / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNSET)}
    ada = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    apart = {**ISOLATION, "GIT_CEILING_DIRECTORIES": str(place)}
    return {**kept, **ada, **apart, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def copy_of(example: str, folder: Path) -> Path:
    """Copy an example, or all of them, without recorded files; returns the folder."""
    return Path(shutil.copytree(ROOT / "examples" / example, folder, ignore=shutil.ignore_patterns(*_MADE)))


_MADE = ("runs", "__pycache__", "weights.json", "last.txt")
