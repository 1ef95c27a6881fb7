"""Somebody who has exprec and its Python on the PATH, no configuration of git, and a copy of the examples.

What this person does is told in the tests.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from tests.fixtures.paths import ROOT

START = "from exprec.cli.main import main; main()"
_ANOTHER_S = ("GIT_", "EXPREC_", "COLUMNS", "NO_COLOR", "FORCE_COLOR")
"""What begins like this in the environment is not of this person."""


def environment(place: Path) -> dict[str, str]:
    """The environment; the programs `exprec` and `python` are made in `place`."""
    folder = place / "bin"
    folder.mkdir()
    python = shlex.quote(sys.executable)
    for name, command in (("exprec", f"{python} -c '{START}'"), ("python", python), ("python3", python)):
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        (folder / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_ANOTHER_S)}
    ada = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    apart = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": str(place)}
    return {**kept, **ada, **apart, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def copy_of(example: str, folder: Path) -> Path:
    """Copy an example, or all of them, without what was recorded there; returns the folder."""
    return Path(shutil.copytree(ROOT / "examples" / example, folder, ignore=shutil.ignore_patterns(*_MADE)))


_MADE = ("runs", "__pycache__", "weights.json", "last.txt")
