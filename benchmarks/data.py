"""The stored runs that are measured, and the folder in which they are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import timing


@dataclass(frozen=True, slots=True)
class Sizes:
    """Size of the data: `many` and `some` in events of a run, `runs` in runs of a store."""

    many: int
    some: int
    runs: int


SMALL = 58
"""Number of events of a small run."""

FULL = Sizes(many=1_000_000, some=100_000, runs=10_000)
QUICK = Sizes(many=20_000, some=2_000, runs=100)


@dataclass(frozen=True, slots=True)
class Twins:
    """Two sealed runs that differ in one event."""

    run: Path
    twin: Path

    @property
    def log(self) -> Path:
        """The log of the first run."""
        return self.run / "events.jsonl"

    @property
    def twin_log(self) -> Path:
        """The log of the second run."""
        return self.twin / self.log.name

    def warm_cache(self) -> None:
        """Read both logs into the page cache."""
        timing.read_files(self.log, self.twin_log)


class Data:
    """The data in a work folder; each item is recorded on first use unless it exists there."""

    def __init__(self, folder: Path, sizes: Sizes, progress: Callable[[str], None]) -> None:
        self.folder = folder
        self.sizes = sizes
        self._progress = progress

    def twins(self, events: int) -> Twins:
        """Return a run of `events` events, and the same run with one event changed in the middle."""
        store = self._recorded(f"events-{events}", "drivers.recording:twins", events=events)
        run, twin = ((store / "tags" / tag).read_text("ascii").strip() for tag in ("run", "twin"))
        return Twins(store / run, store / twin)

    def small_runs(self) -> Path:
        """Return a store of small runs, all different."""
        return self._recorded(f"runs-{self.sizes.runs}", "drivers.recording:small_runs", runs=self.sizes.runs)

    def scratch(self) -> Path:
        """Return an empty folder for one measurement."""
        folder = self.folder / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def _recorded(self, name: str, function: str, **arguments: int) -> Path:
        folder, unfinished = self.folder / name, self.folder / f"{name}.part"
        if not folder.exists():
            self._progress(f"recording {name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            timing.call_driver(function, store=unfinished, **arguments)
            unfinished.rename(folder)
        return folder
