"""The one fold over events: what has been said so far becomes the state of the experiment.

It keeps where events stand, not the events, so that its size grows with the iterations alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from exprec.recorder import events
from exprec.recorder.store.log import Entry
from exprec.recorder.store.work_run import Summary

_MEANT = frozenset(
    (
        events.EXPERIMENT_START,
        events.ITERATION_START,
        events.ITERATION_END,
        events.EXPERIMENT_END,
        events.RUN_END,
        events.EXPERIMENT_FAILED,
    )
)
"""The types whose events say more of the state than that they are there."""


@dataclass(slots=True)
class Iteration:
    """One iteration: its number, and the bytes of the log that are its events."""

    number: int
    start: int
    end: int
    costs: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, bool] = field(default_factory=dict)
    closing: tuple[int, int] | None = None
    """Where its `iteration_end` stands, which has the policies."""


class Fold:
    """The state after the events applied so far."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {}
        self.iterations: list[Iteration] = []
        self.result: dict[str, Any] | None = None
        self.failure: dict[str, Any] | None = None
        self.counts: Counter[str] = Counter()
        self._iteration = Iteration(0, 0, 0)
        """That of the last event that was in one."""

    def apply(self, entry: Entry) -> None:
        """Take one more event into account. An event of an unknown type is counted and kept in its place."""
        event, line, start = entry
        kind, number = event["event_type"], event["iteration"]
        self.counts[kind] += 1
        if number > 0:
            if number != self._iteration.number:
                self._iteration = Iteration(number, start, start)
                self.iterations.append(self._iteration)
            self._iteration.end = start + len(line)
        if kind in _MEANT:
            self._take(kind, entry)

    def summary(self) -> Summary:
        """What the head of a sealed run says of its log."""
        counts = {
            "events": self.counts.total(),
            "iterations": len(self.iterations),
            "by_type": dict(sorted(self.counts.items())),
        }
        status = "completed" if self.result is not None and self.failure is None else "failed"
        return Summary(status, counts, self.result if status == "completed" else None, self.failure)

    def _take(self, kind: str, entry: Entry) -> None:
        """What an event of exprec's own says of the state."""
        event = entry.event
        if kind == events.EXPERIMENT_START:
            self.info = events.fields(event)
        elif kind in (events.EXPERIMENT_END, events.RUN_END):
            self.result = events.fields(event)
        elif kind == events.EXPERIMENT_FAILED:
            self.failure = events.fields(event)
        elif event["iteration"] > 0:
            iteration = self._iteration
            # A later version may have given the type other fields.
            iteration.costs = _object(event.get("costs_per_agent"))
            if kind == events.ITERATION_END:
                iteration.accepted = _object(event.get("accepted_changes"))
                iteration.closing = (entry.start, entry.end)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
