"""Calls of the command in a process with limited CPU time and memory."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.fixtures.cli import CallResult, inherited_environment
from tests.fixtures.json_server import JsonServer
from tests.fixtures.paths import ROOT

CPU_SECONDS = 20
"""The limit for all calls of a batch together, many times what they need."""
MEMORY_BYTES = 400_000_000
"""The limit of the resident size, including the interpreter and all modules."""
_WAIT_SECONDS = 60
"""The time after which a call counts as hanging."""


@dataclass(frozen=True)
class Batch:
    """The results of calls in one process, its peak size in bytes and its CPU time in seconds."""

    calls: tuple[CallResult, ...]
    peak_bytes: int
    seconds: float


def run_limited(
    *calls: Sequence[str | Path],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    first: str = "",
    cpu: int = CPU_SECONDS,
    memory: int = MEMORY_BYTES,
) -> Batch:
    """Run the command with each of these arguments in turn; fails if one exceeds a limit or hangs.

    `first` is Python code that runs in the process before.
    """
    listed = [tuple(map(str, call)) for call in calls]
    with tempfile.TemporaryDirectory(prefix="exprec-calls-") as name:
        folder = Path(name)
        # The process may change its user, which must be able to write here.
        folder.chmod(0o777)
        (folder / "in").write_bytes(stdin)
        for number in range(len(listed)):
            for stream in ("out", "err"):
                (folder / f"{number}.{stream}").write_bytes(b"")
        asked = {
            "calls": listed,
            "streams": name,
            "folder": str(cwd or Path.cwd()),
            "environment": {**inherited_environment(), **(env or {})},
            "first": first,
            "cpu": cpu,
        }
        ended = _server().ask(asked)
        codes: list[int] = ended["codes"]
        streams = [
            [(folder / f"{number}.{each}").read_bytes() for each in ("out", "err")] for number in range(len(listed))
        ]
    done = tuple(CallResult(words, code, *each) for words, code, each in zip(listed, codes, streams, strict=False))
    if len(codes) < len(listed):
        words, (_, errors) = listed[len(codes)], streams[len(codes)]
        raise AssertionError(f"{words} did not end by itself: {ended['status']}\n{errors!r}")
    assert ended["peak_bytes"] < memory, (ended["peak_bytes"], listed)
    return Batch(done, ended["peak_bytes"], ended["seconds"])


def assert_harmless(done: CallResult) -> None:
    """Check that a call had a documented exit code, no traceback, and printed no control characters."""
    assert b"Traceback" not in done.stderr, done.report
    assert done.code in (0, 1, 2, 3, 4, 5, 6), done.report
    if done.code not in (0, 1):
        assert done.stderr.strip() or done.stdout.strip(), done.report
    for stream in (done.stdout, done.stderr):
        controls = {char for char in stream.decode("utf-8") if _is_control(char)}
        assert not controls, f"{controls!a} in what {done.report}"


def _is_control(char: str) -> bool:
    return char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


@cache
def _server() -> JsonServer:
    """Return the process that has loaded the command and forks for each batch."""
    return JsonServer(__file__, {**os.environ, "PYTHONPATH": str(ROOT)})


def _serve() -> None:
    from tests.fixtures.fork_server import load_command

    load_command()
    gc.freeze()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reads)
            _make_calls(asked, writes)
        os.close(writes)
        with os.fdopen(reads, "rb") as pipe:
            codes = [int(each) for each in pipe.read().split()]
        _, status, used = os.wait4(child, 0)
        answer = {
            "codes": codes,
            "status": os.waitstatus_to_exitcode(status),
            "peak_bytes": used.ru_maxrss * 1024,
            "seconds": used.ru_utime + used.ru_stime,
        }
        print(json.dumps(answer), flush=True)


def _make_calls(asked: Mapping[str, Any], writes: int) -> None:
    """Make the calls, write the exit code of each to the pipe, and exit."""
    from exprec.cli.main import main
    from tests.fixtures.fork_server import enter_call

    os.set_inheritable(writes, False)
    resource.setrlimit(resource.RLIMIT_CPU, (asked["cpu"], asked["cpu"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _virtual_bytes() + 4 * MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number, words in enumerate(asked["calls"]):
        streams = [f"{asked['streams']}/{name}" for name in ("in", f"{number}.out", f"{number}.err")]
        enter_call(words, streams, asked["folder"], asked["environment"])
        signal.alarm(_WAIT_SECONDS)
        code: Any = 1
        try:
            if not number:
                exec(asked["first"], {})
            main()
        except SystemExit as ended:
            code = ended.code
        except BaseException:
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os.write(writes, b"%d\n" % (code or 0))
        # A user runs each call in a new process: memory held by an error must not add up.
        gc.collect()
    os._exit(0)


def _virtual_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    _serve()
