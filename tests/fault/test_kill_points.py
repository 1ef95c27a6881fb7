"""SIGKILL before every system call that changes a store, and during every write: nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fault.killed import Moment, run_and_kill
from tests.fault.stages import ALL, STAGES, Stage, calls_of, check_recovery, numbers, run_in_process, staged
from tests.fault.syscalls import CHANGING, Call, watched

Count = Callable[[str, int], None]
ROOT = Path(__file__).resolve().parent.parent.parent
TRACED = (
    *("openat", "open", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "truncate"),
    *("rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "link", "linkat"),
    *("symlink", "symlinkat", "mknod", "mknodat", "fallocate", "copy_file_range", "sendfile", "splice"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "utimensat", "setxattr", "fsetxattr"),
)
"""All system calls of Linux that change files or folders."""
PARTS = (0.01, 0.5, 0.99) if ALL else (0.5,)


@pytest.mark.fact("F44")
@pytest.mark.parametrize("name", STAGES)
def test_kill_before_any_call_loses_nothing(name: str, place: Path, count_faults: Count) -> None:
    stage = staged(name, place)
    points = 0
    for number in numbers(stage, [call for call in calls_of(stage, place / "here") if call.name in CHANGING]):
        if not _is_killed(stage, place / "here", Moment(number, counts_all=ALL)):
            break
        points += 1
    assert points > 0
    count_faults("processes killed between two system calls", points)


@pytest.mark.fact("F44")
@pytest.mark.parametrize("name", STAGES)
def test_kill_during_any_write_loses_nothing(name: str, place: Path, count_faults: Count) -> None:
    stage = staged(name, place)
    points = 0
    for part in PARTS:
        for number in numbers(stage, [call for call in calls_of(stage, place / "here") if call.name == "write"]):
            if not _is_killed(stage, place / "here", Moment(number, written=part)):
                break
            points += 1
    count_faults("processes killed within a write", points)


def test_no_other_system_call_touches_a_store(tmp_path: Path, count_faults: Count) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    listed = tmp_path / "strace"
    traced = ["strace", "-f", "--seccomp-bpf", "-y", "-s", "0", "-e", f"trace=?{',?'.join(TRACED)}", "-o", str(listed)]
    done = subprocess.run(
        [*traced, sys.executable, __file__, str(tmp_path)],
        # With its whole path, which is what strace then prints.
        env={**os.environ, "PYTHONPATH": str(ROOT), "EXPREC_STORE": str(tmp_path / "here" / "runs")},
        capture_output=True,
        timeout=120,
        check=False,
    )
    if b"ptrace" in done.stderr:
        pytest.skip("no process may be traced here")
    assert done.returncode == 0, done.stderr.decode()
    told = done.stdout.decode().splitlines()
    assert len(told) > 100
    assert list(_changes(listed.read_text().splitlines(), tmp_path / "here")) == told
    count_faults("system calls checked against strace", len(told))


def _changes(lines: list[str], folder: Path) -> Iterator[str]:
    """Return the calls in the output of `strace` that change a folder, of the first process."""
    first = lines[0].split()[0]
    for line in lines:
        match = re.match(rf"{first} +(\w+)\((.*)", line)
        if match is None:
            continue
        name, arguments = match.groups()
        # The file that is written to, or the folder that a path goes out from.
        place = re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>", arguments)
        paths = [] if name.startswith(("write", "pwrite", "f")) else re.findall(r'"([^"]*)"', arguments)
        path = os.path.join(place[1] if place else "", *paths[:1])
        if path.startswith(f"{folder}/") and (name != "openat" or "O_CREAT" in arguments):
            is_folder = "AT_REMOVEDIR" in arguments
            told = {"openat": "create", "unlinkat": "rmdir" if is_folder else "unlink"}.get(name, name)
            yield f"{told} {path.removeprefix(f'{folder}/')}"


def _tell_all(folder: Path) -> None:
    """Run each stage and print the changing calls that the hooks saw."""
    store = os.environ.pop("EXPREC_STORE")
    stages = [staged(name, folder) for name in STAGES]
    os.environ["EXPREC_STORE"] = store
    for stage in stages:
        here = stage.copied(folder / "copy")
        here.rename(folder / "here")
        calls: list[Call] = []
        with watched(folder / "here", calls.append):
            run_in_process(*stage.words, cwd=folder / "here")
        (folder / "here").rename(folder / "copy")
        shutil.rmtree(folder / "copy")
        for call in calls:
            if call.name in CHANGING:
                print(call.name, call.path)


def _is_killed(stage: Stage, folder: Path, moment: Moment) -> bool:
    """Kill the command of a stage at a moment and check the recovery; returns whether it got that far."""
    stage.copied(folder)
    try:
        ended = run_and_kill(stage.words, folder, moment)
        assert ended.code in (0, -signal.SIGKILL), ended
        assert b"Traceback" not in ended.stderr
        shown = ended.stdout[: ended.stdout.rfind(b"\n") + 1] if stage.log else b""
        try:
            check_recovery(folder, stage, shown)
        except BaseException as error:
            error.add_note(f"{stage.name}, killed at {moment}: {ended}")
            raise
        return ended.code != 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    _tell_all(Path(sys.argv[1]))
