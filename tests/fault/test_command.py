"""Recorded commands that are interrupted, lose their reader, or lose exprec: displayed output is durable."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.store.store import Store
from tests.fault.stages import ALL
from tests.fixtures.cli import exprec
from tests.fixtures.runs import SealedRun, sealed_run
from tests.fixtures.terminal import run_on_terminal

SECONDS = 30
MOMENTS = 12 if ALL else 4

# Says that it is there, and which signals reach it, once for each.
TELLS = r"""
import os, signal, sys, time
came = []
def hear(number, frame):
    # Not by print, which may just be at work on "ready".
    os.write(1, f"heard {signal.Signals(number).name}\n".encode())
    came.append(number)
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, hear)
print("ready", flush=True)
deadline = time.monotonic() + 30
while not came and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(5)
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """Start `exprec run` in its own process group; the group is killed afterwards."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*words: str, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> Any:
        kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "EXPREC_STORE")}
        call = [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", *options, "--", *words]
        process = subprocess.Popen(
            call,
            cwd=tmp_path,
            env={**kept, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Nothing that was read shall lie in a buffer when the rest is read.
            bufsize=0,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _end(run: SealedRun) -> dict[str, Any]:
    (end,) = run.of_type("command_end")
    return {key: end[key] for key in ("exit_status", "signal")}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_to_exprec_reaches_the_command(name: str, tmp_path: Path, started: Any) -> None:
    process = started(sys.executable, "-c", TELLS)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.Signals[name])
    output, errors = process.communicate(timeout=SECONDS)
    assert output == f"heard {name}\n".encode(), "once"
    assert process.returncode == 5
    run = sealed_run(tmp_path)
    assert run.read("stdout") == b"ready\n" + output
    assert errors.decode() == f"Run {run.run_id}\n"
    assert _end(run) == {"exit_status": 5, "signal": None}
    exprec("verify", run.run_id, cwd=tmp_path)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129), ("SIGQUIT", 131)])
def test_signal_to_exprec_ends_the_command(name: str, code: int, tmp_path: Path, started: Any) -> None:
    process = started("sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.Signals[name])
    process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert _end(sealed_run(tmp_path)) == {"exit_status": None, "signal": name}
    exprec("verify", sealed_run(tmp_path).run_id, cwd=tmp_path)


def test_command_may_ignore_a_signal(tmp_path: Path, started: Any) -> None:
    process = started("sh", "-c", "trap '' TERM; echo ready; sleep 0.5; echo done")
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.communicate(timeout=SECONDS)[0] == b"done\n"
    assert process.returncode == 0
    assert _end(sealed_run(tmp_path)) == {"exit_status": 0, "signal": None}


def test_ctrl_c_on_a_terminal_reaches_the_command_once(tmp_path: Path) -> None:
    done = run_on_terminal("run", "--", sys.executable, "-c", TELLS, cwd=tmp_path, typed={"ready\r\n": "\x03"})
    run = sealed_run(tmp_path)
    assert run.read("stdout") == b"ready\nheard SIGINT\n"
    assert done.code == 5
    assert done.output.replace("^C", "") == f"ready\nheard SIGINT\n\nRun {run.run_id}\n"


def test_ctrl_c_on_a_terminal_ends_a_command(tmp_path: Path) -> None:
    words = ["sh", "-c", "printf half; exec sleep 60"]
    done = run_on_terminal("run", "--", *words, cwd=tmp_path, typed={"half": "\x03"})
    run = sealed_run(tmp_path)
    assert done.code == 130
    assert _end(run) == {"exit_status": None, "signal": "SIGINT"}
    assert done.output.replace("^C", "") == f"half\nRun {run.run_id}\n"
    exprec("verify", run.run_id, cwd=tmp_path)


def test_kill_int_to_exprec_alone_on_a_terminal(tmp_path: Path) -> None:
    # What is typed names the parent of the command, which is exprec.
    program = "echo ready; read answer; kill -INT $PPID; exec sleep 60"
    done = run_on_terminal("run", "--", "sh", "-c", program, cwd=tmp_path, typed={"ready\r\n": "go\n"})
    assert done.code == 130
    assert _end(sealed_run(tmp_path)) == {"exit_status": None, "signal": "SIGINT"}


def test_a_rerun_that_is_interrupted_gives_no_verdict(tmp_path: Path) -> None:
    exprec("run", "-q", "--", "sh", "-c", "test -e slow && exec sleep 60; echo so", cwd=tmp_path)
    run = sealed_run(tmp_path)
    (tmp_path / "slow").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", "rerun", run.run_id],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while not _children(process.pid):
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output) == (130, b"")
    assert b"interrupted" in errors


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return [1]


def test_command_continues_after_its_reader_exits(tmp_path: Path, started: Any) -> None:
    program = "import sys, time\nfor n in range(2000): print(n, 'x' * 100, flush=n < 2)\ntime.sleep(0.1)\nprint('done')"
    process = started(sys.executable, "-c", program)
    assert process.stdout.readline().startswith(b"0 x")
    process.stdout.close()
    assert b"stdout was closed by its reader; the command continues" in process.stderr.read()
    assert process.wait(SECONDS) == 0
    assert sealed_run(tmp_path).read("stdout").endswith(b"\ndone\n")
    assert sealed_run(tmp_path).read("stdout").count(b"\n") == 2001


def test_unwritable_stdout_is_reported_at_the_end(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no file that is always full")
    call = [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", "--", "echo", "so"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(call, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False, timeout=SECONDS)
    assert done.returncode == 6
    assert b"stdout: No space left on device; the command continues" in done.stderr
    assert sealed_run(tmp_path).read("stdout") == b"so\n"


def test_inherited_file_descriptors_stay_open(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    call = [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", "--", "cat", f"/dev/fd/{reading}"]
    done = subprocess.run(call, cwd=tmp_path, stdout=subprocess.PIPE, pass_fds=[reading], check=True, timeout=SECONDS)
    os.close(reading)
    assert done.stdout == b"through a pipe"


def test_full_disk_ends_the_command_and_keeps_its_output(tmp_path: Path) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    done = exprec("run", "--", "sh", "-c", "echo begin; exec cat /dev/zero", cwd=tmp_path, code=6, first=full)
    (work,) = Store(tmp_path / "runs").work_names()
    assert Store(tmp_path / "runs").run_ids() == []
    assert f"  inspect: exprec show {work}\n".encode() in done.stderr
    kept = (tmp_path / "runs" / ".work" / work / "stdout").read_bytes()
    assert kept.startswith(b"begin\n")
    # The output is passed through at once, and recorded line by line: two chunks may have been shown and not recorded.
    assert done.stdout.startswith(kept)
    assert len(done.stdout) - len(kept) <= 2 * 65536
    assert len(kept) > 200_000


def test_command_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    program = f"trap '' TERM; echo $$ > pid; while :; do echo {'more' * 100}; done"
    soon = (
        "from exprec.recorder.sessions.command import process; process._GRACE_TICKS = 4\n"
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    )
    exprec("run", "-q", "--", "sh", "-c", program, cwd=tmp_path, code=6, first=soon)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


# Numbers in both streams and in events, each written by itself; more on stdout than fits between it and us.
COUNTS = r"""
import os
events = os.open(os.environ["EXPREC_EVENTS"], os.O_WRONLY | os.O_APPEND)
for n in range(3000):
    os.write(1, b"out %d".ljust(200) % n + b"\n")
    os.write(2, b"err %d\n" % n)
    os.write(events, b'{"event_type": "count", "n": %d}\n' % n)
