"""What the comparison of two runs found, kind by kind, as plain values.

It holds no way of finding anything, and says nothing of how it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from exprec.recorder.diff.json_values import ABSENT, Difference
from exprec.recorder.errors import KeyPath

Item = TypeVar("Item")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listed(Generic[Item]):
    """The first differences of a kind, and how many there are in all."""

    items: tuple[Item, ...] = ()
    count: int = 0

    @property
    def more(self) -> int:
        """How many are counted only."""
        return self.count - len(self.items)

    def as_dict(self, item: Callable[[Item], Json]) -> Json:
        return {"count": self.count, "listed": [item(each) for each in self.items]}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs. `result` and `failure` are the fields of its last event (costs in cents)."""

    run_id: str
    short_id: str
    is_sealed: bool
    name: str
    type: str
    status: str
    result: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None

    @property
    def final_cost(self) -> int | None:
        """In cents; None where the run came to none."""
        return self._integer("final_cost")

    @property
    def iterations(self) -> int | None:
        """How many iterations the run says it had; None where it came to no end."""
        return self._integer("num_iterations")

    def _integer(self, key: str) -> int | None:
        value = (self.result or {}).get(key)
        return value if type(value) is int else None

    def as_dict(self) -> Json:
        return {
            "run_id": self.run_id,
            "short_id": self.short_id,
            "sealed": self.is_sealed,
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "result": self.result,
            "failure": self.failure,
        }


class Place(NamedTuple):
    """Where an event stands in one of the logs."""

    seq: int
    iteration: int
    event_type: str
    agent: str | None


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first events at which the logs part, in the order in which they were recorded.

    A log that ends there has none. Where both have the same kind of event, `difference` is the field
    that tells most.
    """

    old: Place | None
    new: Place | None
    difference: Difference | None = None

    def as_dict(self) -> Json:
        return {
            "old": None if self.old is None else self.old._asdict(),
            "new": None if self.new is None else self.new._asdict(),
            "difference": None if self.difference is None else difference_dict(self.difference),
        }


class Point(NamedTuple):
    """Two values of a series at one iteration (0: before the first), and the how-manieth of its kind there,
    from 0."""

    iteration: int
    ordinal: int
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Series:
    """A value that both runs have again and again: a cost, a parameter, a number of an event of any type.

    Its points are where it differs.
    """

    event_type: str
    agent: str | None
    path: KeyPath
    points: Listed[Point]

    def as_dict(self) -> Json:
        return {
            "event_type": self.event_type,
            "agent": self.agent,
            "path": list(self.path),
            "points": self.points.as_dict(_point_dict),
        }


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A difference of the policies in force at the end of these iterations (0: before the first)."""

    agent: str
    difference: Difference
    first: int
    last: int

    def as_dict(self) -> Json:
        place = {"agent": self.agent, "first_iteration": self.first, "last_iteration": self.last}
        return place | difference_dict(self.difference)


class Hunk(NamedTuple):
    """Lines of a text that differ, with the equal lines around them. Lines are numbered from 1."""

    old_line: int
    new_line: int
    before: tuple[str, ...]
    old: tuple[str, ...]
    new: tuple[str, ...]
    after: tuple[str, ...]

    def as_dict(self) -> Json:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self._asdict().items()}


@dataclass(frozen=True, slots=True)
class TextChange:
    """A text that differs: a message to a model (`role` is who says it), its answer, or the error instead of one."""

    iteration: int
    agent: str
    attempt: int
    field: str
    role: str | None
    hunks: tuple[Hunk, ...]
    repeated: int = 0
    """In how many later texts just the same lines differ."""

    def as_dict(self) -> Json:
        return {
            "iteration": self.iteration,
            "agent": self.agent,
            "attempt": self.attempt,
            "field": self.field,
            "role": self.role,
            "hunks": [hunk.as_dict() for hunk in self.hunks],
            "repeated": self.repeated,
        }


