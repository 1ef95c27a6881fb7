"""The one place where exprec reads the clock, the environment, the terminal and the machine.

What it returns are plain values, passed on as arguments; none of them ever enters a run.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from exprec import schemas
from exprec.cli import git
from exprec.recorder.format import DEFAULT_STORE

_PROGRAM = "exprec"

_NAMES_A_SECRET = re.compile(r"(?:^|_)[A-Z0-9]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?(?:_|$)")
_NAMES_A_URL = re.compile(r"(?:^|_)(?:URL|URI|DSN|PROXY|ENDPOINT)S?$")
_WORDS = re.compile(r"[A-Za-z]+(?:[_. -][A-Za-z]+)*")
_NUMBER = re.compile(r"[0-9]{1,15}")
_SAID_BY_ANYBODY = {"anonymous", "changeme", "disabled", "localhost", "password", "required", "undefined", "username"}


@cache
def exprec_version() -> str:
    """The installed version."""
    return version("exprec")


def store_path(option: Path | None, configured: str | None = None) -> Path:
    """The store to use: the option, else EXPREC_STORE, else what the experiment says, else ./runs."""
    return option or Path(os.environ.get("EXPREC_STORE") or configured or DEFAULT_STORE)


def wants_color(choice: str) -> bool:
    """Whether stdout gets colour: as chosen, and for `auto` on a terminal, unless NO_COLOR is set."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def wants_progress(*, shows_events: bool) -> bool:
    """Whether progress is shown: on a terminal, where the events themselves do not already show it."""
    return sys.stderr.isatty() and not (shows_events and sys.stdout.isatty())


def pager_command() -> str | None:
    """The pager to show long output with: EXPREC_PAGER, else PAGER, else `less`.

    None where stdout is no terminal that a pager could work on, and where the user wants none: `cat`, or nothing.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return None
    command = os.environ.get("EXPREC_PAGER", os.environ.get("PAGER", "less")).strip()
    return command if command not in ("", "cat") else None


def pager_environment() -> dict[str, str]:
    """The environment for a pager: `less` shows colours, ends by itself where all fits on the screen, and leaves
    what it showed there, unless LESS says otherwise."""
    # What we print is UTF-8 in every locale.
    return {"LESS": "FRX", "LESSCHARSET": "utf-8", "LV": "-c", **os.environ}


def can_ask() -> bool:
    """Whether somebody is there who sees what we print and can answer a question about it."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def seconds_since(moment: float) -> float:
    """How long ago a moment in seconds since the epoch was; 0 for one in the future."""
    return max(0.0, time.time() - moment)


def this_program() -> str:
    """The path of the `exprec` that runs, or its bare name where it is installed in no way that has a path."""
    # Links are kept: where they lead to may change with the next version.
    called, beside = Path(sys.argv[0]).absolute(), Path(sys.executable).with_name(_PROGRAM)
    return next((str(path) for path in (called, beside) if path.name == _PROGRAM and path.is_file()), _PROGRAM)


def processors() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_observing(folder: Path) -> Callable[[], dict[str, Any]]:
    """Begin to observe an execution of an experiment that lies in `folder`; call the result at its end."""
    started_at, started = datetime.now(UTC), time.monotonic()

    def finish() -> dict[str, Any]:
        commit, dirty = git.state_of(folder)
        return {
            "started_at": started_at.isoformat(timespec="microseconds"),
            "duration_seconds": round(time.monotonic() - started, 3),
            "user": _user(),
            "host": socket.gethostname() or None,
            "exprec": exprec_version(),
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "git_commit": commit,
            "git_dirty": dirty,
        }

    return finish


def known_secrets() -> dict[str, str]:
    """The secrets in the environment, by what they are called.

    These are the values of the variables that have KEY, TOKEN, SECRET, PASSWORD, PASSWD, PASSPHRASE or
    CREDENTIAL as the end of a word of their name, and the password (or else the user) in the value of a
    variable named like a URL or a proxy. Left out is what a run may hold by chance, and what tells its reader
    nothing: words such as `password` and those of exprec's own formats (`payment_tree`), numbers of at most
    15 digits, and the paths of files and folders that exist.
    """
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if _NAMES_A_SECRET.search(name.upper()):
            found[name] = value.strip()
        elif _NAMES_A_URL.search(name.upper()) and (secret := _url_secret(value)):
            found[f"the password in {name}"] = unquote(secret)
            found[f"the password in {name}, as it stands there"] = secret
    return {name: value for name, value in found.items() if not _is_ordinary(value)}


def _url_secret(value: str) -> str | None:
    try:
        parts = urlsplit(value.strip())
        return parts.password or parts.username
    except ValueError:
        return None


def _is_ordinary(value: str) -> bool:
    """Whether a value tells nothing, even if its variable is named like that of a secret."""
    if _WORDS.fullmatch(value):
        return value.lower() in _SAID_BY_ANYBODY or any(
            value.encode() in schemas.text(name) for name in schemas.names()
        )
    try:
        return bool(_NUMBER.fullmatch(value)) or ("/" in value and Path(value).expanduser().exists())
    except (OSError, RuntimeError, ValueError):
        return False


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