"""


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_displayed_output_is_durable_when_exprec_is_killed(moment: int, tmp_path: Path, started: Any) -> None:
    chance = random.Random(moment)
    process = started(sys.executable, "-c", COUNTS)
    seen = b"".join(process.stdout.readline() for _ in range(chance.randrange(1, 1500)))
    time.sleep(chance.random() / 100)
    process.kill()
    output, errors = process.communicate(timeout=SECONDS)
    seen += output
    (work,) = Store(tmp_path / "runs").work_names()
    folder = tmp_path / "runs" / ".work" / work
    assert (folder / "stdout").read_bytes().startswith(seen)
    assert (folder / "stderr").read_bytes().startswith(errors)
    recorded = [json.loads(line)["n"] for line in (folder / "events.jsonl").read_bytes().splitlines()]
    sent = folder.with_name(f"{work}.events").read_bytes()
    assert recorded == list(range(len(recorded)))
    assert sent.count(b"\n") >= len(recorded), "what was not recorded yet is there"
    shown = exprec("show", work, cwd=tmp_path)
    assert shown.stdout == (folder / "stdout").read_bytes()
    assert b"run the command again" in exprec("resume", work, cwd=tmp_path, code=2).stderr
    exprec("gc", "--yes", cwd=tmp_path)
    assert not list((tmp_path / "runs" / ".work").iterdir())
