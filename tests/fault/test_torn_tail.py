"""Logs that end at any byte of a line, or in zeros: all complete lines are shown, and the run resumes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exprec.recorder.format import layout
from exprec.recorder.store.run_directory import RunDirectory
from tests.fault.stages import ALL, INTERRUPTED, Stage, check_recovery, run_in_process, staged

TAIL = 4096


class _Torn:
    """An interrupted run with one truncated log, and the complete contents of both logs."""

    def __init__(self, place: Path, name: str) -> None:
        self.stage: Stage = staged("resume", place)
        whole = staged("an experiment once more", place)
        assert whole.address is not None
        run = whole.folder / "runs" / whole.address
        self._whole = {each: (run / each).read_bytes() for each in (layout.EVENTS_FILE, layout.EXCHANGES_FILE)}
        self._name = name
        self.data = self._whole[name]

    def place(self, here: Path) -> Path:
        """Copy the run with complete logs to a new folder; returns the folder of the run."""
        self.stage.copied(here)
        work = here / "runs" / layout.WORK_FOLDER / INTERRUPTED
        for name, data in self._whole.items():
            (work / name).write_bytes(data)
        return work

    def write(self, work: Path, cut: int, *, has_zeros: bool) -> None:
        """Truncate the log at this byte, or overwrite it with zeros from there."""
        rest = bytes(len(self.data) - cut) if has_zeros else b""
        (work / self._name).write_bytes(self.data[:cut] + rest)

    def lines(self, cut: int) -> bytes:
        """Return the complete lines before this byte."""
        return self.data[: self.data.rfind(b"\n", 0, cut) + 1]


@pytest.mark.fact("F46")
@pytest.mark.parametrize("name", [layout.EVENTS_FILE, layout.EXCHANGES_FILE])
def test_every_whole_line_is_read_wherever_a_log_ends(
    name: str, place: Path, count_faults: Callable[[str, int], None]
) -> None:
    torn = _Torn(place, name)
    work = torn.place(place / f"read {name}")
    cuts = range(max(0, len(torn.data) - TAIL), len(torn.data) + 1)
    for cut in cuts:
        for has_zeros in (False, True):
            torn.write(work, cut, has_zeros=has_zeros)
            run = RunDirectory(work)
            kept = torn.lines(cut)
            if name == layout.EVENTS_FILE:
                events = run.reader()
                assert b"".join(entry.line for entry in events.entries()) == kept
                torn_bytes = events.torn_bytes
            else:
                exchanges = run.exchange_reader()
                assert sum(1 for _ in exchanges) == kept.count(b"\n")
                torn_bytes = exchanges.torn_bytes
            assert torn_bytes == (len(torn.data) if has_zeros else cut) - len(kept)
    count_faults("logs that end anywhere, read", 2 * len(cuts))


@pytest.mark.parametrize("name", [layout.EVENTS_FILE, layout.EXCHANGES_FILE])
def test_run_resumes_wherever_a_log_ends(name: str, place: Path, count_faults: Callable[[str, int], None]) -> None:
    torn = _Torn(place, name)
    size = len(torn.data)
    ends = [place for place in range(size) if torn.data[place : place + 1] == b"\n"]
    near = {cut for end in ends for cut in (end - 40, end - 1, end, end + 1, end + 2)}
    cuts = [cut for cut in range(size - min(size, TAIL), size + 1) if ALL or cut in near]
    for cut in cuts:
        for has_zeros in (False, True):
            here = place / "here"
            torn.write(torn.place(here), cut, has_zeros=has_zeros)
            shown = run_in_process("show", "--json", INTERRUPTED, cwd=here)
            assert shown.code == 0, shown.report
            if name == layout.EVENTS_FILE:
                assert shown.stdout == torn.lines(cut)
                rest = (size if has_zeros else cut) - len(shown.stdout)
                assert (f"last line is torn ({rest} bytes)".encode() in shown.stderr) == (rest > 0), shown.report
            check_recovery(here, torn.stage)
            shutil.rmtree(here)
    count_faults("logs that end anywhere, gone on with", 2 * len(cuts))
