"""The differences between two logs, found in one pass over their alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from exprec.recorder.diff.align import (
    NEW,
    NO_ITERATION,
    OLD,
    Aligned,
    EqualRun,
    FirstDivergence,
    Pair,
    Record,
    Unmatched,
    align,
)
from exprec.recorder.diff.collector import Collector, RangeCollector, SeriesCollector, collect_differences
from exprec.recorder.diff.json_values import ABSENT, Difference, differences, most_telling_first
from exprec.recorder.diff.log_streams import LogStreams
from exprec.recorder.diff.policies import PolicyChangeCollector, parameter_name, policy_differences
from exprec.recorder.diff.result import (
    Divergence,
    EventChange,
    EventPosition,
    Latency,
    LogDiff,
    Point,
    Truncated,
    are_numbers,
)
from exprec.recorder.events import EVENT_SPECS, TERMINAL_TYPES, Event, optimization
from exprec.recorder.format import canonical_json
from exprec.recorder.store import RunDirectory

COSTS = "costs"
"""The event type that series of costs are listed under."""
POLICIES = "policies"
"""The event type that series of policy parameters are listed under."""

_TOTAL = ("total_cost",)
_PER_AGENT = "costs_per_agent"
_CURRENT, _BEFORE, _PROPOSED = "policies", "old_policy", "new_policy"
_MAX_PENDING = 64

PolicyDifferences = Mapping[str, Sequence[Difference]]
"""The differences between two sets of policies, by agent."""


class ComparedLogs(NamedTuple):
    """The differences between two logs, and the last event of each end type in either."""

    diff: LogDiff
    ends: tuple[Mapping[str, Event], Mapping[str, Event]]


def compare_logs(old: RunDirectory, new: RunDirectory, limit: int, *, has_other_config: bool) -> ComparedLogs:
    """Return the differences between the logs of two runs, at most `limit` of each kind.

    With `has_other_config`, `experiment_start` is left out: it repeats the differences between the configs.
    Raises Damaged, naming file and line, and StorageFailure.
    """
    comparison = _LogComparison(limit, has_other_config=has_other_config)
    for aligned in align(LogStreams(old, new)):
        comparison.add(aligned)
    return comparison.finish()


class _PendingEvent(NamedTuple):
    """An event that differs, and the differences between the proposals in it."""

    change: EventChange
    fields: Sequence[Difference]
    agent: str = ""
    proposal: Sequence[Difference] = ()


class _EventCollector:
    """The events that differ, in the order of the alignment.

    A proposal becomes the current policy or not. So that the same differences are not listed twice, a policy change
    is pending until the differences between the current policies at the end of its iteration are known, and so is
    every event after it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._collector: Collector[EventChange] = Collector(limit)
        self._pending: list[_PendingEvent] = []

    def add(self, change: EventChange, fields: Sequence[Difference] = ()) -> None:
        if self._pending:
            self._add_pending(_PendingEvent(change, fields))
        else:
            self._collect(change, fields)

    def add_policy_change(
        self, change: EventChange, fields: Sequence[Difference], agent: str, proposal: Sequence[Difference]
    ) -> None:
        self._add_pending(_PendingEvent(change, fields, agent, proposal))

    def end_iteration(self, current: PolicyDifferences) -> None:
        """Collect the pending events, without the proposals that differ as the current policies do."""
        for pending in self._pending:
            is_listed = repr(pending.proposal) == repr(current.get(pending.agent, []))
            fields = [*pending.fields, *([] if is_listed else _within(_PROPOSED, pending.proposal))]
            if fields or None in (pending.change.old_seq, pending.change.new_seq):
                self._collect(pending.change, fields)
        self._pending.clear()

    def truncated(self) -> Truncated[EventChange]:
        return self._collector.truncated()

    def _add_pending(self, pending: _PendingEvent) -> None:
        self._pending.append(pending)
        if len(self._pending) > _MAX_PENDING:
            self.end_iteration({})

    def _collect(self, change: EventChange, fields: Sequence[Difference]) -> None:
        if self._collector.is_full:
            self._collector.skip()
            return
        collected = collect_differences(most_telling_first(fields), self._limit)
        self._collector.add(change._replace(fields=collected.truncated()), collected.size)


