"""Where a command reads the environment, the terminal and the machine; what is observed of an execution is read in
`recorder.observation`, and offered here too.

What it returns are plain values, passed on as arguments; none of them ever enters a run.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from exprec.recorder.sessions.provenance import known_secrets as known_secrets
from exprec.recorder.sessions.provenance import start_observing as start_observing
from exprec.recorder.sessions.provenance import store_path as store_path

_PROGRAM = "exprec"


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


def child_environment() -> dict[str, str]:
    """The environment for a command of the user's: ours, as it is."""
    return dict(os.environ)


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
