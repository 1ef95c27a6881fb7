"""The first event at which an execution diverges from the recorded one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exprec.recorder.diff import Difference
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json
from exprec.recorder.replay.divergence import Diverged, EventFollower
from exprec.recorder.replay.verdict import ReplayOutcome, Verdict
from exprec.recorder.store.log import Entry


def _follower(*events: Event) -> EventFollower:
    return EventFollower([Entry(event, canonical_json.encode(event), 0) for event in events])


def _event(seq: int, event_type: str, n: int) -> Event:
    return {"seq": seq, "iteration": 1, "event_type": event_type, "n": n}


_RECORDED = _event(0, "a", 1), _event(1, "b", 2)


def _follow(executed: Sequence[Event]) -> Verdict | None:
    follower = _follower(*_RECORDED)
    try:
        for event in executed:
            follower.follow(event)
        follower.finish()
    except Diverged as diverged:
        return diverged.verdict
    return None


def test_the_same_events_do_not_diverge() -> None:
    assert _follow(_RECORDED) is None


@pytest.mark.parametrize(
    ("executed", "event", "differences", "reasons"),
    [
        ([_RECORDED[0], _event(1, "b", 3)], _RECORDED[1], [Difference(("n",), 2, 3)], ()),
        ([_RECORDED[0], _event(1, "c", 3)], _RECORDED[1], [Difference(("event_type",), "b", "c")], ()),
        ([_RECORDED[0]], _RECORDED[1], [], ("the execution ended before this event",)),
        (
            [*_RECORDED, _event(2, "d", 4)],
            None,
            [],
            ("the recorded events end here; the execution continues with d",),
        ),
    ],
    ids=["a field", "another type", "an early end", "one more event"],
)
def test_the_first_difference_is_reported(
    executed: list[Event], event: Event | None, differences: list[Difference], reasons: tuple[str, ...]
) -> None:
    verdict = _follow(executed)
    assert verdict is not None
    assert verdict.outcome is ReplayOutcome.DIVERGED
    assert verdict.event == event
    assert verdict.identical_events == len(executed) - (0 if reasons and event else 1)
    assert verdict.differences == tuple(differences)
    assert verdict.reasons == reasons