class _LogComparison:
    """The state of `compare_logs`."""

    def __init__(self, limit: int, *, has_other_config: bool) -> None:
        self._has_other_config = has_other_config
        self._divergence: Divergence | None = None
        self._is_diverged = False
        self._costs = SeriesCollector(limit)
        self._metrics = SeriesCollector(limit)
        self._parameters = SeriesCollector(limit)
        self._policies = PolicyChangeCollector(limit)
        self._events = _EventCollector(limit)
        self._iterations = RangeCollector(limit), RangeCollector(limit)
        self._ends: tuple[dict[str, Event], dict[str, Event]] = ({}, {})
        self._latency = Latency(0, 0, 0)
        """Begins with integers: the sum of integers is written as one."""
        self._iteration = NO_ITERATION
        self._cost_differences: set[str] = set()
        """Those of the present iteration that are in the series of costs."""
        self._current: PolicyDifferences | None = None
        """At the end of the last iteration; None before the first, when they are not known."""

    def add(self, aligned: Aligned) -> None:
        if isinstance(aligned, Pair):
            self._add_pair(*aligned)
        elif isinstance(aligned, EqualRun):
            self._skip(aligned)
        elif isinstance(aligned, Unmatched):
            self._add_unmatched(aligned)
        else:
            self._add_divergence(aligned)

    def finish(self) -> ComparedLogs:
        self._events.end_iteration({})
        diff = LogDiff(
            self._divergence,
            self._iterations[OLD].truncated(),
            self._iterations[NEW].truncated(),
            self._costs.truncated(),
            self._metrics.truncated(),
            self._parameters.truncated(),
            self._policies.truncated(),
            self._events.truncated(),
            self._latency.rounded(),
        )
        return ComparedLogs(diff, self._ends)

    def _skip(self, run: EqualRun) -> None:
        """Have the same effect as `_add_pair` for each pair of equal events."""
        types = {key[0] for key in run.keys}
        if not types.isdisjoint(TERMINAL_TYPES):
            for key, line in zip(run.keys, run.lines, strict=True):
                for ends in self._ends if key[0] in TERMINAL_TYPES else ():
                    ends[str(key[0])] = canonical_json.decode(line)
        if set(run.iterations) - {NO_ITERATION, self._iteration}:
            self._begin_iteration(next(number for number in reversed(run.iterations) if number != NO_ITERATION))
        if optimization.ITERATION_END.event_type in types:
            self._end_iteration({})

    def _add_divergence(self, first: FirstDivergence) -> None:
        # A difference between the fields of an earlier pair may have come before it.
        if not self._is_diverged:
            self._diverge(first.old, first.new)

    def _diverge(self, old: Record | None, new: Record | None, difference: Difference | None = None) -> None:
        self._is_diverged = True
        self._divergence = Divergence(_position(old), _position(new), difference)

    def _enter(self, record: Record) -> None:
        if record.iteration not in (NO_ITERATION, self._iteration):
            self._begin_iteration(record.iteration)

    def _begin_iteration(self, number: int) -> None:
        self._events.end_iteration({})
        self._iteration = number
        self._cost_differences.clear()

    def _end_iteration(self, current: PolicyDifferences) -> None:
        self._events.end_iteration(current)
        self._current = current

    def _add_unmatched(self, unmatched: Unmatched) -> None:
        side, record, ordinal, lacks_iteration = unmatched
        event_type = str(record.key[0])
        self._enter(record)
        if event_type in TERMINAL_TYPES:
            self._ends[side][event_type] = record.value
        if lacks_iteration and record.iteration != NO_ITERATION:
            self._iterations[side].add(record.iteration)
        elif event_type not in TERMINAL_TYPES or ordinal:
            # The first end is part of the result; a second one, which no valid log has, is an event like any other.
            self._events.add(_changed(record, None, ordinal) if side == OLD else _changed(None, record, ordinal))

    def _add_pair(self, old: Record, new: Record, ordinal: int) -> None:
        event_type = str(old.key[0])
        self._enter(old)
        if event_type in TERMINAL_TYPES:
            self._ends[OLD][event_type], self._ends[NEW][event_type] = old.value, new.value
        if not _are_equal(old, new):
            self._compare(event_type, old, new, ordinal)
        elif event_type == optimization.ITERATION_END.event_type:
            self._end_iteration({})

    def _compare(self, event_type: str, old: Record, new: Record, ordinal: int) -> None:
        if event_type == optimization.EXPERIMENT_START.event_type and self._has_other_config:
            return
        found = differences(_comparable(old), _comparable(new))
        spec = EVENT_SPECS.get(event_type)
        if spec is not None and spec.measured_fields:
            found = [each for each in found if not self._add_latency(each, spec.measured_fields)]
        if found and not self._is_diverged:
            self._diverge(old, new, most_telling_first(found)[0])
        if event_type == optimization.ITERATION_START.event_type:
            found = [each for each in found if not self._add_cost(old.iteration, ordinal, each)]
        elif event_type == optimization.ITERATION_END.event_type:
            found = self._compare_current_policies(old, new, self._without_costs(found))
        elif spec is None:
            found = [each for each in found if not self._add_metric(old, ordinal, each)]
        if event_type == optimization.POLICY_CHANGE.event_type:
            self._compare_proposals(old, new, ordinal, found)
        elif found and (event_type not in TERMINAL_TYPES or ordinal):
            self._events.add(_changed(old, new, ordinal), found)

    # The `_add_...` methods below return whether the difference is listed in their series, or summed up.

    def _add_latency(self, difference: Difference, measured: frozenset[str]) -> bool:
        path, old, new = difference
        if len(path) != 1 or path[0] not in measured or not are_numbers(old, new):
            return False
        self._latency = self._latency.plus(old, new)
        return True

    def _add_cost(self, iteration: int, ordinal: int, difference: Difference) -> bool:
        path, old, new = difference
        is_of_agent = len(path) == 2 and path[0] == _PER_AGENT
        if not (is_of_agent or path == _TOTAL) or not are_numbers(old, new):
            return False
        agent = str(path[1]) if is_of_agent else None
        is_added = self._costs.add(COSTS, agent, path[:1], Point(iteration, ordinal, old, new))
        if is_added and is_of_agent:
            self._cost_differences.add(repr(difference))
        return is_added

    def _add_metric(self, record: Record, ordinal: int, difference: Difference) -> bool:
        path, old, new = difference
        # The items of a list are not a series: the same index may be another thing in the next event.
        if not all(type(step) is str for step in path) or not are_numbers(old, new):
            return False
        return self._metrics.add(*_type_and_agent(record), path, Point(record.iteration, ordinal, old, new))

    def _without_costs(self, found: list[Difference]) -> list[Difference]:
        """Leave out what differs in the same way at the start of the iteration."""
        return [each for each in found if repr(each) not in self._cost_differences]

    def _compare_current_policies(self, old: Record, new: Record, found: list[Difference]) -> list[Difference]:
        """Take the differences between the policies at the end of an iteration; return the others."""
        before, after = old.value.get(_CURRENT), new.value.get(_CURRENT)
        if not isinstance(before, dict) or not isinstance(after, dict):
            self._events.end_iteration({})
            return found
        current = {
            agent: policy_differences(before.get(agent, ABSENT), after.get(agent, ABSENT))
            for agent in sorted(before.keys() | after.keys())
        }
        self._end_iteration(current)
        for agent, changes in current.items():
            self._add_policies(old.iteration, agent, changes)
        return [each for each in found if each.path[0] != _CURRENT]

    def _add_policies(self, iteration: int, agent: str, changes: Sequence[Difference]) -> None:
        for change in changes:
            parameter = parameter_name(change)
            point = Point(iteration, 0, change.old, change.new)
            if parameter is None or not self._parameters.add(POLICIES, agent, (parameter,), point):
                self._policies.add(iteration, agent, change)

    def _compare_proposals(self, old: Record, new: Record, ordinal: int, found: list[Difference]) -> None:
        agent = _type_and_agent(old)[1] or ""
        before = _policy_differences_in(_BEFORE, old, new)
        fields = [each for each in found if each.path[0] not in (_BEFORE, _PROPOSED)]
        if self._current is None and not ordinal:
            # Only here are the policies before the first iteration.
            self._add_policies(old.iteration - 1, agent, before)
        elif repr(before) != repr((self._current or {}).get(agent, [])):
            fields += _within(_BEFORE, before)
        proposal = _policy_differences_in(_PROPOSED, old, new)
        self._events.add_policy_change(_changed(old, new, ordinal), fields, agent, proposal)


