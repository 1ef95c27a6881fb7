"""Timing: whole processes, driver functions in a process of their own, and interleaved repetitions."""

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

from benchmarks.results import Pair

ROOT = Path(__file__).resolve().parent.parent
_LONGEST_SECONDS = 1800
_PIECE_BYTES = 1024 * 1024
_KILOBYTE = 1 if sys.platform == "darwin" else 1024
"""Unit of `ru_maxrss` in bytes."""


class NotMeasured(Exception):
    """A measurement is impossible here; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Resources used by a process: wall-clock and CPU seconds, peak memory in MB, bytes of output."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    output_bytes: int


def clean_environment() -> dict[str, str]:
    """Return the environment for measured processes: the caller's, without variables that change their work."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EXPREC_", "GIT_", "PYTHON")) and name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    }
    isolated_git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    # No tracker sends usage data while it is measured.
    no_telemetry = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}
    return {**kept, **isolated_git, **no_telemetry}


def run_process(command: Sequence[str | Path], *, code: int = 0) -> ProcessUsage:
    """Run a command as a user does, with its output in a pipe that is drained, and wait for its end.

    Raises:
        NotMeasured: The command is not installed, or its exit code is not `code`.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        try:
            child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=clean_environment(),
            )
        except FileNotFoundError:
            raise NotMeasured(f"{Path(command[0]).name} is not installed") from None
        assert child.stdout is not None
        with child.stdout as stream:
            written = 0
            while piece := os.read(stream.fileno(), _PIECE_BYTES):
                written += len(piece)
        # Not `child.wait`, which does not report the usage. The peak of a child includes the memory of this process at
        # the fork, so this process stays small: it imports nothing of exprec.
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != code:
            errors.seek(0)
            raise NotMeasured(_describe_failure(Path(command[0]).name, child.returncode, errors.read()))
    return ProcessUsage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _KILOBYTE / 1e6, written)


def call_driver(function: str, **arguments: Any) -> Mapping[str, Any]:
    """Call the driver `benchmarks.<module>:<function>` in a new Python process and return its result, sent as JSON.

    Raises:
        NotMeasured: The driver failed; the message has the last line of its stderr.
    """
    command = [sys.executable, "-m", "benchmarks.worker", function, json.dumps(arguments, default=str)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=clean_environment(), capture_output=True, check=False, timeout=_LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{function} took more than {_LONGEST_SECONDS} s") from None
    if done.returncode != 0:
        raise NotMeasured(_describe_failure(function, done.returncode, done.stderr))
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def interleaved(
    repetitions: int,
    exprec: Callable[[], float],
    reference: Callable[[], float],
    progress: Callable[[str], None],
) -> tuple[Pair, ...]:
    """Measure both sides alternately, each equally often first, so that other load affects both alike."""
    pairs = []
    for number in range(repetitions):
        if number % 2 == 0:
            ours = exprec()
            theirs = reference()
        else:
            theirs = reference()
            ours = exprec()
        pairs.append(Pair(ours, theirs))
        progress(f"{number + 1}/{repetitions}")
    return tuple(pairs)


def read_files(*paths: Path) -> None:
    """Read files into the page cache."""
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(_PIECE_BYTES):
                pass


def drop_page_cache() -> bool:
    """Empty the page cache; return False if that is not permitted or not supported."""
    try:
        os.sync()
        # Only root may write here.
        Path("/proc/sys/vm/drop_caches").write_text("3\n", "ascii")
    except OSError:
        return False
    return True


def _describe_failure(what: str, code: int, errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return f"{what} ended with {code}" + (f": {lines[-1].strip()}" if lines else "")
