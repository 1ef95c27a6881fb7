"""Recording of any command: its process, its output and its events."""

from exprec.recorder.sessions.command.command import Command
from exprec.recorder.sessions.command.runner import NOT_STARTED, CommandOutcome, CommandRunner

__all__ = ["NOT_STARTED", "Command", "CommandOutcome", "CommandRunner"]