def _are_equal(old: Record, new: Record) -> bool:
    """Tell whether two lines are the same text apart from `seq`; if not, the events may still be equal."""
    if old.line == new.line:
        return True
    if old.position == new.position:
        return False
    return _around_seq(old) == _around_seq(new)


def _around_seq(record: Record) -> tuple[bytes, bytes]:
    # If both the beginnings and the ends are equal, the same field was cut out of both.
    before, _, after = record.line.partition(b'"seq":%d' % record.position)
    return before, after


def _comparable(record: Record) -> Event:
    """Return the event without its position and that of its exchange, which any earlier event shifts."""
    spec = EVENT_SPECS.get(str(record.key[0]))
    ignored = ("seq",) if spec is None else ("seq", spec.exchange_field)
    return {key: value for key, value in record.value.items() if key not in ignored}


def _policy_differences_in(field: str, old: Record, new: Record) -> list[Difference]:
    return policy_differences(old.value.get(field, ABSENT), new.value.get(field, ABSENT))


def _within(field: str, found: Sequence[Difference]) -> list[Difference]:
    return [Difference((field, *path), old, new) for path, old, new in found]


def _type_and_agent(record: Record) -> tuple[str, str | None]:
    event_type, agent = record.key
    return str(event_type), None if agent is None else str(agent)


def _position(record: Record | None) -> EventPosition | None:
    return None if record is None else EventPosition(record.position, record.iteration, *_type_and_agent(record))


def _changed(old: Record | None, new: Record | None, ordinal: int) -> EventChange:
    record = old or new
    assert record is not None
    old_seq, new_seq = (None if each is None else each.position for each in (old, new))
    return EventChange(record.iteration, *_type_and_agent(record), ordinal, old_seq, new_seq)
