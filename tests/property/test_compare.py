"""Properties of the comparison of any two logs."""

from __future__ import annotations

import copy
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exprec.recorder.diff.align import NEW, OLD, Pair, Record, RecordStreams, Unmatched, align
from exprec.recorder.diff.result import DiffResult
from exprec.recorder.diff.text import text_hunks
from exprec.recorder.format import canonical_json
from tests.fixtures.diffs import Json, Recorded, asked, compared, event, kinds, mirrored, policy

# A deadline would measure the disk.
_settings = settings(max_examples=80, deadline=None)

_numbers = st.sampled_from([0, 1, 1.0, 2, -3, 0.5, True, None, "1", "a b"])
_agents = st.sampled_from(["A", "B"])
_costs = st.dictionaries(_agents, st.sampled_from([100, 200, 200.0, "none"]), max_size=2)
_policies = st.builds(policy, st.sampled_from([0.25, 0.5]))


def _fields(kind: str) -> st.SearchStrategy[Json]:
    shapes: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "iteration_start": {"total_cost": _numbers, "costs_per_agent": _costs},
        "llm_call": {"agent_id": _agents, "latency_seconds": _numbers, "exchange": _numbers, "outcome": _numbers},
        "policy_change": {
            "agent_id": _agents,
            "old_policy": _policies,
            "new_policy": _policies,
            "accepted": st.booleans(),
        },
        "iteration_end": {
            "costs_per_agent": _costs,
            "policies": st.one_of(st.none(), st.dictionaries(_agents, _policies, max_size=2)),
        },
        "epoch": {"loss": _numbers, "nested": st.lists(_numbers, max_size=2)},
        "experiment_end": {"final_cost": _numbers},
    }
    return st.fixed_dictionaries(shapes[kind]).map(lambda fields: {"event_type": kind, **fields})


_INSIDE = ("iteration_start", "llm_call", "policy_change", "iteration_end", "epoch")
_inside = st.sampled_from(_INSIDE).flatmap(_fields)
_outside = st.sampled_from(["epoch", "experiment_end"]).flatmap(_fields)


@st.composite
def _logs(draw: st.DrawFn) -> list[Json]:
    """Events in iterations that never decrease, and some outside of iterations."""
    events = []
    for number in sorted(draw(st.lists(st.integers(1, 3), max_size=8))):
        events.append({**draw(_inside), "iteration": number})
        if draw(st.booleans()) and draw(st.booleans()):
            events.append({**draw(_outside), "iteration": 0})
    return events


_answers = st.sampled_from(["a", "a\nb", "b\na\nc", ""])
_exchanges = st.lists(st.builds(asked, st.integers(1, 3), _agents, _answers), max_size=4).map(
    lambda each: sorted(each, key=lambda exchange: int(exchange["iteration"]))
)
_configs = st.sampled_from([{"name": "x"}, {"name": "x", "seed": 1}, {"name": "x", "seed": 1.0}])
_runs = st.builds(Recorded, _configs, _logs(), _exchanges)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[Recorded, Recorded]:
    """Two unrelated runs, or two of which one is an edit of the other."""
    old = draw(_runs)
    if draw(st.booleans()):
        return old, draw(_runs)
    new = copy.deepcopy(old)
    for place in draw(st.lists(st.integers(0, max(len(new.events) - 1, 0)), max_size=2)):
        if place < len(new.events):
            removed = new.events.pop(place)
            added = {**draw(_inside), "iteration": removed["iteration"]}
            other = draw(_fields(removed["event_type"]))
            key = draw(st.sampled_from(sorted(other)))
            changed = {**removed, key: other[key]}
            choices = [[changed], [changed], [], [added], [added, removed], [removed, added]]
            new.events[place:place] = draw(st.sampled_from(choices))
    return old, new


def _both(old: Recorded, new: Recorded, limit: int) -> tuple[DiffResult, DiffResult]:
    with tempfile.TemporaryDirectory() as folder:
        forth = compared(Path(folder) / "forth", old, new, limit)
        return forth, compared(Path(folder) / "back", new, old, limit)


