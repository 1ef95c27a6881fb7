"""Skipping equal events changes nothing: the diff is that of comparing every event."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import event as note
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exprec.recorder.diff import align, diff, events
from exprec.recorder.diff.align import RecordStreams
from exprec.recorder.diff.log_streams import event_record
from exprec.recorder.errors import Damaged
from exprec.recorder.format import lines
from exprec.recorder.store.run_directory import RunDirectory
from tests.fixtures.diffs import event

# A deadline would measure the disk.
_settings = settings(max_examples=150, deadline=None)

Json = dict[str, Any]


def _one_by_one(*logs: RunDirectory) -> RecordStreams:
    """Two logs of which every event is decoded and compared."""
    readers = [run.reader() for run in logs]
    old, new = ((event_record(entry.event, entry.line) for entry in reader.entries()) for reader in readers)
    return RecordStreams(old, new)


_values = st.sampled_from(
    [1, 1.0, 2, True, None, "a", "long " * 60, 'say "seq":3', "two\nlines", {"seq": 1}, {"seq": 12}]
)
_types = st.sampled_from(
    ["epoch", "note", "policy_change", "llm_call", "iteration_start", "iteration_end", "run_end", "experiment_end"]
)
_agents = st.sampled_from(["A", "B", None, 7])
_policies = st.sampled_from([None, {"A": {"parameters": {"x": 1}}}, {"A": {"parameters": {"x": 2}}, "B": 1}])


@st.composite
def _events(draw: st.DrawFn, iteration: int) -> Json:
    kind = draw(_types)
    found: Json = {"event_type": kind, "iteration": iteration, "value": draw(_values)}
    if kind in ("epoch", "policy_change", "llm_call"):
        found["agent_id"] = draw(_agents)
    if kind == "llm_call":
        found |= {"latency_seconds": draw(st.sampled_from([0.5, 1.5])), "exchange": 0}
    if kind == "policy_change":
        found |= {"old_policy": draw(_policies), "new_policy": draw(_policies)}
    if kind == "iteration_start":
        found |= {"total_cost": draw(st.sampled_from([1, 2])), "costs_per_agent": {"A": draw(st.integers(1, 2))}}
    if kind == "iteration_end":
        found |= {"policies": draw(_policies), "costs_per_agent": {"A": draw(st.integers(1, 2))}}
    return found


@st.composite
def _logs(draw: st.DrawFn) -> list[Json]:
    """Blocks of events: of one iteration, of none, or invalid ones."""
    found: list[Json] = []
    is_numbered = draw(st.booleans())
    for number in range(1, draw(st.integers(1, 5))):
        iteration = draw(st.sampled_from([number, number, number, 1, -1])) if is_numbered else 0
        block = draw(st.lists(_events(iteration), min_size=1, max_size=4))
        found += copy.deepcopy(block * draw(st.sampled_from([1, 1, 3, 12])))
    return found


@st.composite
def _long_logs(draw: st.DrawFn) -> list[Json]:
    """Repeated events outside of iterations, followed by others."""
    block = draw(st.lists(_events(0), min_size=1, max_size=4))
    ends = draw(st.lists(st.sampled_from([0, 1, 2]).flatmap(_events), max_size=6))
    return copy.deepcopy([*block * 20, *ends, *draw(st.sampled_from([[], block]))])


@st.composite
def _changed(draw: st.DrawFn, log: list[Json]) -> list[Json]:
    """The log with a few events changed, inserted, removed, moved, duplicated, or given another iteration."""
    found = copy.deepcopy(log)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(found)))
        at = found[place]["iteration"] if place < len(found) else draw(st.integers(0, 3))
        change = draw(st.sampled_from(["insert", "insert", "remove", "value", "type", "iteration", "move", "double"]))
        if change == "insert":
            others = {"event_type": "extra"} if draw(st.booleans()) else {}
            found[place:place] = [each | others for each in draw(st.lists(_events(at), min_size=1, max_size=3))]
        elif place == len(found):
            continue
        elif change == "value":
            found[place]["value"] = draw(_values)
        elif change == "type":
            found[place]["event_type"] = draw(_types)
        elif change == "iteration":
            for each in found[place : place + draw(st.integers(1, 4))]:
                each["iteration"] = draw(st.integers(0, 4))
        elif change == "double":
            found.insert(place, copy.deepcopy(found[place]))
        else:
            moved = found.pop(place)
            if change == "move":
                found.insert(draw(st.integers(0, len(found))), moved)
    return found


def _line(number: int, each: Json) -> bytes:
    return orjson.dumps({**each, "seq": number}, option=orjson.OPT_SORT_KEYS) + b"\n"


_DAMAGES = (
    lambda line: line[:-3] + b"\n",
    lambda line: b"\n",
    lambda line: b"[1]\n",
    lambda line: b'"text"\n',
    lambda line: line.replace(b'"seq":', b'"seq":1'),
    lambda line: line.replace(b'"seq":', b'"seq":true,"b":'),
    lambda line: line.replace(b'"seq":', b'"nested":{"seq":3},"s\\u0065q":'),
    lambda line: line.replace(b'"seq":', b'"seq":4,"seq":'),
    lambda line: line.replace(b'"seq":', b'"seq": '),
    lambda line: line.replace(b'"iteration":', b'"iteration":1.5,"b":'),
    lambda line: line.replace(b'"event_type":"', b'"event_type":7,"b":"'),
    lambda line: line[:-1],
    lambda line: line.replace(b"{", b"{ ", 1),
    lambda line: line[:-1] + line,
    lambda line: line.replace(b'"value":', b'"value":\xff'),
)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    log = draw(st.one_of(_logs(), _long_logs()))
    extra = [{**each, "event_type": "extra"} for each in log[:1]]
    start = draw(st.sampled_from([[], [], [{"event_type": "extra", "iteration": 0}], extra]))
    sides = [[_line(*each) for each in enumerate(side)] for side in (log, start + draw(_changed(log)))]
    if draw(st.integers(0, 3)) == 0:
        harm = draw(st.sampled_from(_DAMAGES))
        place = draw(st.integers(0, 40))
        for side in draw(st.sampled_from([sides, sides[:1], sides[1:]])):
            if place < len(side):
                side[place] = harm(side[place])
    old, new = (b"".join(side) for side in sides)
    return old, new + draw(st.sampled_from([b"", b"", b'{"seq":']))


def _outcome(folder: Path, limit: int) -> str:
    """The whole diff of two logs as text, in which 1 and 1.0 differ, or why they are not compared."""
    try:
        return repr(diff(RunDirectory(folder / "old"), RunDirectory(folder / "new"), limit=limit))
    except Damaged as error:
        return f"Damaged: {error}"


def _log(*found: tuple[str, int, Any], ninth: bytes = b"") -> bytes:
    """Events by type, iteration and value; of that with the value 9 this is written for `seq` and its number."""
    lines = [_line(seq, event(*each[:2], value=each[2])) for seq, each in enumerate(found)]
    return b"".join(
        line.replace(b'"seq":%d' % seq, ninth) if ninth and found[seq][2] == 9 else line
        for seq, line in enumerate(lines)
    )


def _costing(first: int, last: int) -> bytes:
    costs = [
        event(kind, number, costs_per_agent={"A": cost})
        for kind, number, cost in (
            ("iteration_start", 1, first),
            ("iteration_start", 2, 5),
            ("iteration_start", 2, 5),
            ("iteration_end", 2, last),
        )
    ]
    return b"".join(map(_line, range(len(costs)), costs))


_SOME = [("epoch", 0, each) for each in range(12)]
_LARGE = [("epoch", 0, "x" * 900) for _ in range(12)]
_EXTRA = ("extra", 0, 1)
_ESCAPED = b'"nested":{"seq":%d},"s\\u0065q":9'
_NESTED = b'"nested":{"seq":%d},"seq":9'
_KNOWN = (
    # What waits at the end of an iteration has no partner, although the next one begins alike.
    (_log(("epoch", 1, 1), ("note", 2, 1)), _log(("run", 1, 1), ("note", 2, 1))),
    # What a cost was in an iteration before is news in a later one.
    (_costing(1, 1), _costing(2, 2)),
    # Lines become too large for what lags behind to be kept.
    (_log(*_SOME, *_LARGE), _log(*_SOME[:2], _EXTRA, _EXTRA, *_SOME[2:], *_LARGE)),
    # What looks like the position is a part of a value, or is not the position.
    (_log(*_SOME, ninth=_ESCAPED % 9), _log(_EXTRA, *_SOME, ninth=_ESCAPED % 10)),
    (_log(*_SOME, ninth=_NESTED % 9), _log(_EXTRA, *_SOME, ninth=_NESTED % 10)),
    (_log(*_SOME, ninth=b'"seq": 9'), _log(_EXTRA, *_SOME, ninth=b'"seq": 9')),
)


def _with_known(test: Any) -> Any:
    for logs in _KNOWN:
        test = example(logs=logs, chunk=1 << 18, most=900, lagging=1, is_swapped=False)(test)
    return test


@_with_known
@_settings
@given(
    _pairs(),
    st.sampled_from([1, 30, 200, 700, 1 << 18]),
    st.sampled_from([200, 900, 1 << 22]),
    st.sampled_from([1, 2, 16]),
    st.booleans(),
)
def test_skipping_equal_events_changes_nothing(
    logs: tuple[bytes, bytes], chunk: int, most: int, lagging: int, is_swapped: bool
) -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        patch.object(align, "MAX_BUFFERED_BYTES", most),
    ):
        folder = Path(name)
        for side, log in zip(("new", "old") if is_swapped else ("old", "new"), logs, strict=True):
            (folder / side).mkdir()
            (folder / side / "config.json").write_bytes(b"{}\n")
            (folder / side / "events.jsonl").write_bytes(log)
        with patch.object(lines, "CHUNK_BYTES", chunk), patch.object(align, "LAG_MATCHES", lagging):
            found = _outcome(folder, 20)
        with patch.object(events, "LogStreams", _one_by_one), patch.object(align, "LAG_MATCHES", 1 << 30):
            wanted = _outcome(folder, 20)
    note("damaged" if wanted.startswith("Damaged") else "equal" if logs[0] == logs[1] else "compared")
    assert found == wanted
