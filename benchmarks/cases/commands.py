"""Command lines of exprec and of Python."""

from __future__ import annotations

import sys
from pathlib import Path

CommandLine = list[str | Path]


def exprec(*arguments: str | Path) -> CommandLine:
    """Return the command line of the exprec that is installed beside this Python."""
    return [Path(sys.executable).with_name("exprec"), *arguments]


def python(*arguments: str | Path) -> CommandLine:
    """Return the command line of this Python."""
    return [sys.executable, *arguments]
