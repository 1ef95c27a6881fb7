"""Benchmark: a measurement and the rows of the table (cases) that it fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import timing
from benchmarks.data import Data
from benchmarks.results import Case, CaseResult, Pair
from benchmarks.timing import NotMeasured


@dataclass(frozen=True, slots=True)
class Session:
    """What a measurement uses: the data, the number of repetitions, the progress callback."""

    data: Data
    repetitions: int
    progress: Callable[[str], None]
    """Called after each repetition with `done/total`."""

    def interleave(self, exprec: Callable[[], float], reference: Callable[[], float]) -> tuple[Pair, ...]:
        """Measure both sides alternately; see `timing.interleaved`."""
        return timing.interleaved(self.repetitions, exprec, reference, self.progress)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measured repetitions of one case."""

    pairs: tuple[Pair, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named measurement; most fill one row of the table."""

    name: str
    repetitions: int
    """Default number of repetitions."""
    cases: tuple[Case, ...]
    measure: Callable[[Session], Sequence[Measurement]]
    """Returns a measurement for each case, in order; may raise NotMeasured."""

    def run(self, session: Session) -> list[CaseResult]:
        """Return a result for every case; it has a reason instead of repetitions if the measurement failed."""
        try:
            measurements = self.measure(session)
        except NotMeasured as reason:
            return [CaseResult(case, not_measured=str(reason)) for case in self.cases]
        paired = zip(self.cases, measurements, strict=True)
        return [CaseResult(case, item.pairs, remark=item.remark) for case, item in paired]


def single_case(case: Case, repetitions: int, measure: Callable[[Session], Measurement]) -> Benchmark:
    """Return a benchmark named like its only case."""
    return Benchmark(case.name, repetitions, (case,), lambda session: [measure(session)])
