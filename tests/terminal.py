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
    while True:
        if not select.select([master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            process.kill()
            raise TimeoutError(f"it waits for something after {output.decode()!r}")
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not chunk:
            break
        output += chunk
        for key in [key for key in waiting if output.endswith(key)]:
            os.write(master, waiting.pop(key))
    os.close(master)
    return OnTerminal(process.wait(_SECONDS), output.decode().replace("\r\n", "\n"))
