"""How much time and memory a reader takes as its input grows.

Time is that of the processor, not of the clock, and compared over three doublings: a linear reader takes 8 times as
long, a quadratic one 64 times. Memory is the peak that Python allocates, which does not vary.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exprec.recorder.errors import ExprecError

PER_DOUBLING = 2.3
DOUBLINGS = 3
ATTEMPTS = 8
ENLARGEMENTS = (1, 2, 4)
_NOISE_SECONDS = 0.03
"""Less is not compared: other processes on the machine, and its caches, cause as much."""
_NOISE_BYTES = 50_000
_SHORTEST_SECONDS = 0.003
_MOST_DOUBLINGS = 4


@dataclass(frozen=True)
class Growing:
    """A reader and an input that grows."""

    reader: str
    growth: str
    """What grows in the input."""
    make: Callable[[int, Path], Any]
    """Makes the input of a size; what belongs on the disk goes into the folder."""
    read: Callable[[Any], object]
    """Reads it; an error of exprec is an answer too."""
    size: int = 2000
    """The size of the smallest input; time is measured with a larger one if that takes next to none."""
    flat: bool = field(default=False)
    """Whether memory must not grow at all with the input."""

    def __str__(self) -> str:
        return f"{self.reader}: {self.growth}"


def excess_time(case: Growing, folder: Path) -> str | None:
    """Return why the time grows more than PER_DOUBLING with each doubling; None if it does not.

    What grows too fast does so at every size: an excess counts if larger inputs, which no cache holds, exceed it too.
    """
    size = _measurable_size(case, folder)
    for enlargement in ENLARGEMENTS:
        excess = _excess_at(case, folder, size * enlargement)
        if excess is None:
            return None
    return excess


def _excess_at(case: Growing, folder: Path, size: int) -> str | None:
    """Compare an input of this size with one of 8 times the size.

    The least of several attempts counts; the first that is good enough ends the measurement.
    """
    inputs = [case.make(size * factor, _subfolder(folder, size * factor)) for factor in (1, 2**DOUBLINGS)]
    seconds = [float("inf")] * 2
    allowed = PER_DOUBLING**DOUBLINGS
    for _ in range(ATTEMPTS):
        seconds = [min(least, _seconds(case, each)) for least, each in zip(seconds, inputs, strict=True)]
        if seconds[1] <= allowed * max(seconds[0], _NOISE_SECONDS / allowed):
            return None
    return f"{seconds[0]:.4f} s become {seconds[1]:.4f} s: more than {allowed:.1f} times for 8 times the input"


def excess_memory(case: Growing, folder: Path) -> str | None:
    """Return why the memory grows more than PER_DOUBLING with a doubling; None if it does not."""
    factors = (1, 2)
    peaks = [_peak(case, case.make(case.size * factor, _subfolder(folder, factor))) for factor in factors]
    allowed = 1.1 if case.flat else PER_DOUBLING
    if peaks[1] <= allowed * peaks[0] + _NOISE_BYTES:
        return None
    return f"{peaks[0]} bytes become {peaks[1]}: more than {allowed} times"


def _measurable_size(case: Growing, folder: Path) -> int:
    """Return the size of an input that takes at least _SHORTEST_SECONDS to read, or nearly as much."""
    for doublings in range(_MOST_DOUBLINGS):
        size = case.size << doublings
        if _seconds(case, case.make(size, _subfolder(folder, -doublings))) >= _SHORTEST_SECONDS:
            break
    return size


def _subfolder(folder: Path, factor: int) -> Path:
    path = folder / str(factor)
    path.mkdir(exist_ok=True)
    return path


def _read(case: Growing, value: Any) -> None:
    with suppress(ExprecError):
        case.read(value)


def _seconds(case: Growing, value: Any) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.thread_time()
        _read(case, value)
        return time.thread_time() - start
    finally:
        gc.enable()


def _peak(case: Growing, value: Any) -> int:
    _read(case, value)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        _read(case, value)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
