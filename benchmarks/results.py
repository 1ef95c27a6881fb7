"""Results of benchmarks: repetitions, medians, ratios, verdicts. All functions are pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Unit(Enum):
    """Unit of a measured value; the member's value is its symbol."""

    SECONDS = "s"
    MICROSECONDS = "µs"
    MEGABYTES = "MB"
    PER_SECOND = "/s"


@dataclass(frozen=True, slots=True)
class Pair:
    """One repetition: the value of exprec, and the value of the reference measured right before or after it."""

    exprec: float
    reference: float | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a case, which is compared with the median ratio or value; without a limit, for information only."""

    at_most: float | None = None
    """Maximum ratio of exprec to its reference."""
    faster: float | None = None
    """Minimum ratio of the reference to exprec; if set, this inverse ratio is reported."""
    below: float | None = None
    """Upper limit (exclusive) of exprec's value, in the unit of the case."""
    at_least: float | None = None
    """Lower limit of exprec's value, in the unit of the case."""

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return (self.at_most, self.faster, self.below, self.at_least) != (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: the work, its reference, and the goal."""

    name: str
    work: str
    reference: str
    """Description of the reference; empty without one."""
    unit: Unit
    goal: Goal


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The repetitions of a case, or the reason why it was not measured."""

    case: Case
    pairs: tuple[Pair, ...] = ()
    not_measured: str = ""
    remark: str = ""
    """Circumstances that vary, such as the size of the data."""

    @property
    def exprec(self) -> float:
        """Median of exprec's values."""
        return statistics.median(pair.exprec for pair in self.pairs)

    @property
    def reference(self) -> float | None:
        """Median of the reference's values; None without a reference."""
        values = [pair.reference for pair in self.pairs if pair.reference is not None]
        return statistics.median(values) if values else None

    @property
    def ratios(self) -> list[float]:
        """The ratio of each repetition: exprec to reference, or the inverse if the goal is `faster`."""
        return compute_ratios(self.pairs, is_inverse=self.case.goal.faster is not None)

    @property
    def ratio(self) -> float | None:
        """Median of the ratios (not the ratio of the medians); None without a reference."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None without a goal or a measurement."""
        goal = self.case.goal
        if not self.pairs or not goal.is_set:
            return None
        ratio, value = self.ratio, self.exprec
        if ratio is None and (goal.at_most is not None or goal.faster is not None):
            return None
        return (
            (goal.at_most is None or (ratio is not None and ratio <= goal.at_most))
            and (goal.faster is None or (ratio is not None and ratio >= goal.faster))
            and (goal.below is None or value < goal.below)
            and (goal.at_least is None or value >= goal.at_least)
        )


def compute_ratios(pairs: Sequence[Pair], *, is_inverse: bool = False) -> list[float]:
    """Return the ratio of each pair that has a reference."""
    compared = [(pair.exprec, pair.reference) for pair in pairs if pair.reference is not None]
    return [theirs / mine if is_inverse else mine / theirs for mine, theirs in compared]
