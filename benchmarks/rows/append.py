"""Rows: to append one event, beside the bare writing of its bytes and beside other trackers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks import timing
from benchmarks.benchmark import Benchmark, Measured, Session, of_one_row
from benchmarks.figures import Goal, Row, Unit
from benchmarks.timing import NotMeasured

_EVENT = "append one validated event"
_TRACKERS = (
    # A row, what it measures, how much faster exprec is to be, which loop that is, and one figure for so many events.
    ("append-sacred", "Sacred `log_scalar`, in its file at the end", 5, "sacred", 5),
    ("append-sacred-at-once", "Sacred `log_scalar`, in its file at once", 5, "sacred_at_once", 500),
    ("append-mlflow", "MLflow `log_metric`, SQLite", 1000, "mlflow", 500),
    ("append-dvclive", "DVCLive `log_metric` and `next_step`", 500, "dvclive", 500),
)


def benchmarks() -> list[Benchmark]:
    """The rows, each with as many events as its side is fast."""
    bare = "`orjson.dumps` and `write`, bare"
    appended = Row("append", _EVENT, bare, Unit.MICROSECONDS, Goal(at_most=3))
    recorded = Row("record", f"{_EVENT}, look for a secret, fold", bare, Unit.MICROSECONDS, Goal())
    return [
        of_one_row(appended, 9, partial(_beside_bare, "appended")),
        of_one_row(recorded, 9, partial(_beside_bare, "recorded")),
        *(_tracker(*each) for each in _TRACKERS),
    ]


def _beside_bare(function: str, session: Session) -> Measured:
    answers: dict[str, Mapping[str, Any]] = {}

    def side(function: str) -> float:
        answers[function] = _appended(session, f"append:{function}", session.data.sizes.some)
        return _per_event(answers[function])

    pairs = timing.interleaved(session.repetitions, lambda: side(function), lambda: side("bare"), session.said)
    if answers[function]["sha256"] != answers["bare"]["sha256"]:
        raise NotMeasured("the two wrote different bytes")
    return Measured(pairs, f"{answers['bare']['bytes'] / answers['bare']['count']:.0f} bytes")


def _tracker(name: str, words: str, times: float, function: str, events_for_a_figure: int) -> Benchmark:
    def measure(session: Session) -> Measured:
        some = session.data.sizes.some
        figures = some // events_for_a_figure
        pairs = timing.interleaved(
            session.repetitions,
            lambda: _per_event(_appended(session, "append:appended", some)),
            lambda: _per_event(_appended(session, f"trackers:{function}", figures)),
            session.said,
        )
        return Measured(pairs)

    return of_one_row(Row(name, _EVENT, words, Unit.MICROSECONDS, Goal(faster=times)), 5, measure)


def _appended(session: Session, function: str, count: int) -> Mapping[str, Any]:
    return timing.loop(f"loops.{function}", folder=session.data.scratch(), count=count)


def _per_event(answer: Mapping[str, Any]) -> float:
    """Microseconds."""
    return float(answer["seconds"] / answer["count"] * 1e6)
