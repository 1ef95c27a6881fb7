"""One child process: what it writes, as it comes, and how it ended.

It records and prints nothing, and knows nothing of runs.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from exprec.recorder.format.layout import STREAMS

TICK_SECONDS = 0.05
"""So often a child is looked after when nothing comes from it."""

_GRACE_TICKS = 100
"""So many ticks a child has to end by itself once it was asked to."""
_SHORTEST_SECONDS = TICK_SECONDS / 32
_PIPE_BYTES = 1024 * 1024
"""More than a pipe holds."""
_READ_BYTES = 256 * 1024
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_SIGNAL_BASE = 128


class NotStarted(Exception):
    """The command could not be started; `code` is what a shell exits with then."""

    def __init__(self, command: str, error: OSError) -> None:
        self.code = _NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE
        if error.errno == errno.ENOENT and "/" not in command:
            reason = "there is no such command on the PATH"
        elif error.errno == errno.ENOENT:
            reason = "there is no such file, or the interpreter that it names is not there"
        elif error.errno == errno.EACCES:
            reason = "it may not be executed; is it a program, and executable (chmod +x)?"
        else:
            reason = os.strerror(error.errno or 0)
        super().__init__(f"{command} cannot be started: {reason}")


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a child ended: with a status, or by a signal such as `SIGKILL`; with neither it was never started."""

    exit_status: int | None = None
    signal: str | None = None
    code: int = 0
    """What a shell would exit with."""

    @classmethod
    def of(cls, returncode: int) -> ExitInfo:
        """The end that `subprocess` tells by this number."""
        if returncode >= 0:
            return cls(returncode, None, returncode)
        number = -returncode
        try:
            name = signal.Signals(number).name
        except ValueError:
            # A real-time signal has no name of its own.
            name = f"SIG{number}"
        return cls(None, name, _SIGNAL_BASE + number)


class BlockedSignals:
    """While it is held, the signals that would end this process only wait until they are asked for.

    It holds them for one thread: in a process with more of them the others still end it.
    """

    def __init__(self) -> None:
        self._is_any = False
        self.before: set[signal.Signals | int] = set()
        """The signals that were held before, as they are in a child."""

    def __enter__(self) -> BlockedSignals:
        self.before = set(signal.pthread_sigmask(signal.SIG_BLOCK, _HELD))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Those of a user who presses Ctrl-C twice shall not end what comes after.
        for _ in self.take():
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)

    def any(self) -> bool:
        """Whether one came, to this process alone or not."""
        return self._is_any or bool(signal.sigpending() & set(_HELD))

    def take(self) -> Iterator[signal.Signals]:
        """The signals that came to this process alone, since they were last asked for."""
        while signal.sigpending() & set(_HELD):
            number, is_everybodys = _taken()
            self._is_any = True
            if not is_everybodys:
                yield number


def _taken() -> tuple[signal.Signals, bool]:
    """A waiting signal, and whether the terminal sent it, which sends it to the child too."""
    if not hasattr(signal, "sigtimedwait"):
        # Not every system tells who sent it; of SIGINT and SIGQUIT it mostly is the terminal.
        number = signal.Signals(signal.sigwait(_HELD))
        return number, number in (signal.SIGINT, signal.SIGQUIT) and _has_terminal()
    info = signal.sigtimedwait(_HELD, 0)
    assert info is not None, "a signal that waits is there"
    # Positive: of the kernel, which speaks for the terminal; else of a process, by kill(2) and the like.
    return signal.Signals(info.si_signo), info.si_code > 0


def _has_terminal() -> bool:
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


class Child:
    """A child process in our process group, with our stdin; use it in a `with` block, which ends it if need be."""

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        signals: BlockedSignals,
        *,
        has_input: bool = True,
    ) -> None:
        """Start it. Without `has_input` its stdin is empty. Raises NotStarted."""
        self._signals = signals
        self._ticks_left: int | None = None
        """Of the time that it has to end, once it was asked to."""
        self.left_open: list[str] = []
        """The streams that something it started still had open when it had ended."""
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=None if has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # What the user opened for it stays open, as `<(...)` in a shell; our own files close by themselves.
                close_fds=False,
                preexec_fn=partial(signal.pthread_sigmask, signal.SIG_SETMASK, signals.before),
            )
        except OSError as error:
            raise NotStarted(argv[0], error) from None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pipes = dict(zip(STREAMS, (self._process.stdout, self._process.stderr), strict=True))
        self._selector = selectors.DefaultSelector()
        for stream, pipe in self._pipes.items():
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, stream)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        for _ in self.output():
            # Read, because a child that cannot write may not be able to end.
            pass
        self._selector.close()
        for pipe in self._pipes.values():
            pipe.close()

    @property
    def exit_info(self) -> ExitInfo:
        """How it ended, once it has."""
        return ExitInfo.of(self._process.wait())

    def stop(self) -> None:
        """Ask it to end; `output` tells when it has, and makes it after some seconds."""
        if self._ticks_left is None and self._process.poll() is None:
            self._ticks_left = _GRACE_TICKS
            self._process.terminate()

    def output(self) -> Iterator[tuple[str, bytes]]:
        """What it writes to `stdout` and `stderr`, as it comes, until it has ended and what is there is read.

        A tick without output gives no bytes. Signals that come to this process alone are passed on to the child.
        """
        delay = _SHORTEST_SECONDS
        while self._process.poll() is None:
            for number in self._signals.take():
                self._process.send_signal(number)
            if self._ticks_left is not None:
                self._wait_for_end()
                ready = self._ready(0)
            else:
                # When all is closed it ends in a moment, as a rule.
                delay = min(delay * 2, TICK_SECONDS) if not self._selector.get_map() else TICK_SECONDS
                ready = self._ready(delay)
            if not ready:
                yield STREAMS[0], b""
            for stream in ready:
                yield stream, self._read(stream) or b""
        for stream in self._open_streams():
            yield from self._rest(stream)
        self.left_open = self._open_streams()

    def _wait_for_end(self) -> None:
        """Give it one tick of the time that it has to end, or end it."""
        assert self._ticks_left is not None
        self._ticks_left -= 1
        if self._ticks_left < 0:
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TICK_SECONDS)

    def _ready(self, seconds: float) -> list[str]:
        return [key.data for key, _ in self._selector.select(seconds)]

    def _open_streams(self) -> list[str]:
        return sorted(key.data for key in self._selector.get_map().values())

    def _read(self, stream: str) -> bytes | None:
        """The next bytes of a stream; None when there are none now, nothing at its end."""
        try:
            data = os.read(self._pipes[stream].fileno(), _READ_BYTES)
        except BlockingIOError:
            return None
        if not data:
            self._selector.unregister(self._pipes[stream])
        return data

    def _rest(self, stream: str) -> Iterator[tuple[str, bytes]]:
        """What is left in a pipe, and no more than it can hold: something else may go on writing for ever."""
        size = 0
        while size <= _PIPE_BYTES and (data := self._read(stream)):
            size += len(data)
            yield stream, data
