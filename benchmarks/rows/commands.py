"""How commands are called that are measured: those of exprec, and what stands beside them."""

from __future__ import annotations

import sys
from pathlib import Path

Words = list[str | Path]


def exprec(*arguments: str | Path) -> Words:
    """The command as it is installed beside this Python, so that both are of one environment."""
    return [Path(sys.executable).with_name("exprec"), *arguments]


def python(*arguments: str | Path) -> Words:
    """The Python that exprec is installed for."""
    return [sys.executable, *arguments]
