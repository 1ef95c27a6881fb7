"""The environment, the terminal and the machine of a command, as plain values; none of them enters a run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from exprec.recorder.sessions import provenance

if TYPE_CHECKING:
    from exprec.recorder.diagnostics import SecretGuard
    from exprec.recorder.display import Console

make_guard = provenance.make_guard
read_machine = provenance.read_machine
start_observing = provenance.start_observing
store_path = provenance.store_path
state_folder = provenance.state_folder
environment_without_secrets = provenance.environment_without_secrets
reduced_environment = provenance.reduced_environment

_PROGRAM = "exprec"
_DEFAULT_WIDTH = 80


def make_console(
    stream: TextIO, *, color: bool, width: int | None = None, shows_invisible: bool | None = None
) -> Console:
    """Return a console on `stream`, `width` cells wide: by default as the terminal, and 80 without one.

    Unless `shows_invisible` is given, invisible characters are shown as escapes if the stream is a terminal.
    """
    # Imported here because many commands print without a console.
    import shutil

    from exprec.recorder.display import Console

    is_shown = stream.isatty() if shows_invisible is None else shows_invisible
    return Console(stream, width or shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns, color, is_shown)


def wants_color(choice: str) -> bool:
    """Return whether to color stdout: as chosen; for `auto` on a terminal, unless NO_COLOR is set."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def wants_progress(*, shows_events: bool) -> bool:
    """Return whether to show progress: on a terminal that does not already show the events."""
    return sys.stderr.isatty() and not (shows_events and sys.stdout.isatty())


def pager_command() -> str | None:
    """Return the pager for long output: EXPREC_PAGER, else PAGER, else `less`.

    None where stdout is not a terminal a pager could use, and where the variable is empty or `cat`.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return None
    command = os.environ.get("EXPREC_PAGER", os.environ.get("PAGER", "less")).strip()
    return command if command not in ("", "cat") else None


def pager_environment() -> dict[str, str]:
    """Return the environment for a pager.

    Unless LESS is set, `less` interprets colors, exits if everything fits on the screen, and leaves the text there.
    """
    # The output is UTF-8 in every locale.
    return {"LESS": "FRX", "LESSCHARSET": "utf-8", "LV": "-c", **os.environ}


def redact_secrets(text: str) -> str:
    """Return a text of unknown origin without the secrets that this process knows and what has the shape of one."""
    return _default_guard().redacted(text)


@cache
def _default_guard() -> SecretGuard:
    # Made for the first text: most commands that read print no error.
    return make_guard()


def child_environment() -> dict[str, str]:
    """Return the environment for a recorded command: that of this process, unchanged."""
    return dict(os.environ)


def replace_environment(environment: Mapping[str, str]) -> None:
    """Let code that this process imports, and processes that it starts, find this environment only."""
    os.environ.clear()
    os.environ.update(environment)


def can_ask() -> bool:
    """Return whether a user sees the output and can answer a question: all three streams are terminals."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def seconds_since(moment: float) -> float:
    """Return the seconds since `moment` (in seconds since the epoch); 0 if it is in the future."""
    return max(0.0, time.time() - moment)


def this_program() -> str:
    """Return the path of the running `exprec`, or its bare name if it has no path."""
    # Symlinks are not resolved: their target may change with the next version.
    called, beside = Path(sys.argv[0]).absolute(), Path(sys.executable).with_name(_PROGRAM)
    return next((str(path) for path in (called, beside) if path.name == _PROGRAM and path.is_file()), _PROGRAM)


def processors() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
