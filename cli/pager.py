"""A pager behind the output of a command, where somebody reads it on a terminal.

Which pager that is and whether there is a terminal is told in `environment`; what is printed is up to the commands.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TextIO

import click

from exprec.cli.terminal import pager_command, pager_environment

_SYNTAX = frozenset("|&;<>()$`*?[]#~=%!{}\n")
"""Characters that mean something to a shell and not only to the splitting into words."""
_NOT_STARTED = (126, 127)
"""What a shell exits with when there is no such program, or none that can be executed."""


@contextmanager
def paged(enabled: bool) -> Iterator[TextIO]:
    """A stream to print to: a pager if `enabled` and stdout is a terminal, else stdout itself.

    The block ends when the user has left the pager. Who leaves it early has seen enough: what follows is neither
    printed nor an error. What the block has to say on stderr is best said after it, when the pager is gone.
    """
    command = pager_command() if enabled else None
    if command is None:
        yield sys.stdout
        return
    # Ctrl-C is the pager's: in `less` it ends a search, and shall not end what there is to be searched. It is
    # left to it before it starts, and not by SIG_IGN, which it would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    process = _started(command)
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
        click.echo(f"exprec: the pager '{command}' could not be started; --no-pager prints without one", err=True)


def _started(command: str) -> subprocess.Popen[bytes] | None:
    """The process of a pager, or None where it cannot be started."""
    sys.stdout.flush()
    try:
        words = ["/bin/sh", "-c", command] if _SYNTAX & set(command) else shlex.split(command)
        return subprocess.Popen(words, stdin=subprocess.PIPE, env=pager_environment())
    except (OSError, ValueError):
        return None
