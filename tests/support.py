"""What several tests need: real git, the command in a process of its own, small experiments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.forking import Forks

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
    # Where the tests are run by a hook, git names the repository of the hook.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**kept, **_GIT_ENVIRONMENT},
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
    stdin: bytes = b"",
    code: int = 0,
    first: str = "",
) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does, in a process of its own; fails unless it exits with `code`.

    `first` is Python that runs before, in a process that is started for it.
    """
    words = list(map(str, arguments))
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("COLUMNS", "EXPREC_STORE", "NO_COLOR", "FORCE_COLOR")
    }
    environment = {**kept, **(env or {})}
    done = None if first else _forked(words, cwd or Path.cwd(), environment, stdin)
    if done is None:
        start = [sys.executable, "-c", f"{first}\nfrom exprec.cli.main import main; main()"]
        done = subprocess.run(
            [*start, *words], cwd=cwd, env=environment, input=stdin, capture_output=True, check=False, timeout=120
        )
    assert done.returncode == code, (done.returncode, done.stdout.decode(), done.stderr.decode())
    return done


@cache
def _forks() -> Forks:
    return Forks()


def _forked(
    words: list[str], cwd: Path, environment: Mapping[str, str], stdin: bytes
) -> subprocess.CompletedProcess[bytes] | None:
    """Run the command in a fork of a process that has loaded it; None where that would not be the same."""
    if not _forks().serves(environment):
        return None
    with tempfile.TemporaryDirectory() as name:
        streams = (Path(name) / "in", Path(name) / "out", Path(name) / "err")
        for path, data in zip(streams, (stdin, b"", b""), strict=True):
            path.write_bytes(data)
        code = _forks().call(words, streams, cwd, environment)
        if code is None:
            return None
        return subprocess.CompletedProcess(words, code, *(path.read_bytes() for path in streams[1:]))


def script_lines(answers: Sequence[Mapping[str, Any]]) -> bytes:
    """The file of a scripted model."""
    from exprec.recorder import canonical

    return b"".join(canonical.encode(answer) for answer in answers)
