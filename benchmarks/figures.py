"""Figures and what follows from them: medians, ratios, verdicts.

It measures nothing and prints nothing; every function here is pure.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Unit(Enum):
    """What a value is; the value of the member is what stands behind it."""

    SECONDS = "s"
    MICROSECONDS = "µs"
    MEGABYTES = "MB"
    PER_SECOND = "/s"


@dataclass(frozen=True, slots=True)
class Pair:
    """One repetition: the value of exprec, and that of the reference measured right before or after it."""

    exprec: float
    reference: float | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """What was set out to be reached; without a limit, a figure that is given for comparison.

    A ratio is that of a median repetition, a value the median one.
    """

    at_most: float | None = None
    """The largest ratio of exprec to its reference."""
    faster: float | None = None
    """The smallest ratio of the reference to exprec, which is then the ratio that is told."""
    below: float | None = None
    """A value that exprec stays under, in the unit of the row."""
    at_least: float | None = None
    """A value that exprec reaches, in the unit of the row."""

    @property
    def is_set(self) -> bool:
        """Whether there is something to reach."""
        return (self.at_most, self.faster, self.below, self.at_least) != (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: a piece of work, what is run beside it, and the goal."""

    name: str
    work: str
    reference: str
    """What is run beside it, in words; empty where nothing is."""
    unit: Unit
    goal: Goal


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row with all that was measured for it, or the reason why nothing was."""

    row: Row
    pairs: tuple[Pair, ...] = ()
    not_measured: str = ""
    remark: str = ""
    """Under which circumstances, where these are not always the same."""

    @property
    def exprec(self) -> float:
        """The median of exprec's values."""
        return statistics.median(pair.exprec for pair in self.pairs)

    @property
    def reference(self) -> float | None:
        """The median of the reference's values; None without a reference."""
        values = [pair.reference for pair in self.pairs if pair.reference is not None]
        return statistics.median(values) if values else None

    @property
    def ratios(self) -> list[float]:
        """That of each repetition, in order: of exprec to its reference, or the other way round where the goal says
        how much faster it should be."""
        return ratios(self.pairs, is_inverse=self.row.goal.faster is not None)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios, which is not the ratio of the medians; None without a reference."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where none was set or nothing was measured."""
        goal = self.row.goal
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


def ratios(pairs: Sequence[Pair], *, is_inverse: bool = False) -> list[float]:
    """The ratio of each pair that has a reference."""
    compared = [(pair.exprec, pair.reference) for pair in pairs if pair.reference is not None]
    return [theirs / mine if is_inverse else mine / theirs for mine, theirs in compared]
