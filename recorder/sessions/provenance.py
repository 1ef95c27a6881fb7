"""Observation of an execution: its clock, user, host and git commit, and its environment.

Nothing of this enters a run. No other module of recorder/ reads the clock, the environment or the machine.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprec.recorder.format import layout
from exprec.recorder.version import VERSION

if TYPE_CHECKING:
    from exprec.recorder.diagnostics import SecretGuard

# Modules that only some functions need are imported in those: every command imports this one.

ALLOWED_FILE = ".exprec-allowed-secrets"
"""The file of a project with the SHA-256 digests of values that look like secrets but may be recorded, one per line.

Digests and no names: a project that a stranger wrote must not allow a secret of the reader.
"""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def store_path(option: Path | None, configured: str | None = None) -> Path:
    """The store to use: the option, else EXPREC_STORE, else the `configured` one of the experiment, else ./runs."""
    return option or Path(os.environ.get("EXPREC_STORE") or configured or layout.DEFAULT_STORE)


def reduced_environment(names: Iterable[str] = ()) -> dict[str, str]:
    """The environment for code from elsewhere: where programs, the home folder and temporary files are, and `names`."""
    kept = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", *names}
    return {name: value for name, value in os.environ.items() if name in kept or name.startswith("LC_")}


def environment_without_secrets(names: Iterable[str] = ()) -> dict[str, str]:
    """The environment without each variable that contains a known secret, except `names`."""
    secrets, kept = set(known_secrets().values()), set(names)

    def is_public(name: str, value: str) -> bool:
        return name in kept or not any(secret and secret in value for secret in secrets)

    return {name: value for name, value in os.environ.items() if is_public(name, value)}


def state_folder() -> Path | None:
    """The folder for the state of this user: exprec in XDG_STATE_HOME, else in ~/.local/state; None without a home."""
    named = os.environ.get("XDG_STATE_HOME", "")
    try:
        return (Path(named) if os.path.isabs(named) else Path.home() / ".local/state") / "exprec"  # noqa: PTH117
    except RuntimeError:
        return None


def observe_program() -> Callable[[], dict[str, Any]]:
    """Begin to observe the running program in its folder; an installed one, and a notebook, in the current folder."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    program = Path(file).absolute() if file else None
    if program is None or program.is_relative_to(sys.prefix):
        return start_observing(Path.cwd())
    return start_observing(program.parent, [program])


def start_observing(folder: Path, files: Iterable[Path] = ()) -> Callable[[], dict[str, Any]]:
    """Begin to observe an execution; call the result at its end for the fields of the execution record.

    `folder` is that of the experiment or program, whose git commit is recorded. `files` are the program and its inputs:
    if one of them is not tracked there, the commit does not have what was executed.
    """
    import platform
    import socket
    from datetime import UTC, datetime

    from exprec.recorder.git import read_git_state

    started_at, started = datetime.now(UTC), time.monotonic()
    absolute = [file.absolute() for file in files]

    def finish() -> dict[str, Any]:
        git = read_git_state(folder, absolute)
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


def read_machine() -> dict[str, str]:
    """Return the name of this host and the id of its present boot, as far as they are known."""
    import socket

    machine = {"host": socket.gethostname()}
    with suppress(OSError):
        machine["boot"] = _BOOT_ID.read_text().strip()
    return {key: value for key, value in machine.items() if value}


def known_secrets() -> dict[str, str]:
    """The secrets of the environment, of `.env` here, and of `~/.netrc` and `~/.aws/credentials`, by their source."""
    # Imported here because commands that only read do not need it.
    from exprec.recorder.sessions.known_secrets import find_secrets

    try:
        home, folder = Path.home(), Path.cwd()
    except (OSError, RuntimeError):
        return find_secrets(os.environ)
    return find_secrets(os.environ, home=home, folder=folder)


def make_guard(allowed: Iterable[str] = (), *, is_renewed: bool = False, redacts: bool = False) -> SecretGuard:
    """The guard for the known secrets and for whatever has the shape of one, except those that are `allowed`.

    Beside the names in `allowed`, the SHA-256 digests in ALLOWED_FILE are. A guard that `is_renewed` reads the
    environment again for each record, since a program may have set variables. A guard that `redacts` is for one run.
    """
    from exprec.recorder.diagnostics import SecretGuard

    return SecretGuard(
        known_secrets(),
        has_shapes=True,
        allowed=(*allowed, *_allowed_digests()),
        renew=_watch_environment() if is_renewed else None,
        redacts=redacts,
    )


def _watch_environment() -> Callable[[], dict[str, str] | None]:
    """Return a function that returns the known secrets anew if the environment has changed since its last call."""
    # The mapping behind os.environ: comparing its values takes a fifth of the time, once for each event.
    variables: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
    before = [*variables.values()]

    def renew() -> dict[str, str] | None:
        nonlocal before
        now = [*variables.values()]
        if now == before:
            return None
        before = now
        return known_secrets()

    return renew


def _allowed_digests() -> list[str]:
    from exprec.recorder.sessions.known_secrets import read_small_file

    # In a folder from elsewhere it may be a pipe, or never end.
    lines = read_small_file(Path(ALLOWED_FILE)).splitlines()
    return [line.split()[0].lower() for line in lines if re.match(r"[0-9A-Fa-f]{64}(?:\s|$)", line)]


def _user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
