"""One child process: its output as it comes, its end, and what it leaves running."""

from __future__ import annotations

import errno
import gc
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from exprec.recorder.sessions.command.process import BlockedSignals, Child, ExitInfo, NotStarted


def _ran(*argv: str, folder: Path, environment: Mapping[str, str] | None = None) -> tuple[dict[str, bytes], Child]:
    output = {"stdout": b"", "stderr": b""}
    with BlockedSignals() as signals, Child(argv, folder, environment or dict(os.environ), signals) as child:
        for stream, data in child.output():
            output[stream] += data
    return output, child


def test_both_streams_to_their_last_byte(tmp_path: Path) -> None:
    output, child = _ran("sh", "-c", "printf '\\377a'; printf b >&2; exit 3", folder=tmp_path)
    assert output == {"stdout": b"\xffa", "stderr": b"b"}
    assert child.exit_info == ExitInfo(3, None, 3)
    assert child.left_open == []


def test_it_runs_in_its_folder_and_environment(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "SAID": "so"}
    output, _ = _ran("sh", "-c", "pwd; echo $SAID", folder=tmp_path, environment=environment)
    assert output["stdout"].decode().splitlines() == [str(tmp_path.resolve()), "so"]


def test_more_than_a_pipe_holds_in_both_streams(tmp_path: Path) -> None:
    output, _ = _ran("sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2", folder=tmp_path)
    assert [len(data) for data in output.values()] == [3_000_000, 3_000_000]


def test_what_is_left_running_does_not_hold_it_up(tmp_path: Path) -> None:
    # It writes for ever, and what the child wrote before is there all the same.
    program = "(while echo more; do :; done) & echo $! > pid; head -c 50000 /dev/zero >&2"
    began = time.monotonic()
    output, child = _ran("sh", "-c", program, folder=tmp_path)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 20
    assert len(output["stderr"].replace(b"more\n", b"")) == 50000
    assert child.left_open == ["stderr", "stdout"]


@pytest.mark.parametrize(
    ("returncode", "end"),
    [
        (0, ExitInfo(0, None, 0)),
        (255, ExitInfo(255, None, 255)),
        (-9, ExitInfo(None, "SIGKILL", 137)),
        (-40, ExitInfo(None, "SIG40", 168)),
    ],
)
def test_how_it_ended_in_words(returncode: int, end: ExitInfo) -> None:
    assert ExitInfo.of(returncode) == end


def test_a_child_is_ended_with_the_block(tmp_path: Path) -> None:
    began = time.monotonic()
    with BlockedSignals() as signals, Child(["sleep", "60"], tmp_path, dict(os.environ), signals) as child:
        pass
    assert child.exit_info == ExitInfo(None, "SIGTERM", 143)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, "there is no such command on the PATH"),
        (errno.EACCES, "it may not be executed; is it a program, and executable (chmod +x)?"),
        (errno.ENOEXEC, "it is not a program that this system can execute"),
        (errno.E2BIG, "its arguments and its environment are too long"),
        (errno.EIO, "error EIO"),
        (0, "error unknown"),
    ],
)
def test_why_it_cannot_be_started_in_words_of_no_system(number: int, reason: str) -> None:
    error = NotStarted("tool", OSError(number, "words of some system"))
    assert str(error) == f"tool cannot be started: {reason}"


def test_what_cannot_be_started_holds_nothing(tmp_path: Path) -> None:
    # What other tests have left open is closed now, and not while this one counts.
    gc.collect()
    before = len(os.listdir("/dev/fd"))
    with BlockedSignals() as signals, pytest.raises(NotStarted):
        Child(["./none"], tmp_path, dict(os.environ), signals)
    assert len(os.listdir("/dev/fd")) == before


def test_a_child_has_the_signals_that_we_had(tmp_path: Path) -> None:
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    _, child = _ran("sh", "-c", "kill -TERM $$; echo still here", folder=tmp_path)
    assert child.exit_info == ExitInfo(None, "SIGTERM", 143)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == held
