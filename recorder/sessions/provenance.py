"""Observation of an execution: its clock, user, host and git commit, and its environment.

Nothing of this enters a run. No other module of recorder/ reads the clock, the environment or the machine.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.format import layout
from exprec.recorder.version import VERSION

# Modules that only some functions need are imported in those: every command imports this one.

_NAMES_A_SECRET = re.compile(r"(?:^|_)[A-Z0-9]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?(?:_|$)")
_NAMES_A_URL = re.compile(r"(?:^|_)(?:URL|URI|DSN|PROXY|ENDPOINT)S?$")
_WORDS = re.compile(r"[A-Za-z]+(?:[_. -][A-Za-z]+)*")
_NUMBER = re.compile(r"[0-9]{1,15}")
_ORDINARY_WORDS = {"anonymous", "changeme", "disabled", "localhost", "password", "required", "undefined", "username"}
_GIT_SECONDS = 10


def store_path(option: Path | None, configured: str | None = None) -> Path:
    """The store to use: the option, else EXPREC_STORE, else the `configured` one of the experiment, else ./runs."""
    return option or Path(os.environ.get("EXPREC_STORE") or configured or layout.DEFAULT_STORE)


def process_environment() -> dict[str, str]:
    """A copy of the environment variables of this process."""
    return dict(os.environ)


def program_folder() -> Path:
    """The folder of the running program; the working directory for an installed one, and in a notebook."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    folder = Path(file).absolute().parent if file else Path.cwd()
    return Path.cwd() if folder.is_relative_to(sys.prefix) else folder


def start_observing(folder: Path) -> Callable[[], dict[str, Any]]:
    """Begin to observe an execution; call the result at its end for the fields of the execution record.

    `folder` is that of the experiment or program, whose git commit is recorded.
    """
    import platform
    import socket
    from datetime import UTC, datetime

    started_at, started = datetime.now(UTC), time.monotonic()

    def finish() -> dict[str, Any]:
        git = read_git_state(folder)
        return {
            "started_at": started_at.isoformat(timespec="microseconds"),
            "duration_seconds": round(time.monotonic() - started, 3),
            "user": _user(),
            "host": socket.gethostname() or None,
            "exprec": VERSION,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "git_commit": git.commit,
            "git_dirty": git.is_dirty,
        }

    return finish


class GitState(NamedTuple):
    """The state of a working tree; None for what is unknown."""

    commit: str | None = None
    is_dirty: bool | None = None
    """Whether tracked files have uncommitted changes."""


def read_git_state(folder: Path) -> GitState:
    """The state of the working tree that contains `folder`; unknown without git, and when git takes too long."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return GitState()
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return GitState(commit.strip(), None if changes is None else bool(changes.strip()))


def known_secrets() -> dict[str, str]:
    """The secrets in the environment, by name.

    These are the values of variables with a word in their name that ends in KEY, TOKEN, SECRET, PASSWORD, PASSWD,
    PASSPHRASE or CREDENTIAL, and the password (or else the user) in the values of variables that are named like a URL
    or a proxy. Values that a run may contain by chance are left out: words such as `password` and those of exprec's
    own formats (`payment_tree`), numbers of at most 15 digits, and paths of existing files and folders.
    """
    from urllib.parse import unquote

    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if _NAMES_A_SECRET.search(name.upper()):
            found[name] = value.strip()
        elif _NAMES_A_URL.search(name.upper()) and (secret := _url_secret(value)):
            found[f"the password in {name}"] = unquote(secret)
            found[f"the password in {name}, as it stands there"] = secret
    return {name: value for name, value in found.items() if not _is_ordinary(value)}


def _url_secret(value: str) -> str | None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value.strip())
        return parts.password or parts.username
    except ValueError:
        return None


def _is_ordinary(value: str) -> bool:
    """Return whether a value is not a secret, although its variable is named like one."""
    from exprec import schemas

    if _WORDS.fullmatch(value):
        return value.lower() in _ORDINARY_WORDS or any(value.encode() in schemas.text(name) for name in schemas.names())
    try:
        return bool(_NUMBER.fullmatch(value)) or ("/" in value and Path(value).expanduser().exists())
    except (OSError, RuntimeError, ValueError):
        return False


def _user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
