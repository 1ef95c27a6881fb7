"""The verdict on a run that was executed again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from exprec.recorder.diagnostics import key_name
from exprec.recorder.diff import ABSENT, Difference
from exprec.recorder.events import Event
from exprec.recorder.format import layout


class ReplayOutcome(StrEnum):
    """Whether a run reproduces."""

    IDENTICAL = "identical"
    """The execution has the same run id."""
    DIVERGED = "diverged"
    CANNOT_RUN = "cannot_run"
    """The run could not be executed, which does not mean that it fails to reproduce."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What executing a run again shows: an outcome, and the first divergence if there is one."""

    outcome: ReplayOutcome
    identical_events: int
    """How many events were byte for byte the recorded ones, in order, before the execution diverged or ended."""
    event: Event | None = None
    """The recorded event at which the execution diverges; None after the last one, and if a file differs."""
    file: str = layout.EVENTS_FILE
    """The file that differs."""
    differences: tuple[Difference, ...] = ()
    """Between what was recorded (old) and executed now (new)."""
    reasons: tuple[str, ...] = ()
    """Explanations, a sentence each."""

    @classmethod
    def identical(cls, events: int) -> Verdict:
        """Return the verdict on an execution with the same run id."""
        return cls(ReplayOutcome.IDENTICAL, events)

    @classmethod
    def cannot_run(cls, reasons: Iterable[object], events: int = 0) -> Verdict:
        """Return the verdict on a run that could not be executed to its end; `reasons` become text."""
        return cls(ReplayOutcome.CANNOT_RUN, events, reasons=tuple(map(str, reasons)))

    @property
    def is_identical(self) -> bool:
        """Whether the run reproduces."""
        return self.outcome is ReplayOutcome.IDENTICAL

    def with_reasons(self, reasons: Iterable[str]) -> Verdict:
        """Return the same verdict with more explanations."""
        return replace(self, reasons=(*self.reasons, *reasons))

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form. Where a side of a difference has no value, its `recorded` or `now` is left out."""
        event = self.event
        return {
            "verdict": self.outcome.value,
            "identical_events": self.identical_events,
            "file": self.file if self.outcome is ReplayOutcome.DIVERGED else None,
            "event": None if event is None else {key: event.get(key) for key in ("seq", "event_type", "iteration")},
            "differences": [_difference_dict(difference) for difference in self.differences],
            "reasons": list(self.reasons),
        }


def _difference_dict(difference: Difference) -> dict[str, Any]:
    sides = {"recorded": difference.old, "now": difference.new}
    return {"field": key_name(difference.path)} | {key: value for key, value in sides.items() if value is not ABSENT}
