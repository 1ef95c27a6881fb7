"""Calls of the command that SIGKILL ends right before a system call or in the middle of a write.

Each call runs in a fork of a process that has loaded the command.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.fixtures.cli import CallResult
from tests.fixtures.json_server import JsonServer
from tests.fixtures.paths import ROOT


@dataclass(frozen=True)
class Moment:
    """When to kill: before or during a system call, by its number from 0 among those that count."""

    number: int
    written: float | None = None
    """To kill during a write: only writes count, and this fraction of the bytes is written."""
    counts_all: bool = False
    """Whether calls that do not change the disk count, too."""


def run_and_kill(words: tuple[str, ...], folder: Path, moment: Moment) -> CallResult:
    """Run the command in a folder and kill it at a moment, unless it exits before."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        streams = [f"{name}/{stream}" for stream in ("in", "out", "err")]
        for stream in streams:
            Path(stream).touch()
        asked = {"words": words, "folder": str(folder), "streams": streams, "moment": vars(moment)}
        code = _server().ask(asked)
        return CallResult(words, code, *(Path(stream).read_bytes() for stream in streams[1:]))


@cache
def _server() -> JsonServer:
    return JsonServer(__file__, {**os.environ, "PYTHONPATH": str(ROOT)})


def _serve() -> None:
    from tests.fault.stages import STAGES, memory, staged
    from tests.fixtures.fork_server import load_command

    load_command()
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        # Fill the caches that a command fills once in its life.
        staged(STAGES[0], Path(name))
    # Otherwise a garbage collection in a fork copies all pages of what is loaded.
    gc.disable()
    gc.freeze()
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            _work(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _work(asked: dict[str, Any]) -> None:
    from exprec.cli.main import main
    from tests.fault.stages import apart_from_the_machine
    from tests.fault.syscalls import watched
    from tests.fixtures.fork_server import enter_call

    enter_call(list(asked["words"]), asked["streams"], asked["folder"], {**os.environ})
    code: Any = 1
    with apart_from_the_machine(), watched(Path(asked["folder"]), _Countdown(Moment(**asked["moment"]))):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code or 0)


class _Countdown:
    """Kills this process at a moment."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._left = moment.number

    def __call__(self, call: Any) -> None:
        from tests.fault.syscalls import CHANGING, Half

        moment = self._moment
        counts = call.name == "write" if moment.written is not None else moment.counts_all or call.name in CHANGING
        if not counts:
            return
        if self._left:
            self._left -= 1
        elif moment.written is None:
            _die()
        else:
            raise Half(int(len(call.data) * moment.written), _die)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _serve()
