"""A power loss at any moment, with any part of unsynced writes: at most the iteration in progress is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fault.power import is_sealed, losses, promise
from tests.fault.stages import ALL, STAGES, calls_of, check_recovery, staged

Count = Callable[[str, int], None]
WATCHED = STAGES if ALL else ("an experiment", "resume", "a tag", "init")


@pytest.mark.fact("F45")
@pytest.mark.parametrize("name", WATCHED)
def test_power_loss_costs_at_most_one_iteration(name: str, place: Path, count_faults: Count) -> None:
    stage = staged(name, place)
    calls = calls_of(stage, place / "traced")
    ends = [b"".join(lines) for lines in _iterations(stage.log)]
    disks = 0
    for lost in losses(stage.folder, calls, every_step=ALL):
        disks += 1
        lost.write(place / "here")
        synced = int(promise(calls[: lost.calls]).split()[0])
        try:
            if stage.address is not None and is_sealed(calls[: lost.calls]):
                assert (place / "here" / "runs" / stage.address).is_dir()
            check_recovery(place / "here", stage, kept=ends[synced - 1] if synced else b"")
        except BaseException as error:
            last = calls[lost.calls - 1] if lost.calls else None
            error.add_note(f"{stage.name}, after {lost.calls} calls, the last of them {last}: {lost.how}")
            raise
        finally:
            shutil.rmtree(place / "here")
    count_faults("disks after a loss of power", disks)


def _iterations(log: bytes) -> Iterator[list[bytes]]:
    """Return the lines up to the end of each iteration."""
    lines = log.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if b'"event_type":"iteration_end"' in line:
            yield lines[:number]
