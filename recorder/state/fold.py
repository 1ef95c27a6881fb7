"""The one fold over events: what has been said so far becomes the state of the experiment.

It keeps where events stand, not the events, so that its size grows with the iterations alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from exprec.recorder import events
from exprec.recorder.store.log import Entry
from exprec.recorder.store.recording import Summary


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

    def apply(self, entry: Entry) -> None:
        """Take one more event into account. An event of an unknown type is counted and kept in its place."""
        event = entry.event
        kind = event["event_type"]
        self.counts[kind] += 1
        if event["iteration"] > 0:
            self._apply_to_iteration(entry)
        if kind == events.EXPERIMENT_START:
            self.info = events.fields(event)
        elif kind in (events.EXPERIMENT_END, events.RUN_END):
            self.result = events.fields(event)
        elif kind == events.EXPERIMENT_FAILED:
            self.failure = events.fields(event)

    def summary(self) -> Summary:
        """What the head of a sealed run says of its log."""
        counts = {
            "events": self.counts.total(),
            "iterations": len(self.iterations),
            "by_type": dict(sorted(self.counts.items())),
        }
        status = "completed" if self.result is not None and self.failure is None else "failed"
        return Summary(status, counts, self.result if status == "completed" else None, self.failure)

    def _apply_to_iteration(self, entry: Entry) -> None:
        event = entry.event
        if not self.iterations or self.iterations[-1].number != event["iteration"]:
            self.iterations.append(Iteration(event["iteration"], entry.start, entry.end))
        iteration = self.iterations[-1]
        iteration.end = entry.end
        if event["event_type"] in (events.ITERATION_START, events.ITERATION_END):
            iteration.costs = event["costs_per_agent"]
        if event["event_type"] == events.ITERATION_END:
            iteration.accepted = event["accepted_changes"]
            iteration.closing = (entry.start, entry.end)
