"""Work measured from outside: whole processes, loops in a process of their own, and pairs of them in turn.

It decides nothing about what is measured, and keeps nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Pair

ROOT = Path(__file__).resolve().parent.parent
_LONGEST_SECONDS = 1800
_PIECE_BYTES = 1024 * 1024
_KILOBYTE = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in, in bytes."""


class NotMeasured(Exception):
    """Something cannot be measured here, and why."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took: seconds of the clock, seconds of its processors, megabytes at its peak, bytes of output."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    output_bytes: int


def environment() -> dict[str, str]:
    """The environment of what is measured: that of the caller without what would make it another work."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EXPREC_", "GIT_", "PYTHON")) and name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    }
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    # Nobody is called while a tracker is measured.
    silent = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}
    return {**kept, **alone, **silent}


def process(words: Sequence[str | Path], *, code: int = 0) -> Spent:
    """Start a command as a user does, with its output in a pipe that is read at once, and wait for its end.

    Raises NotMeasured when it is not installed or exits with another code than this.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        try:
            child = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
            )
        except FileNotFoundError:
            raise NotMeasured(f"{Path(words[0]).name} is not installed") from None
        assert child.stdout is not None
        with child.stdout as stream:
            written = 0
            while piece := os.read(stream.fileno(), _PIECE_BYTES):
                written += len(piece)
        # Not `child.wait`, which does not tell what was used. The peak of a child counts from the fork, when it has the
        # memory of this process: which therefore stays small, and imports nothing of exprec.
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != code:
            errors.seek(0)
            raise NotMeasured(_failure(Path(words[0]).name, child.returncode, errors.read()))
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _KILOBYTE / 1e6, written)


def loop(function: str, **arguments: Any) -> Mapping[str, Any]:
    """Call `benchmarks.<module>:<function>` in a new Python process; returns what it returns, by way of JSON.

    Raises NotMeasured when it fails, with the last line of what it said.
    """
    words = [sys.executable, "-m", "benchmarks.worker", function, json.dumps(arguments, default=str)]
    try:
        done = subprocess.run(
            words, cwd=ROOT, env=environment(), capture_output=True, check=False, timeout=_LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{function} took more than {_LONGEST_SECONDS} s") from None
    if done.returncode != 0:
        raise NotMeasured(_failure(function, done.returncode, done.stderr))
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def interleaved(
    repetitions: int, exprec: Callable[[], float], reference: Callable[[], float], said: Callable[[str], None]
) -> tuple[Pair, ...]:
    """Both, in turn, each as often the first as the second: what else the machine does meanwhile falls on both."""
    pairs = []
    for number in range(repetitions):
        if number % 2 == 0:
            mine = exprec()
            theirs = reference()
        else:
            theirs = reference()
            mine = exprec()
        pairs.append(Pair(mine, theirs))
        said(f"{number + 1}/{repetitions}")
    return tuple(pairs)


def alone(repetitions: int, exprec: Callable[[], float], said: Callable[[str], None]) -> tuple[Pair, ...]:
    """The same where there is nothing to run beside it."""
    pairs = []
    for number in range(repetitions):
        pairs.append(Pair(exprec()))
        said(f"{number + 1}/{repetitions}")
    return tuple(pairs)


def read(*paths: Path) -> None:
    """Have files in the page cache."""
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(_PIECE_BYTES):
                pass


def drop_page_cache() -> bool:
    """Empty the page cache; False where that is not allowed or not known."""
    try:
        os.sync()
        # A switch of the kernel, which only root may use.
        Path("/proc/sys/vm/drop_caches").write_text("3\n", "ascii")
    except OSError:
        return False
    return True


def _failure(what: str, code: int, errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return f"{what} ended with {code}" + (f": {lines[-1].strip()}" if lines else "")
