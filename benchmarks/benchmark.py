"""What a benchmark is: rows of the table, and how the figures for them are come by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.data import Data
from benchmarks.figures import Outcome, Pair, Row
from benchmarks.timing import NotMeasured


@dataclass(frozen=True, slots=True)
class Session:
    """What a measurement may use: the data, and how often it repeats."""

    data: Data
    repetitions: int
    said: Callable[[str], None]
    """Called with how far a measurement came."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured for one row."""

    pairs: tuple[Pair, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One measurement, by its name; most give one row."""

    name: str
    repetitions: int
    """How often, unless another number is asked for."""
    rows: tuple[Row, ...]
    measure: Callable[[Session], Sequence[Measured]]
    """Gives what was measured for each row, in their order. Raises NotMeasured."""

    def outcomes(self, session: Session) -> list[Outcome]:
        """All rows, measured or with the reason why not."""
        try:
            measured = self.measure(session)
        except NotMeasured as reason:
            return [Outcome(row, not_measured=str(reason)) for row in self.rows]
        return [Outcome(row, each.pairs, remark=each.remark) for row, each in zip(self.rows, measured, strict=True)]


def of_one_row(row: Row, repetitions: int, measure: Callable[[Session], Measured]) -> Benchmark:
    """A benchmark named like its only row."""
    return Benchmark(row.name, repetitions, (row,), lambda session: [measure(session)])
