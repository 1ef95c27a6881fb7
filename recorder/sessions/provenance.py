"""What is observed of an execution: its clock, its user, host and commit, and the environment it runs in.

What it returns are plain values, passed on as arguments; none of them ever enters a run.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exprec.recorder.format.layout import DEFAULT_STORE
from exprec.recorder.version import VERSION

# What only some functions need is imported in them: every command begins here, and most need none of it.

_NAMES_A_SECRET = re.compile(r"(?:^|_)[A-Z0-9]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?(?:_|$)")
_NAMES_A_URL = re.compile(r"(?:^|_)(?:URL|URI|DSN|PROXY|ENDPOINT)S?$")
_WORDS = re.compile(r"[A-Za-z]+(?:[_. -][A-Za-z]+)*")
_NUMBER = re.compile(r"[0-9]{1,15}")
_SAID_BY_ANYBODY = {"anonymous", "changeme", "disabled", "localhost", "password", "required", "undefined", "username"}
_GIT_SECONDS = 10


def store_path(option: Path | None, configured: str | None = None) -> Path:
    """The store to use: the option, else EXPREC_STORE, else what the experiment says, else ./runs."""
    return option or Path(os.environ.get("EXPREC_STORE") or configured or DEFAULT_STORE)


def program_folder() -> Path:
    """Where the program lies that runs; for one that is installed, or typed into a notebook, the working folder."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    folder = Path(file).absolute().parent if file else Path.cwd()
    return Path.cwd() if folder.is_relative_to(sys.prefix) else folder


def start_observing(folder: Path) -> Callable[[], dict[str, Any]]:
    """Begin to observe an execution of an experiment that lies in `folder`; call the result at its end."""
    import platform
    import socket
    from datetime import UTC, datetime

    started_at, started = datetime.now(UTC), time.monotonic()

    def finish() -> dict[str, Any]:
        commit, dirty = git_state(folder)
        return {
            "started_at": started_at.isoformat(timespec="microseconds"),
            "duration_seconds": round(time.monotonic() - started, 3),
            "user": _user(),
            "host": socket.gethostname() or None,
            "exprec": VERSION,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "git_commit": commit,
            "git_dirty": dirty,
        }

    return finish


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of the repository that `folder` lies in, and whether it has uncommitted changes.

    None is what cannot be told: without git, outside of a repository, or when git takes too long.
    """
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return None, None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit.strip(), None if changes is None else bool(changes.strip())


def known_secrets() -> dict[str, str]:
    """The secrets in the environment, by what they are called.

    These are the values of the variables that have KEY, TOKEN, SECRET, PASSWORD, PASSWD, PASSPHRASE or
    CREDENTIAL as the end of a word of their name, and the password (or else the user) in the value of a
    variable named like a URL or a proxy. Left out is what a run may hold by chance, and what tells its reader
    nothing: words such as `password` and those of exprec's own formats (`payment_tree`), numbers of at most
    15 digits, and the paths of files and folders that exist.
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
    """Whether a value tells nothing, even if its variable is named like that of a secret."""
    from exprec import schemas

    if _WORDS.fullmatch(value):
        return value.lower() in _SAID_BY_ANYBODY or any(
            value.encode() in schemas.text(name) for name in schemas.names()
        )
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
