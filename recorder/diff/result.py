"""The differences between two runs, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from exprec.recorder.diff.json_values import ABSENT, Difference
from exprec.recorder.errors import KeyPath
from exprec.recorder.events import optimization

Item = TypeVar("Item")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Truncated(Generic[Item]):
    """The first items of a list, and how many there are in total."""

    items: tuple[Item, ...] = ()
    count: int = 0

    @property
    def more(self) -> int:
        """How many are counted only."""
        return self.count - len(self.items)

    def as_dict(self, item: Callable[[Item], Json]) -> Json:
        """Return the value as plain JSON types."""
        return {"count": self.count, "listed": [item(each) for each in self.items]}


class Side(NamedTuple):
    """One of the two runs. `result` and `failure` are the fields of its last event."""

    run_id: str
    short_id: str
    is_sealed: bool
    name: str
    type: str
    status: str
    result: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    final_cost: float | None = None
    """None if the result has none."""
    cost_unit: str = optimization.CENTS

    @property
    def iterations(self) -> int | None:
        """The number of iterations in the result; None if the result has none."""
        value = (self.result or {}).get("num_iterations")
        return value if type(value) is int else None

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {
            "run_id": self.run_id,
            "short_id": self.short_id,
            "sealed": self.is_sealed,
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "result": self.result,
            "failure": self.failure,
            "cost_unit": None if self.final_cost is None else self.cost_unit,
        }


class EventPosition(NamedTuple):
    """An event in one of the logs."""

    seq: int
    iteration: int
    event_type: str
    agent: str | None


class Divergence(NamedTuple):
    """The first event, in recorded order, at which two logs diverge; None on the side of a log that ends there.

    `difference` is the most telling one of two events of the same iteration, type and agent.
    """

    old: EventPosition | None
    new: EventPosition | None
    difference: Difference | None = None

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {
            "old": None if self.old is None else self.old._asdict(),
            "new": None if self.new is None else self.new._asdict(),
            "difference": None if self.difference is None else difference_dict(self.difference),
        }


class Point(NamedTuple):
    """Two values of a series in one iteration (0: before the first).

    `ordinal` numbers, from 0, the events of the same type and agent in the iteration.
    """

    iteration: int
    ordinal: int
    old: Any
    new: Any


class Series(NamedTuple):
    """A value that both runs have repeatedly: a cost, a policy parameter, a metric. Its points are where it differs."""

    event_type: str
    agent: str | None
    path: KeyPath
    points: Truncated[Point]

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {
            "event_type": self.event_type,
            "agent": self.agent,
            "path": list(self.path),
            "points": self.points.as_dict(_point_dict),
        }


class PolicyChange(NamedTuple):
    """A difference between the current policies at the end of these iterations (0: before the first)."""

    agent: str
    difference: Difference
    first: int
    last: int

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        span = {"agent": self.agent, "first_iteration": self.first, "last_iteration": self.last}
        return span | difference_dict(self.difference)


class Hunk(NamedTuple):
    """Lines of two texts that differ, with the equal line before and after them. Line numbers start at 1."""

    old_line: int
    new_line: int
    before: tuple[str, ...]
    old: tuple[str, ...]
    new: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def size(self) -> int:
        """In characters."""
        return sum(len(line) for lines in self[2:] for line in lines)

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self._asdict().items()}


class TextChange(NamedTuple):
    """A text that differs: a message to a model (with its `role`), the answer, or the error in place of an answer."""

    iteration: int
    agent: str
    attempt: int
    field: str
    role: str | None
    hunks: tuple[Hunk, ...]
    repeated: int = 0
    """In how many later texts exactly the same lines differ."""

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {
            "iteration": self.iteration,
            "agent": self.agent,
            "attempt": self.attempt,
            "field": self.field,
            "role": self.role,
            "hunks": [hunk.as_dict() for hunk in self.hunks],
            "repeated": self.repeated,
        }


class EventChange(NamedTuple):
    """An event that differs, or that one run alone has, without a `seq` in the other.

    `ordinal` numbers, from 0, the events of the same type and agent in the iteration.
    """

    iteration: int
    event_type: str
    agent: str | None
    ordinal: int
    old_seq: int | None
    new_seq: int | None
    fields: Truncated[Difference] = Truncated()

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {
            "iteration": self.iteration,
            "event_type": self.event_type,
            "agent": self.agent,
            "ordinal": self.ordinal,
            "old_seq": self.old_seq,
            "new_seq": self.new_seq,
            "fields": self.fields.as_dict(difference_dict),
        }


class FileChange(NamedTuple):
    """An output stream or an artifact that differs.

    Sizes are in bytes, None for a run without such a file. The `hunks` are those of two texts; if these are large,
    they are the beginning of the first hunk.
    """

    name: str
    old_size: int | None
    new_size: int | None
    is_text: bool = False
    is_large: bool = False
    hunks: Truncated[Hunk] = Truncated()

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {
            "name": self.name,
            "old_size": self.old_size,
            "new_size": self.new_size,
            "text": self.is_text,
            "large": self.is_large,
            "hunks": self.hunks.as_dict(Hunk.as_dict),
        }


class Latency(NamedTuple):
    """The total latency, in seconds, of the calls in which it differs."""

    calls: int = 0
    old_seconds: float = 0.0
    new_seconds: float = 0.0

    def plus(self, old: float, new: float) -> Latency:
        """Return the sum with one more call."""
        return Latency(self.calls + 1, self.old_seconds + old, self.new_seconds + new)

    def rounded(self) -> Latency:
        """Return the same in microseconds, without the noise of adding up floats."""
        return Latency(self.calls, round(self.old_seconds, 6), round(self.new_seconds, 6))

    def as_dict(self) -> Json:
        """Return the value as plain JSON types."""
        return {"calls": self.calls, "old_seconds": self.old_seconds, "new_seconds": self.new_seconds}


Range = tuple[int, int]
"""The first and the last of consecutive iterations."""


class LogDiff(NamedTuple):
    """The differences between two logs."""

    divergence: Divergence | None = None
    """Leaves out latencies, and what `experiment_start` repeats of a config that differs."""
    old_iterations: Truncated[Range] = Truncated()
    """Iterations that the old run alone has; their events are not listed. `count` is of ranges."""
    new_iterations: Truncated[Range] = Truncated()
    costs: Truncated[Series] = Truncated()
    """At the start of iterations: in total (agent None) and of each agent."""
    metrics: Truncated[Series] = Truncated()
    """Numeric fields of event types that are not built in."""
    parameters: Truncated[Series] = Truncated()
    """Parameters of the current policies at the end of iterations (0: before the first)."""
    policies: Truncated[PolicyChange] = Truncated()
    """The other differences between the current policies."""
    events: Truncated[EventChange] = Truncated()
    """Differences between events that no other field has."""
    latency: Latency = Latency()

    @property
    def has_differences(self) -> bool:
        """Whether anything differs."""
        return bool(
            self.divergence
            or self.old_iterations.count
            or self.new_iterations.count
            or self.costs.count
            or self.metrics.count
            or self.parameters.count
            or self.policies.count
            or self.events.count
            or self.latency.calls
        )


class ExchangeDiff(NamedTuple):
    """The differences between the exchanges of two runs with models."""

    texts: Truncated[TextChange] = Truncated()
    """`count` includes the repeated ones."""
    settings: Truncated[EventChange] = Truncated()
    """Whatever else differs in an exchange that both runs have: settings, and roles of messages."""
    old_only: int = 0
    """How many exchanges the old run alone has."""
    new_only: int = 0

    @property
    def has_differences(self) -> bool:
        """Whether anything differs."""
        return bool(self.texts.count or self.settings.count or self.old_only or self.new_only)


class FileDiff(NamedTuple):
    """The differences between the files of two runs."""

    outputs: Truncated[FileChange] = Truncated()
    """Of what commands wrote to stdout and stderr."""
    artifacts: Truncated[FileChange] = Truncated()
    names: tuple[str, ...] = ()
    """The names of all files that differ in any byte, without `run.json`; only known of two sealed runs."""

    @property
    def has_differences(self) -> bool:
        """Whether anything differs."""
        return bool(self.outputs.count or self.artifacts.count)


class DiffResult(NamedTuple):
    """Two runs and their differences, from `old` to `new`.

    Of each kind of difference, and of each series and event, at most `limit` are listed; all are counted.
    Exchanging the runs exchanges `old` and `new` and nothing else.
    """

    old: Side
    new: Side
    limit: int
    is_same_run: bool = False
    """Both are the same directory or have the same run id; neither log was read."""
    config: Truncated[Difference] = Truncated()
    log: LogDiff = LogDiff()
    exchanges: ExchangeDiff = ExchangeDiff()
    files: FileDiff = FileDiff()
    result: Truncated[Difference] = Truncated()
    """Of `status`, and of the fields of the last event under `result` or `failure`."""

    @property
    def events(self) -> Truncated[EventChange]:
        """The exchanges and events that differ in what is not listed under another kind."""
        first, second = self.exchanges.settings, self.log.events
        return Truncated((*first.items, *second.items)[: self.limit], first.count + second.count)

    @property
    def is_equal(self) -> bool:
        """Whether the runs are equal. Sealed runs with different run ids never are."""
        return self.is_same_run or not ((self.old.is_sealed and self.new.is_sealed) or self.has_differences)

    @property
    def has_differences(self) -> bool:
        """Whether any difference is listed or counted; sealed runs may differ in bytes alone."""
        parts = self.log, self.exchanges, self.files
        return bool(self.config.count or self.result.count) or any(part.has_differences for part in parts)

    def as_dict(self) -> Json:
        """Return the JSON form. Where a side of a difference has no value, its `old` or `new` is left out."""
        log, exchanges, files = self.log, self.exchanges, self.files
        return {
            "equal": self.is_equal,
            "limit": self.limit,
            "old": self.old.as_dict(),
            "new": self.new.as_dict(),
            "config": self.config.as_dict(difference_dict),
            "divergence": None if log.divergence is None else log.divergence.as_dict(),
            "only_in": {
                "old": {"iterations": log.old_iterations.as_dict(_range_dict), "exchanges": exchanges.old_only},
                "new": {"iterations": log.new_iterations.as_dict(_range_dict), "exchanges": exchanges.new_only},
            },
            "costs": log.costs.as_dict(Series.as_dict),
            "numbers": log.metrics.as_dict(Series.as_dict),
            "parameters": log.parameters.as_dict(Series.as_dict),
            "policies": log.policies.as_dict(PolicyChange.as_dict),
            "texts": exchanges.texts.as_dict(TextChange.as_dict),
            "events": self.events.as_dict(EventChange.as_dict),
            "outputs": files.outputs.as_dict(FileChange.as_dict),
            "artifacts": files.artifacts.as_dict(FileChange.as_dict),
            "result": self.result.as_dict(difference_dict),
            "latency": log.latency.as_dict(),
            "files": list(files.names),
        }


def are_numbers(old: Any, new: Any) -> bool:
    """Tell whether two values can be points of a curve; true and false cannot."""
    return type(old) in (int, float) and type(new) in (int, float)


def difference_dict(difference: Difference) -> Json:
    """Return the JSON form of a difference."""
    values = {"old": difference.old, "new": difference.new}
    return {"path": list(difference.path)} | {key: value for key, value in values.items() if value is not ABSENT}


def _point_dict(point: Point) -> Json:
    return {key: value for key, value in point._asdict().items() if value is not ABSENT}


def _range_dict(bounds: Range) -> Json:
    return {"first": bounds[0], "last": bounds[1]}
