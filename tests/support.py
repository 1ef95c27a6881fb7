"""What several tests need: real git, the command in a process of its own, small experiments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CASTRO = ROOT / "examples" / "castro"

_GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`, apart from the configuration of this machine; returns what it printed."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **_GIT_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def git_tree_id(folder: Path) -> str:
    """The tree id that git computes for a folder in a new SHA-256 repository."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy"
        shutil.copytree(folder, copy)
        git(copy, "init", "-q", "--object-format=sha256")
        git(copy, "add", "-A", "-f")
        return git(copy, "write-tree")


def exprec(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    code: int = 0,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does, in a process of its own; fails unless it exits with `code`."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("COLUMNS", "EXPREC_STORE", "NO_COLOR", "FORCE_COLOR")
    }
    done = subprocess.run(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", *map(str, arguments)],
        cwd=cwd,
        env={**kept, **(env or {})},
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, (done.returncode, done.stdout.decode(), done.stderr.decode())
    return done


def script_lines(answers: Sequence[Mapping[str, Any]]) -> bytes:
    """The file of a scripted model."""
    from exprec.recorder import canonical

    return b"".join(canonical.encode(answer) for answer in answers)
