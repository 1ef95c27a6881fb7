"""Events that this version does not know, or that say less than it expects."""

from __future__ import annotations

from typing import Any

from exprec.recorder.events import common, optimization
from exprec.recorder.state.reducer import Reducer
from exprec.recorder.store.log import Entry


def reduced(*given: tuple[str, int, dict[str, Any]]) -> Reducer:
    """The state after these events, in lines of ten bytes."""
    reducer = Reducer()
    for seq, (kind, iteration, fields) in enumerate(given):
        event = {"seq": seq, "event_type": kind, "iteration": iteration, **fields}
        reducer.apply(Entry(event, b"#" * 10, 10 * seq))
    return reducer


def test_an_iteration_is_the_bytes_from_its_first_event_to_its_last() -> None:
    reducer = reduced(("own", 0, {}), ("own", 2, {}), ("own", 0, {}), ("own", 2, {}), ("own", 7, {}), ("own", 0, {}))
    assert [(each.number, each.start, each.end) for each in reducer.iterations] == [(2, 10, 40), (7, 40, 50)]
    assert reducer.summary().counts == {"events": 6, "iterations": 2, "by_type": {"own": 6}}


def test_what_is_in_no_iteration_says_nothing_of_one() -> None:
    costs = {"costs_per_agent": {"A": 3}}
    later = {"costs_per_agent": {"A": 9}, "accepted_changes": {"A": True}}
    reducer = reduced(
        (optimization.ITERATION_START.event_type, 1, costs),
        (optimization.ITERATION_END.event_type, 0, later),
        (optimization.ITERATION_START.event_type, 0, later),
    )
    (iteration,) = reducer.iterations
    assert (iteration.costs, iteration.accepted, iteration.closing) == ({"A": 3}, {}, None)


def test_fields_of_another_kind_than_today_are_no_figures() -> None:
    reducer = reduced(
        (optimization.ITERATION_END.event_type, 1, {"costs_per_agent": "much", "accepted_changes": [True]})
    )
    (iteration,) = reducer.iterations
    assert (iteration.costs, iteration.accepted, iteration.closing) == ({}, {}, (0, 10))


def test_a_run_that_failed_after_its_end_has_no_result() -> None:
    failure = {"error_type": "OSError", "message": "no"}
    reducer = reduced((common.RUN_END.event_type, 0, {"n": 1}), (common.EXPERIMENT_FAILED.event_type, 0, failure))
    summary = reducer.summary()
    assert (summary.status, summary.result, summary.failure) == ("failed", None, failure)
    assert reduced().summary().status == "failed"