@dataclass(frozen=True, slots=True)
class EventChange:
    """An event that both runs have and that differs, or that one run has; its `seq` in the other is None.

    `ordinal` counts, from 0, the events of the same type and agent in the iteration.
    """

    iteration: int
    event_type: str
    agent: str | None
    ordinal: int
    old_seq: int | None
    new_seq: int | None
    fields: Listed[Difference] = Listed()

    def as_dict(self) -> Json:
        return {
            "iteration": self.iteration,
            "event_type": self.event_type,
            "agent": self.agent,
            "ordinal": self.ordinal,
            "old_seq": self.old_seq,
            "new_seq": self.new_seq,
            "fields": self.fields.as_dict(difference_dict),
        }


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that is not in exprec's own form, the output of a command or an artifact, and how it differs.

    A size, in bytes, is None where a run has no such file. The `hunks` are those of two texts; of large ones the
    beginning of the first alone.
    """

    name: str
    old_size: int | None
    new_size: int | None
    is_text: bool = False
    is_large: bool = False
    hunks: Listed[Hunk] = Listed()

    def as_dict(self) -> Json:
        return {
            "name": self.name,
            "old_size": self.old_size,
            "new_size": self.new_size,
            "text": self.is_text,
            "large": self.is_large,
            "hunks": self.hunks.as_dict(Hunk.as_dict),
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """How long models took, in seconds, in the calls whose latency differs."""

    calls: int = 0
    old_seconds: float = 0.0
    new_seconds: float = 0.0

    def as_dict(self) -> Json:
        return {"calls": self.calls, "old_seconds": self.old_seconds, "new_seconds": self.new_seconds}


Range = tuple[int, int]
"""The first and the last of consecutive iterations."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, and every kind of difference between them, `old` to `new`.

    Of each kind, and of each series and event, no more than `limit` differences are listed; all are counted.
    Swapping the runs swaps `old` and `new` and nothing else.
    """

    old: Side
    new: Side
    limit: int
    is_same_address: bool = False
    """Whether the address alone tells that the runs are equal; no log was read then."""
    config: Listed[Difference] = Listed()
    divergence: Divergence | None = None
    """Passes over what `experiment_start` repeats of the config, and over latencies."""
    old_iterations: Listed[Range] = Listed()
    """Iterations that only the old run has; nothing else is said of them. `count` is of ranges."""
    new_iterations: Listed[Range] = Listed()
    costs: Listed[Series] = Listed()
    """In cents: in all (the agent is None) and of each agent, at the start of iterations."""
    numbers: Listed[Series] = Listed()
    """Numbers of events of types that are not exprec's own."""
    parameters: Listed[Series] = Listed()
    """Of the policies in force at the end of iterations (0: before the first)."""
    policies: Listed[PolicyChange] = Listed()
    """Of the same policies, all but their parameters."""
    texts: Listed[TextChange] = Listed()
    """`count` is of all texts that differ, the repeated ones too."""
    old_exchanges: int = 0
    """How many exchanges with a model only the old run has."""
    new_exchanges: int = 0
    events: Listed[EventChange] = Listed()
    """What of events is in none of the other kinds."""
    outputs: Listed[FileChange] = Listed()
    """Of what commands wrote to stdout and stderr."""
    artifacts: Listed[FileChange] = Listed()
    """Of the files that the runs keep, by their names."""
    result: Listed[Difference] = Listed()
    """Of `status`, and of the fields of the last event under `result` or `failure`."""
    latency: Latency = Latency()
    files: tuple[str, ...] = ()
    """The files of two sealed runs whose bytes differ, beside `run.json`."""

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs. Sealed runs are never equal at two addresses."""
        return self.is_same_address or not ((self.old.is_sealed and self.new.is_sealed) or self.has_differences)

    @property
    def has_differences(self) -> bool:
        """Whether any difference was found; two addresses that differ in bytes alone have none."""
        listed = (
            self.config,
            self.old_iterations,
            self.new_iterations,
            self.costs,
            self.numbers,
            self.parameters,
            self.policies,
            self.texts,
            self.events,
            self.outputs,
            self.artifacts,
            self.result,
        )
        others = self.divergence, self.latency.calls, self.old_exchanges, self.new_exchanges
        return any(each.count for each in listed) or any(others)

    def as_dict(self) -> Json:
        """The comparison for programs. Where a side has no value at a place, `old` or `new` is left out there."""
        return {
            "equal": self.is_equal,
            "limit": self.limit,
            "old": self.old.as_dict(),
            "new": self.new.as_dict(),
            "config": self.config.as_dict(difference_dict),
            "divergence": None if self.divergence is None else self.divergence.as_dict(),
            "only_in": {
                "old": {"iterations": _ranges(self.old_iterations), "exchanges": self.old_exchanges},
                "new": {"iterations": _ranges(self.new_iterations), "exchanges": self.new_exchanges},
            },
            "costs": self.costs.as_dict(Series.as_dict),
            "numbers": self.numbers.as_dict(Series.as_dict),
            "parameters": self.parameters.as_dict(Series.as_dict),
            "policies": self.policies.as_dict(PolicyChange.as_dict),
            "texts": self.texts.as_dict(TextChange.as_dict),
            "events": self.events.as_dict(EventChange.as_dict),
            "outputs": self.outputs.as_dict(FileChange.as_dict),
            "artifacts": self.artifacts.as_dict(FileChange.as_dict),
            "result": self.result.as_dict(difference_dict),
            "latency": self.latency.as_dict(),
            "files": list(self.files),
        }


def difference_dict(difference: Difference) -> Json:
    """A difference for programs."""
    values = {"old": difference.old, "new": difference.new}
    return {"path": list(difference.path)} | {key: value for key, value in values.items() if value is not ABSENT}


def _point_dict(point: Point) -> Json:
    return {key: value for key, value in point._asdict().items() if value is not ABSENT}


def _ranges(ranges: Listed[Range]) -> Json:
    return ranges.as_dict(lambda each: {"first": each[0], "last": each[1]})
