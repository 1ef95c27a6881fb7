"""Any single system call fails, or all that need disk space from then on: it is reported and nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exprec.recorder.format import layout
from tests.fault.stages import (
    ALL,
    INTERRUPTED,
    STAGES,
    Stage,
    calls_of,
    check_recovery,
    numbers,
    run_in_process,
    staged,
)
from tests.fault.syscalls import SPACE, Call, Half, watched

Count = Callable[[str, int], None]
REASONS = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
MISSING = 3
STORAGE = 6
NOT_VERIFIED = 5


class _Failing:
    """Fails one call and, with `is_full`, all later ones that need disk space."""

    def __init__(self, number: int, reason: int, *, is_full: bool) -> None:
        self._left, self._reason, self._is_full = number, reason, is_full
        self.failed: Call | None = None
        self._is_sealed = False
        self._is_looked_at = False
        self.goes_unsaid = False
        """Whether the command succeeds without the failed call."""

    def __call__(self, call: Call) -> None:
        self._note(call)
        self._fail(call)

    def _note(self, call: Call) -> None:
        if self.failed is None:
            # What a sealed run leaves behind may stay, and a lock that is looked at may be unknown.
            is_removal = self._is_sealed and f"{call.path}/".startswith("runs/.work/")
            is_look = call.name in ("open", "flock") and call.path == f"runs/.work/{INTERRUPTED}.json"
            # A rerun reads execution records, which are not part of the run, only to verify what is around it.
            in_records = call.path.startswith(f"runs/{layout.ATTESTATIONS_FOLDER}/")
            is_record = call.name == "open" and in_records and call.path.endswith(".json")
            self.goes_unsaid = is_removal or is_record or (is_look and not self._is_looked_at)
            self._is_looked_at = self._is_looked_at or (is_look and call.name == "flock")
        if call.name == "rename" and layout.is_run_id(Path(call.to).name):
            self._is_sealed = True

    def _fail(self, call: Call) -> None:
        if self.failed is None and (not self._is_full or call.name in SPACE):
            if self._left:
                self._left -= 1
                return
            self.failed = call
            if self._is_full and len(call.data) > 1:
                # What is nearly full takes some of it.
                raise Half(len(call.data) // 2, lambda: None)
            raise OSError(self._reason, os.strerror(self._reason))
        if self._is_full and self.failed is not None and call.name in SPACE:
            raise OSError(self._reason, os.strerror(self._reason))


@pytest.mark.parametrize("name", STAGES)
def test_failing_call_is_reported_and_loses_nothing(name: str, place: Path, count_faults: Count) -> None:
    stage = staged(name, place)
    points = 0
    for number in numbers(stage, calls_of(stage, place / "here")):
        for reason in REASONS if ALL else (REASONS[number % len(REASONS)],):
            failed = _fails(stage, place / "here", _Failing(number, reason, is_full=False), reason)
            points += failed is not None
        if failed is None:
            break
    count_faults("system calls that failed", points)


@pytest.mark.parametrize("name", STAGES)
def test_disk_full_from_any_call_on_is_reported_and_loses_nothing(name: str, place: Path, count_faults: Count) -> None:
    stage = staged(name, place)
    points = 0
    for number in numbers(stage, [call for call in calls_of(stage, place / "here") if call.name in SPACE]):
        failing = _Failing(number, errno.ENOSPC, is_full=True)
        if _fails(stage, place / "here", failing, errno.ENOSPC) is None:
            break
        points += 1
    count_faults("disks full from a system call on", points)


def _fails(stage: Stage, folder: Path, failing: _Failing, reason: int) -> Call | None:
    """Run a stage while a system call fails and check the recovery; returns the failed call."""
    stage.copied(folder)
    try:
        with watched(folder, failing):
            done = run_in_process(*stage.words, cwd=folder)
        try:
            if failing.failed is not None and failing.failed.path == "made/result" and reason == errno.EIO:
                # What the command wrote cannot be read: an outcome of the command, which is recorded.
                assert done.code == MISSING, done.report
                assert b"'made/result' cannot be read: its file system reports an error" in done.stderr, done.report
                return failing.failed
            if failing.failed is None or failing.goes_unsaid:
                assert done.code == 0, done.report
                assert stage.address is None or (folder / "runs" / stage.address).is_dir()
            else:
                # Of a rerun the verdict is what was asked for.
                is_verdict = stage.name == "rerun" and b"the execution record could not be written" in done.stderr
                # It verifies the run first, which lists each file that cannot be read as a problem of the run.
                is_problem = stage.name == "rerun" and b": cannot be read (" in done.stderr
                assert done.code == (0 if is_verdict else NOT_VERIFIED if is_problem else STORAGE), done.report
                assert os.strerror(reason).encode() in done.stderr, done.report
            shown = done.stdout[: done.stdout.rfind(b"\n") + 1] if stage.log else b""
            check_recovery(folder, stage, shown)
        except BaseException as error:
            error.add_note(f"{stage.name}, failed at {failing.failed}: {done.report}")
            raise
    finally:
        shutil.rmtree(folder)
    return failing.failed
