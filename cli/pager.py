"""A pager for the output of a command on a terminal."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from exprec.cli.screen import print_message
from exprec.cli.terminal import pager_command, pager_environment

if TYPE_CHECKING:
    import subprocess

_SYNTAX = frozenset("|&;<>()$`*?[]#~=%!{}\n")
"""Characters with a meaning to the shell beyond word splitting."""
_NOT_STARTED = (126, 127)
"""Exit codes of a shell for a program that is not executable, or does not exist."""


@contextmanager
def paged(enabled: bool) -> Iterator[TextIO]:
    """Yield a stream to print to: a pager if `enabled` and stdout is a terminal, else stdout itself.

    The block ends when the user has left the pager; leaving it before the end of the output is not an error. Print
    to stderr after the block, when the pager no longer covers the screen.
    """
    command = pager_command() if enabled else None
    if command is None:
        yield sys.stdout
        return
    # Ctrl-C belongs to the pager: in `less` it stops a search, and must not stop the output being searched. The
    # handler is set before the pager starts; SIG_IGN would be inherited by it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    process = _start_pager(command)
    if process is None:
        signal.signal(signal.SIGINT, before)
        yield sys.stdout
        return
    assert process.stdin is not None
    stream = TextIOWrapper(process.stdin, encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        with suppress(BrokenPipeError):
            yield stream
    finally:
        with suppress(BrokenPipeError):
            stream.close()
        code = process.wait()
        signal.signal(signal.SIGINT, before)
    if code in _NOT_STARTED:
        print_message(f"exprec: the pager '{command}' could not be started; --no-pager prints without one")


def _start_pager(command: str) -> subprocess.Popen[bytes] | None:
    """Start a pager; None if it cannot be started."""
    # Imported here because output into a pipe or file has no pager.
    import subprocess

    sys.stdout.flush()
    try:
        argv = ["/bin/sh", "-c", command] if _SYNTAX & set(command) else shlex.split(command)
        return subprocess.Popen(argv, stdin=subprocess.PIPE, env=pager_environment())
    except (OSError, ValueError):
        return None
