"""The logs of two runs to what differs between them, kind by kind, in one pass over both.

Which events belong together is told in `pairing`; how differences look, in the display.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from exprec.recorder import events
from exprec.recorder.diff.align import Parting, Stretch
from exprec.recorder.diff.collector import Kept, weight
from exprec.recorder.diff.json_values import ABSENT, Difference, differences, most_telling_first
from exprec.recorder.diff.policies import PolicyChanges, parameter_of, policy_differences
from exprec.recorder.diff.result import Divergence, EventChange, Latency, Place, Point
from exprec.recorder.diff.series import Ranges, SeriesTable, is_number
from exprec.recorder.diff.unmatched import OUTSIDE, Pair, Record
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json

COSTS = "costs"
"""Stands for the type of event of series of costs."""
POLICIES = "policies"
"""Stands for the type of event of series of parameters."""

_TOTAL = ("total_cost",)
_PER_AGENT = "costs_per_agent"
_LATENCY = "latency_seconds"
_IN_FORCE, _BEFORE, _PROPOSED = "policies", "old_policy", "new_policy"
_ENDS = (events.EXPERIMENT_END, events.RUN_END, events.EXPERIMENT_FAILED)
_IGNORED = ("seq",)
_IGNORED_IN_CALLS = ("seq", "exchange")
_MOST_HELD = 64


@dataclass(slots=True)
class _Held:
    """An event that differs, held back to the end of its iteration, and how its proposal does."""

    change: EventChange
    fields: list[Difference]
    agent: str = ""
    proposal: list[Difference] = field(default_factory=list)


class LogComparison:
    """What two logs differ in, once `run` has read them."""

    def __init__(self, limit: int, *, has_other_config: bool) -> None:
        """Keep `limit` differences of a kind. With another config, `experiment_start` repeats what differs there."""
        self._limit = limit
        self._has_other_config = has_other_config
        self.divergence: Divergence | None = None
        self.costs = SeriesTable(limit)
        self.numbers = SeriesTable(limit)
        self.parameters = SeriesTable(limit)
        self.policies = PolicyChanges(limit)
        self.events: Kept[EventChange] = Kept(limit)
        self.iterations = (Ranges(limit), Ranges(limit))
        """The iterations that only the one and only the other has."""
        self.ends: tuple[dict[str, Event], dict[str, Event]] = ({}, {})
        """The last events of both, by their type."""
        self._has_parted = False
        self._latency: list[float] = [0, 0, 0]
        self._iteration = OUTSIDE
        self._cost_differences: set[str] = set()
        self._held: list[_Held] = []
        self._in_force: Mapping[str, list[Difference]] | None = None

    def run(self, pairs: Iterable[Pair | Parting | Stretch]) -> None:
        """Take all that both logs have, to their ends. Raises what reading them raises."""
        for found in pairs:
            if isinstance(found, Pair):
                self._take(found)
            elif isinstance(found, Stretch):
                self._pass_over(found)
            else:
                self._part(found)
        self._release({})

    @property
    def latency(self) -> Latency:
        calls, old, new = self._latency
        return Latency(int(calls), round(old, 6), round(new, 6))

    def _pass_over(self, stretch: Stretch) -> None:
        """Be where taking each of these, which are equal in both logs, would have led."""
        types = {key[0] for key in stretch.keys}
        if not types.isdisjoint(_ENDS):
            for key, line in zip(stretch.keys, stretch.lines, strict=True):
                for ends in self.ends if key[0] in _ENDS else ():
                    ends[str(key[0])] = canonical_json.decode(line)
        others = set(stretch.iterations) - {OUTSIDE, self._iteration}
        if others:
            self._release({})
            self._iteration = next(number for number in reversed(stretch.iterations) if number != OUTSIDE)
            self._cost_differences.clear()
        if events.ITERATION_END in types:
            self._release({})
            self._in_force = {}

    def _part(self, parting: Parting) -> None:
        if not self._has_parted:
            self._diverge(parting.old, parting.new)

    def _diverge(self, old: Record | None, new: Record | None, difference: Difference | None = None) -> None:
        self._has_parted = True
        self.divergence = Divergence(_place(old), _place(new), difference)

    def _take(self, pair: Pair) -> None:
        old, new, ordinal, is_alone = pair
        record = old or new
        assert record is not None
        kind = str(record.key[0])
        if record.iteration not in (OUTSIDE, self._iteration):
            self._release({})
            self._iteration = record.iteration
            self._cost_differences.clear()
        if kind in _ENDS:
            for ends, end in zip(self.ends, (old, new), strict=True):
                ends.update({} if end is None else {kind: end.value})
        if old is not None and new is not None:
            if not _are_equal(old, new):
                self._compare(old, new, ordinal)
            elif kind == events.ITERATION_END:
                self._release({})
                self._in_force = {}
        elif is_alone and record.iteration != OUTSIDE:
            self.iterations[0 if new is None else 1].add(record.iteration)
        elif kind not in _ENDS or ordinal:
            # The result tells of one end; a second one, which no sound log has, is an event like any.
            self._add_event(_change(old, new, ordinal), [])

    def _compare(self, old: Record, new: Record, ordinal: int) -> None:
        kind = str(old.key[0])
        if kind == events.EXPERIMENT_START and self._has_other_config:
            return
        found = differences(_compared(old), _compared(new))
        if kind == events.LLM_CALL:
            found = [each for each in found if not self._add_latency(each)]
        if found and not self._has_parted:
            self._diverge(old, new, most_telling_first(found)[0])
        if kind == events.ITERATION_START:
            found = [each for each in found if not self._add_cost(old.iteration, ordinal, each)]
        elif kind == events.ITERATION_END:
            found = self._policies_in_force(old, new, self._without_costs(found))
        elif kind not in events.OWN_TYPES:
            found = [each for each in found if not self._add_number(old, ordinal, each)]
        if kind == events.POLICY_CHANGE:
            self._hold_proposal(old, new, ordinal, found)
        elif found and (kind not in _ENDS or ordinal):
            self._add_event(_change(old, new, ordinal), found)

    def _add_latency(self, difference: Difference) -> bool:
        path, old, new = difference
        if path != (_LATENCY,) or not _are_numbers(old, new):
            return False
        self._latency = [total + more for total, more in zip(self._latency, (1, old, new), strict=True)]
        return True

    def _add_cost(self, iteration: int, ordinal: int, difference: Difference) -> bool:
        """Whether the difference is one of costs."""
        path, old, new = difference
        is_of_agent = len(path) == 2 and path[0] == _PER_AGENT
        if not (is_of_agent or path == _TOTAL) or not _are_numbers(old, new):
            return False
        agent = str(path[1]) if is_of_agent else None
        is_added = self.costs.add(COSTS, agent, path[:1], Point(iteration, ordinal, old, new))
        if is_added and is_of_agent:
            self._cost_differences.add(repr(difference))
        return is_added

    def _without_costs(self, found: list[Difference]) -> list[Difference]:
        """An iteration ends with the costs with which it began: what was noted of them then is no news."""
        return [each for each in found if repr(each) not in self._cost_differences]

    def _add_number(self, record: Record, ordinal: int, difference: Difference) -> bool:
        path, old, new = difference
        # The items of a list are no curve: what stands at a place may be of something else.
        if not all(type(part) is str for part in path) or not _are_numbers(old, new):
            return False
        return self.numbers.add(*_name(record), path, Point(record.iteration, ordinal, old, new))

    def _policies_in_force(self, old: Record, new: Record, found: list[Difference]) -> list[Difference]:
        """Note the differences of the policies at the end of an iteration; returns the others."""
        before, after = old.value.get(_IN_FORCE), new.value.get(_IN_FORCE)
        if not isinstance(before, dict) or not isinstance(after, dict):
            self._release({})
            return found
        in_force = {
            agent: policy_differences(before.get(agent, ABSENT), after.get(agent, ABSENT))
            for agent in sorted(before.keys() | after.keys())
        }
        self._release(in_force)
        self._in_force = in_force
        for agent, changes in in_force.items():
            self._add_policies(old.iteration, agent, changes)
        return [each for each in found if each.path[0] != _IN_FORCE]

    def _add_policies(self, iteration: int, agent: str, changes: list[Difference]) -> None:
        for change in changes:
            parameter = parameter_of(change)
            point = Point(iteration, 0, change.old, change.new)
            if parameter is None or not self.parameters.add(POLICIES, agent, (parameter,), point):
                self.policies.add(iteration, agent, change)

    def _hold_proposal(self, old: Record, new: Record, ordinal: int, found: list[Difference]) -> None:
        """Hold a decision back until it is known whether the proposals are the policies in force afterwards."""
        agent = _name(old)[1] or ""
        before = _policy_field(old, new, _BEFORE)
        others = [each for each in found if each.path[0] not in (_BEFORE, _PROPOSED)]
        if self._in_force is None and not ordinal:
            self._add_policies(old.iteration - 1, agent, before)
        elif repr(before) != repr((self._in_force or {}).get(agent, [])):
            others += _within(_BEFORE, before)
        self._hold(_Held(_change(old, new, ordinal), others, agent, _policy_field(old, new, _PROPOSED)))

    def _add_event(self, change: EventChange, found: list[Difference]) -> None:
        """Note an event that differs, behind those that are held back."""
        if self._held:
            self._hold(_Held(change, found))
        else:
            self._keep(change, found)

    def _hold(self, held: _Held) -> None:
        self._held.append(held)
        if len(self._held) > _MOST_HELD:
            self._release({})

    def _release(self, in_force: Mapping[str, list[Difference]]) -> None:
        """Note the events held back, without the proposals that differ like the policies in force."""
        for held in self._held:
            is_in_force = repr(held.proposal) == repr(in_force.get(held.agent, []))
            found = held.fields + ([] if is_in_force else _within(_PROPOSED, held.proposal))
            if found or None in (held.change.old_seq, held.change.new_seq):
                self._keep(held.change, found)
        self._held.clear()

    def _keep(self, change: EventChange, found: list[Difference]) -> None:
        if self.events.is_full:
            self.events.count += 1
            return
        fields: Kept[Difference] = Kept(self._limit)
        for each in most_telling_first(found):
            fields.add(each, weight(each))
        self.events.add(replace(change, fields=fields.listed()), sum(map(weight, fields.items)))


def _are_equal(old: Record, new: Record) -> bool:
    """Whether two lines have the same text apart from `seq`. If not, the events may still be equal."""
    if old.line == new.line:
        return True
    if old.position == new.position:
        return False
    return _around_seq(old) == _around_seq(new)


def _around_seq(record: Record) -> tuple[bytes, bytes]:
    # An equal beginning and an equal end mean that what was cut out was the same field of both.
    before, _, after = record.line.partition(b'"seq":%d' % record.position)
    return before, after


def _compared(record: Record) -> Event:
    """What of an event can differ: not its position, nor that of its exchange, which all before it shift."""
    ignored = _IGNORED_IN_CALLS if record.key[0] == events.LLM_CALL else _IGNORED
    return {key: value for key, value in record.value.items() if key not in ignored}


def _policy_field(old: Record, new: Record, field: str) -> list[Difference]:
    return policy_differences(old.value.get(field, ABSENT), new.value.get(field, ABSENT))


def _within(field: str, found: list[Difference]) -> list[Difference]:
    return [Difference((field, *path), old, new) for path, old, new in found]


def _name(record: Record) -> tuple[str, str | None]:
    kind, agent = record.key
    return str(kind), None if agent is None else str(agent)


def _place(record: Record | None) -> Place | None:
    return None if record is None else Place(record.position, record.iteration, *_name(record))


def _change(old: Record | None, new: Record | None, ordinal: int) -> EventChange:
    record = old or new
    assert record is not None
    old_seq, new_seq = (None if side is None else side.position for side in (old, new))
    return EventChange(record.iteration, *_name(record), ordinal, old_seq, new_seq)


def _are_numbers(old: Any, new: Any) -> bool:
    return is_number(old) and is_number(new)
