"""The command on a terminal, with somebody who types."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 60
_PATIENCE_SECONDS = 1.0
_CTRL_C = b"\x03"
_UNSET = ("COLUMNS", "EXPREC_STORE", "EXPREC_PAGER", "PAGER", "LESS", "LESSCHARSET", "LV", "NO_COLOR", "FORCE_COLOR")


@dataclass(frozen=True)
class OnTerminal:
    """What appeared on a terminal, with its line ends as a program writes them, and how the command ended."""

    code: int
    output: str


def on_terminal(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    columns: int = 100,
    typed: Mapping[str, str] | None = None,
) -> OnTerminal:
    """Run the command on a terminal of so many columns; `typed` is what is typed when the output ends in its key."""
    kept = {key: value for key, value in os.environ.items() if key not in _UNSET}
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    process = subprocess.Popen(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", *map(str, arguments)],
        cwd=cwd,
        env={**kept, "TERM": "xterm", **(env or {})},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        # So that what is typed reaches it as signals too.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    output = b""
    waiting = {key.encode(): value.encode() for key, value in (typed or {}).items()}
    deadline = time.monotonic() + _SECONDS
    last = b""
    while True:
        if not select.select([master], [], [], _PATIENCE_SECONDS)[0]:
            if last == _CTRL_C:
                # Between its question and its read Python only notes a signal, and then waits for input: as a person
                # would, type it again.
                os.write(master, last)
            if time.monotonic() > deadline:
                process.kill()
                raise TimeoutError(f"it waits for something after {output.decode()!r}")
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not chunk:
            break
        output += chunk
        for key in [key for key in waiting if output.endswith(key)]:
            last = waiting.pop(key)
            os.write(master, last)
    os.close(master)
    return OnTerminal(process.wait(_SECONDS), output.decode().replace("\r\n", "\n"))