@_settings
@given(_pairs(), st.sampled_from([1, 3, 100]))
def test_exchanging_the_runs_only_exchanges_old_and_new(pair: tuple[Recorded, Recorded], limit: int) -> None:
    old, new = pair
    forth, back = (each.as_dict() for each in _both(old, new, limit))
    for side in ("old", "new"):
        # The folders have other names.
        for key in ("run_id", "short_id"):
            forth[side].pop(key)
            back[side].pop(key)
    assert canonical_json.encode(mirrored(forth)) == canonical_json.encode(back)


@_settings
@given(_pairs())
def test_runs_are_equal_if_and_only_if_their_content_is(pair: tuple[Recorded, Recorded]) -> None:
    old, new = pair
    comparison, _ = _both(old, new, 100)
    is_equal = all(_text(left) == _text(right) for left, right in zip(_content(old), _content(new), strict=True))
    assert comparison.is_equal == is_equal or _differs_in_order_only(old, new)
    # Whatever makes the logs part is reported as a difference of some kind too.
    is_told_elsewhere = _differs_in_order_only(old, new) or _ends_twice(old) or _ends_twice(new)
    assert bool(kinds(comparison)) != is_equal or is_told_elsewhere
    assert comparison.is_equal == (not kinds(comparison) and comparison.log.divergence is None)


def _content(run: Recorded) -> tuple[Any, ...]:
    return run.config, [{**each, "exchange": 0} for each in run.events], run.exchanges


def _text(value: Any) -> bytes:
    return canonical_json.encode(value)


def _ends_twice(run: Recorded) -> bool:
    """The result is that of the last end; what an earlier one says, which no sound log has, is told as divergence."""
    return [each["event_type"] for each in run.events].count("experiment_end") > 1


def _differs_in_order_only(old: Recorded, new: Recorded) -> bool:
    """Events of different keys in another order are told by the divergence; exchanges are compared in no order."""
    sides = [[Counter(map(_text, part)) for part in _content(run)[1:]] for run in (old, new)]
    return _text(old.config) == _text(new.config) and sides[0] == sides[1]


_records = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xyz")), max_size=12)


@_settings
@given(_records, _records)
def test_every_record_is_aligned_once(old: list[tuple[int, str]], new: list[tuple[int, str]]) -> None:
    streams = [
        [Record(number, (key,), position, {}, 1) for position, (number, key) in enumerate(sorted(side, key=_last))]
        for side in (old, new)
    ]
    aligned = list(align(RecordStreams(*streams)))
    pairs = [each for each in aligned if isinstance(each, Pair)]
    for side, stream in ((OLD, streams[0]), (NEW, streams[1])):
        found = [(pair.old, pair.new)[side].position for pair in pairs]
        found += [each.record.position for each in aligned if isinstance(each, Unmatched) and each.side == side]
        assert sorted(found) == list(range(len(stream)))
    counts = [Counter((record.iteration, record.key) for record in stream) for stream in streams]
    met = Counter((pair.old.iteration, pair.old.key) for pair in pairs)
    assert met == counts[0] & counts[1]


def _last(record: tuple[int, str]) -> int:
    """Return the sort key of an iteration; records outside of iterations come last."""
    return record[0] or 9


_texts = st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=6).map("\n".join))


@_settings
@given(_texts, _texts)
def test_hunks_turn_one_text_into_the_other(old: str | None, new: str | None) -> None:
    lines = [] if old is None else old.split("\n")
    shift = 0
    for hunk in text_hunks(old, new):
        start = hunk.old_line - 1 + shift
        assert tuple(lines[start : start + len(hunk.old)]) == hunk.old
        assert start == hunk.new_line - 1
        lines[start : start + len(hunk.old)] = hunk.new
        shift += len(hunk.new) - len(hunk.old)
    assert lines == ([] if new is None else new.split("\n"))
    swapped = [
        (hunk.new_line, hunk.old_line, hunk.before, hunk.new, hunk.old, hunk.after) for hunk in text_hunks(new, old)
    ]
    assert swapped == [tuple(hunk) for hunk in text_hunks(old, new)]


def test_the_helper_for_mirrors_exchanges_keys_at_every_depth() -> None:
    assert mirrored({"old_seq": [{"new": event("x", 1)}]}) == {"new_seq": [{"old": event("x", 1)}]}
