"""Recording sessions: the life cycle of a run, Python programs, and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.sessions import provenance as provenance
    from exprec.recorder.sessions.command import NOT_STARTED as NOT_STARTED
    from exprec.recorder.sessions.command import Command as Command
    from exprec.recorder.sessions.command import CommandOutcome as CommandOutcome
    from exprec.recorder.sessions.command import CommandRunner as CommandRunner
    from exprec.recorder.sessions.python import Run as Run
    from exprec.recorder.sessions.python import record as record
    from exprec.recorder.sessions.session import RunOutcome as RunOutcome
    from exprec.recorder.sessions.session import Session as Session
    from exprec.recorder.sessions.session import error_text as error_text

_MODULES = {
    "Command": "command",
    "CommandOutcome": "command",
    "CommandRunner": "command",
    "NOT_STARTED": "command",
    "Run": "python",
    "RunOutcome": "session",
    "Session": "session",
    "error_text": "session",
    "provenance": "",
    "record": "python",
}

if not TYPE_CHECKING:
    # Lazily, because every command reads the environment by `provenance`, and few record.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
