"""A child process: its output as it is written, its exit, and the signals that are passed on to it."""

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
from typing import NamedTuple

from exprec.recorder.format import layout

TICK_SECONDS = 0.05
"""How often a child without output is polled."""

_GRACE_TICKS = 100
"""How many ticks a child has to terminate before it is killed."""
_SHORTEST_SECONDS = TICK_SECONDS / 32
_PIPE_BYTES = 1024 * 1024
"""More than the capacity of a pipe."""
_READ_BYTES = 256 * 1024
_BLOCKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_SIGNAL_BASE = 128
_REASONS = {
    errno.ENOEXEC: "it is not a program that this system can execute",
    errno.E2BIG: "its arguments and its environment are too long",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EISDIR: "it is a folder",
    errno.ELOOP: "its path has too many symbolic links",
    errno.ENAMETOOLONG: "its path is too long",
    errno.ETXTBSY: "another process has it open for writing",
    errno.EPERM: "this system does not permit it",
    errno.ENOMEM: "there is not enough memory",
    errno.EAGAIN: "there are too many processes",
}


class NotStarted(Exception):
    """The command could not be started; `code` is the exit code of a shell in this case. The message is recorded."""

    def __init__(self, command: str, error: OSError) -> None:
        self.code = _NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE
        if error.errno == errno.ENOENT and "/" not in command:
            reason = "there is no such command on the PATH"
        elif error.errno == errno.ENOENT:
            reason = "there is no such file, or the interpreter that it names is not there"
        elif error.errno == errno.EACCES:
            reason = "it may not be executed; is it a program, and executable (chmod +x)?"
        else:
            # Not the words of the operating system, which differ between systems.
            reason = _REASONS.get(error.errno or 0) or f"error {errno.errorcode.get(error.errno or 0, 'unknown')}"
        super().__init__(f"{command} cannot be started: {reason}")


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a child ended: with an exit status, or by a signal such as `SIGKILL`; neither if it was never started."""

    exit_status: int | None = None
    signal: str | None = None
    code: int = 0
    """The exit code of a shell for it: 128 + n after signal n."""

    @classmethod
    def of(cls, returncode: int) -> ExitInfo:
        """The exit that `subprocess` describes by this return code."""
        if returncode >= 0:
            return cls(returncode, None, returncode)
        number = -returncode
        try:
            name = signal.Signals(number).name
        except ValueError:
            # Real-time signals have no names.
            name = f"SIG{number}"
        return cls(None, name, _SIGNAL_BASE + number)


class BlockedSignals:
    """A context in which the signals that would terminate this process are blocked, and stay pending.

    They are blocked in the calling thread only: another thread of the process can still receive them.
    """

    def __init__(self) -> None:
        self._is_any = False
        self.before: set[signal.Signals | int] = set()
        """The signals that were blocked before; a child gets this signal mask."""

    def __enter__(self) -> BlockedSignals:
        self.before = set(signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not end what follows this context.
        for _ in self.take():
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)

    def any(self) -> bool:
        """Whether any of the signals was received."""
        return self._is_any or bool(signal.sigpending() & set(_BLOCKED))

    def take(self) -> Iterator[signal.Signals]:
        """The signals received since the last call that were sent to this process alone."""
        while signal.sigpending() & set(_BLOCKED):
            received = _take_pending()
            self._is_any = True
            if not received.is_from_terminal:
                yield received.number


class _ReceivedSignal(NamedTuple):
    number: signal.Signals
    is_from_terminal: bool
    """Whether the terminal sent it, which sends it to the child too."""


def _take_pending() -> _ReceivedSignal:
    if not hasattr(signal, "sigtimedwait"):
        # macOS does not tell the sender; SIGINT and SIGQUIT usually come from the terminal.
        number = signal.Signals(signal.sigwait(_BLOCKED))
        return _ReceivedSignal(number, number in (signal.SIGINT, signal.SIGQUIT) and _is_in_foreground())
    info = signal.sigtimedwait(_BLOCKED, 0)
    assert info is not None, "a signal is pending"
    # si_code is positive for signals of the kernel, which sends those of the terminal, and not for kill(2).
    return _ReceivedSignal(signal.Signals(info.si_signo), info.si_code > 0)


def _is_in_foreground() -> bool:
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


class Child:
    """A child process in the process group of this one; use it in a `with` block, which terminates it on an error."""

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        signals: BlockedSignals,
        *,
        has_input: bool = True,
    ) -> None:
        """Start the process; its stdin is that of this process, or empty without `has_input`. Raises NotStarted."""
        self._signals = signals
        self._ticks_left: int | None = None
        """The time left to terminate; None until termination was requested."""
        self.left_open: list[str] = []
        """The streams that were still open when it had ended, in a process that it had started."""
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=None if has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Descriptors that the user opened for it are inherited, as `<(...)` in a shell; exprec's are not.
                close_fds=False,
                preexec_fn=partial(signal.pthread_sigmask, signal.SIG_SETMASK, signals.before),
            )
        except OSError as error:
            raise NotStarted(argv[0], error) from None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pipes = dict(zip(layout.STREAMS, (self._process.stdout, self._process.stderr), strict=True))
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
            # Read to the end: a child that is blocked in a write cannot terminate.
            pass
        self._selector.close()
        for pipe in self._pipes.values():
            pipe.close()

    @property
    def exit_info(self) -> ExitInfo:
        """How it ended; wait for that."""
        return ExitInfo.of(self._process.wait())

    def stop(self) -> None:
        """Ask it to terminate; `output` kills it after some seconds."""
        if self._ticks_left is None and self._process.poll() is None:
            self._ticks_left = _GRACE_TICKS
            self._process.terminate()

    def output(self) -> Iterator[tuple[str, bytes]]:
        """Yield pairs of stream and bytes as they are written, until it has ended and its output is read.

        After a tick without output, empty bytes are yielded. Signals sent to this process alone are passed on.
        """
        delay = _SHORTEST_SECONDS
        while self._process.poll() is None:
            for number in self._signals.take():
                self._process.send_signal(number)
            if self._ticks_left is not None:
                self._wait_for_end()
                ready = self._ready(0)
            else:
                # A process that has closed its streams usually exits soon.
                delay = min(delay * 2, TICK_SECONDS) if not self._selector.get_map() else TICK_SECONDS
                ready = self._ready(delay)
            if not ready:
                yield layout.STREAMS[0], b""
            for stream in ready:
                yield stream, self._read(stream) or b""
        for stream in self._open_streams():
            yield from self._read_rest(stream)
        self.left_open = self._open_streams()

    def _wait_for_end(self) -> None:
        """Wait one tick of the time that it has to terminate; kill it when that is over."""
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
        """The next bytes of a stream; None when there are none now, empty at its end."""
        try:
            data = os.read(self._pipes[stream].fileno(), _READ_BYTES)
        except BlockingIOError:
            return None
        if not data:
            self._selector.unregister(self._pipes[stream])
        return data

    def _read_rest(self, stream: str) -> Iterator[tuple[str, bytes]]:
        """Yield what is left in a pipe, up to its capacity: another process may never stop writing to it."""
        size = 0
        while size <= _PIPE_BYTES and (data := self._read(stream)):
            size += len(data)
            yield stream, data
