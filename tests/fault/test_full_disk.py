"""A full disk: a file system in memory with any number of free pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.stages import STAGES, Stage, check_recovery, run_in_process, staged

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = os.sysconf("SC_PAGE_SIZE")
ENOUGH_PAGES = 1000
STORAGE = 6
FULL = b"No space left on device"


def test_a_disk_with_any_number_of_free_pages(tmp_path: Path, count_faults: Callable[[str, int], None]) -> None:
    own = _own_mounts(tmp_path)
    if own is None:
        pytest.skip("no file system may be mounted here (unshare --mount)")
    done = subprocess.run(
        [*own, sys.executable, __file__, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    count_faults("sizes of a real disk that is too small", int(done.stdout))


def _own_mounts(folder: Path) -> list[str] | None:
    """Return the prefix of a command line that allows it to mount; None if that is not permitted."""
    if shutil.which("unshare") and shutil.which("mount"):
        for words in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
            attempt = [*words, "mount", "-t", "tmpfs", "none", str(folder)]
            if subprocess.run(attempt, capture_output=True, check=False).returncode == 0:
                return words
    return None


def _resize(disk: Path, pages: int, *more: str) -> None:
    # A size of 0 would be none.
    options = ",".join([*more, f"size={max(pages, 1) * PAGE}"])
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True)


def _fill(disk: Path, stage: Stage) -> int:
    """Run a stage on disks with more and more free pages until it fits; returns how often it did not."""
    for pages in range(ENOUGH_PAGES):
        here = stage.copied(disk / "here")
        used = os.statvfs(disk)
        _resize(disk, used.f_blocks - used.f_bfree + pages, "remount")
        done = run_in_process(*stage.words, cwd=here)
        _resize(disk, ENOUGH_PAGES, "remount")
        shown = done.stdout[: done.stdout.rfind(b"\n") + 1] if stage.log else b""
        # Of a rerun the verdict is what was asked for.
        does_fit = done.code == 0 and b"could not be written" not in done.stderr
        try:
            assert done.code == 0 or (done.code == STORAGE and FULL in done.stderr)
            check_recovery(here, stage, shown)
        except BaseException as error:
            error.add_note(f"{stage.name}, with {pages} free pages: {done.report}")
            raise
        shutil.rmtree(here)
        if does_fit:
            return pages
    raise AssertionError(f"{stage.name} did not fit into {ENOUGH_PAGES} pages")


def _fill_all(folder: Path) -> int:
    (disk := folder / "disk").mkdir()
    _resize(disk, ENOUGH_PAGES)
    return sum(_fill(disk, staged(name, folder)) for name in STAGES)


if __name__ == "__main__":
    print(_fill_all(Path(sys.argv[1])))
