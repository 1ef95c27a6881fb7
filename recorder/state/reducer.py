"""The reducer: events in order become the state of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from exprec.recorder.events import TERMINAL_TYPES, event_fields, is_failure, optimization
from exprec.recorder.store import Summary, log

_START = optimization.EXPERIMENT_START.event_type
_ITERATION_START = optimization.ITERATION_START.event_type
_ITERATION_END = optimization.ITERATION_END.event_type
_POLICY_CHANGE = optimization.POLICY_CHANGE.event_type
_POLICY_REJECTED = optimization.POLICY_REJECTED.event_type
_WITH_STATE = frozenset((_START, _ITERATION_START, _ITERATION_END, _POLICY_CHANGE, _POLICY_REJECTED)) | TERMINAL_TYPES
"""The event types that change more of the state than counts and positions."""


class Iteration:
    """One iteration: its number, and the offsets of its events in the log."""

    __slots__ = ("accepted", "closing", "costs", "end", "number", "start")

    def __init__(self, number: int, start: int, end: int) -> None:
        self.number = number
        self.start = start
        self.end = end
        self.costs: dict[str, optimization.Cost] = {}
        self.accepted: dict[str, bool] = {}
        self.closing: tuple[int, int] | None = None
        """Start and end of its `iteration_end`, which has the policies."""


class Reducer:
    """The state of a run after the events applied so far.

    It holds offsets instead of events, so that its size grows with the iterations alone.
    """

    def __init__(self, *, keeps_iterations: bool = True) -> None:
        """With `keeps_iterations` False the iterations are only counted, so that memory does not grow with them."""
        self._keeps_iterations = keeps_iterations
        self.info: dict[str, Any] = {}
        """The fields of `experiment_start`."""
        self.iterations: list[Iteration] = []
        self.iteration_count = 0
        self.first_cost: optimization.Cost | None = None
        """The total cost at the first `iteration_start`."""
        self.result: dict[str, Any] | None = None
        """The fields of `experiment_end` or `run_end`."""
        self.failure: dict[str, Any] | None = None
        """The fields of `experiment_failed`."""
        self.counts: Counter[str] = Counter()
        """The number of events of each type."""
        self.proposals = dict.fromkeys(optimization.PROPOSAL_COUNTS, 0)
        """The number of proposals so far, by `PROPOSAL_COUNTS`."""
        self._current = Iteration(0, 0, 0)
        """The iteration of the last event that belongs to one."""

    @property
    def has_ended(self) -> bool:
        """Whether the last event of the run was applied."""
        return self.result is not None or self.failure is not None

    @property
    def status(self) -> str:
        """`completed` once there is a result and no failure, else `failed`: the status to seal the run with."""
        return "completed" if self.result is not None and self.failure is None else "failed"

    def apply(self, entry: log.Entry) -> None:
        """Take the next event into account. An event of an unknown type changes counts and positions alone."""
        event, line, start = entry
        event_type, number = event["event_type"], event["iteration"]
        self.counts[event_type] += 1
        if number > 0:
            if number != self._current.number:
                self._current = Iteration(number, start, start)
                self.iteration_count += 1
                if self._keeps_iterations:
                    self.iterations.append(self._current)
            self._current.end = start + len(line)
        if event_type in _WITH_STATE:
            self._apply_state(event_type, entry)

    def apply_all(self, entries: Iterable[log.Entry]) -> None:
        """Take all of these events into account. When reading one raises, the state is that of the events before."""
        for entry in entries:
            self.apply(entry)

    def summary(self) -> Summary:
        """Return what the head of a sealed run records of its log."""
        counts = {
            "events": self.counts.total(),
            "iterations": self.iteration_count,
            "by_type": dict(sorted(self.counts.items())),
        }
        return Summary(self.status, counts, self.result if self.failure is None else None, self.failure)

    def _apply_state(self, event_type: str, entry: log.Entry) -> None:
        event = entry.event
        if event_type in TERMINAL_TYPES:
            if is_failure(event):
                self.failure = event_fields(event)
            else:
                self.result = event_fields(event)
        elif event_type == _START:
            self.info = event_fields(event)
        elif event_type == _POLICY_CHANGE:
            self.proposals["usable"] += 1
        elif event_type == _POLICY_REJECTED:
            is_failure_of_model = event.get("rejection_reason") == optimization.LLM_ERROR
            self.proposals["failed" if is_failure_of_model else "rejected"] += 1
        elif event["iteration"] > 0:
            self._apply_iteration(event_type, entry)

    def _apply_iteration(self, event_type: str, entry: log.Entry) -> None:
        event, iteration = entry.event, self._current
        # A later version may have given the type other fields.
        iteration.costs = _object(event.get("costs_per_agent"))
        if event_type == _ITERATION_END:
            iteration.accepted = _object(event.get("accepted_changes"))
            iteration.closing = (entry.start, entry.end)
        elif self.first_cost is None and type(event.get("total_cost")) in (int, float):
            self.first_cost = event["total_cost"]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
