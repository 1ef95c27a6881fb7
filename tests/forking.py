"""A process that has loaded the command and forks for each call: a process for each, without the wait for imports.

What a command does is not told here, and what Python itself reads when it starts is not new in a fork: see `serves`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

_AT_THE_START = ("PYTHON", "LANG", "LC_", "TZ", "LD_")
_LATER = ("exprec.recorder.optimize.config", "exprec.recorder.explanation", "exprec.cli.render.listing", "ruamel.yaml")
"""What commands import only when they need it, and often do; not pydantic_ai, which takes as long as all the rest."""
_SECONDS = 120

Streams = tuple[Path, Path, Path]
"""Where a call reads its input from and writes its output and its messages to."""


class Forks:
    """Calls of the command, one at a time."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
        )
        self._lock = threading.Lock()
        atexit.register(self._close)

    def serves(self, environment: Mapping[str, str]) -> bool:
        """Whether Python would start in this environment as it did in ours: hash seed, encodings, locale, time zone."""
        return _read_at_the_start(environment) == _read_at_the_start(self._environment)

    def call(
        self, arguments: Sequence[str], streams: Streams, folder: Path, environment: Mapping[str, str]
    ) -> int | None:
        """Call the command; returns its exit code as `subprocess` does, or None while another call is not done."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            call = [list(arguments), [str(path) for path in streams], str(folder), dict(environment)]
            self._process.stdin.write(json.dumps(call).encode() + b"\n")
            self._process.stdin.flush()
            code = self._process.stdout.readline()
            assert code, "the process that forks has ended; what it said is in the captured stderr"
            return int(code)
        finally:
            self._lock.release()

    def _close(self) -> None:
        self._process.communicate()


def _read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_THE_START)}


def _serve() -> None:
    """Fork for each line of stdin. In a fork it returns with everything as it would be at the start of the command."""
    # Ctrl-C is for the tests to hear; they close our stdin.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    load()
    # What is loaded by now is no garbage: a fork that looked for some would first have to copy it all.
    gc.freeze()
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, before)
            become(*json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def load() -> None:
    """Import all that the command may need."""
    from exprec.cli.main import cli

    context = click.Context(cli)
    loading: list[Callable[[], object]] = [partial(import_module, name) for name in _LATER]
    loading += [partial(cli.get_command, context, name) for name in cli.list_commands(context)]
    for load in loading:
        # What cannot be imported shall fail the calls that need it, not all of them.
        with suppress(Exception):
            load()


def become(arguments: list[str], streams: list[str], folder: str, environment: dict[str, str]) -> None:
    """Let all that belongs to the process be as at the start of the command."""
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate(streams):
        opened = os.open(name, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    # As after `python -c`.
    sys.argv = ["-c", *arguments]
    sys.path[0] = ""
    sys.modules["__main__"] = ModuleType("__main__")
    # Ends it, rather than wait for ever.
    signal.alarm(_SECONDS)


if __name__ == "__main__":
    _serve()
    from exprec.cli.main import main

    main()
