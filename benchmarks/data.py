"""The runs that are read in the measurements, and the work folder that they are kept in.

How they are recorded is told in `loops.recording`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import timing


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the data are, in events and in runs."""

    many: int
    some: int
    runs: int


SMALL = 58
"""Events of a small run."""

FULL = Sizes(many=1_000_000, some=100_000, runs=10_000)
QUICK = Sizes(many=20_000, some=2_000, runs=100)


@dataclass(frozen=True, slots=True)
class Twins:
    """Two sealed runs that differ in one event."""

    run: Path
    twin: Path

    @property
    def log(self) -> Path:
        """The log of the first."""
        return self.run / "events.jsonl"

    @property
    def twin_log(self) -> Path:
        """The log of the second."""
        return self.twin / self.log.name

    def in_cache(self) -> None:
        """Have both logs in the page cache."""
        timing.read(self.log, self.twin_log)


class Data:
    """The data in a work folder; each is made when it is first asked for, or found there."""

    def __init__(self, folder: Path, sizes: Sizes, said: Callable[[str], None]) -> None:
        self.folder = folder
        self.sizes = sizes
        self._said = said

    def twins(self, events: int) -> Twins:
        """A run of so many events, and the same with one event changed in the middle."""
        store = self._made(f"events-{events}", "loops.recording:twins", events=events)
        run, twin = ((store / "tags" / tag).read_text("ascii").strip() for tag in ("run", "twin"))
        return Twins(store / run, store / twin)

    def small_runs(self) -> Path:
        """A store of small runs, each different."""
        return self._made(f"runs-{self.sizes.runs}", "loops.recording:small_runs", runs=self.sizes.runs)

    def scratch(self) -> Path:
        """An empty folder for one measurement."""
        folder = self.folder / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def _made(self, name: str, function: str, **arguments: int) -> Path:
        folder, unfinished = self.folder / name, self.folder / f"{name}.part"
        if not folder.exists():
            self._said(f"recording {name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            timing.loop(function, store=unfinished, **arguments)
            unfinished.rename(folder)
        return folder
