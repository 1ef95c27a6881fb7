"""Cases: appending one event, compared with a bare write of its bytes and with other trackers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks import timing
from benchmarks.benchmark import Benchmark, Measurement, Session, single_case
from benchmarks.results import Case, Goal, Unit
from benchmarks.timing import NotMeasured

_EVENT = "append one validated event"
_TRACKERS = (
    # Case, reference, goal (times faster), driver, number of exprec's events for one call of the reference.
    ("append-sacred", "Sacred `log_scalar`, written at the end", 5, "sacred", 5),
    ("append-sacred-at-once", "Sacred `log_scalar`, written at once", 5, "sacred_at_once", 500),
    ("append-mlflow", "MLflow `log_metric`, SQLite", 1000, "mlflow", 500),
    ("append-dvclive", "DVCLive `log_metric` and `next_step`", 500, "dvclive", 500),
)


def benchmarks() -> list[Benchmark]:
    """Return the benchmarks; slower references append fewer events."""
    bare = "`orjson.dumps` and `write`, bare"
    appended = Case("append", _EVENT, bare, Unit.MICROSECONDS, Goal(at_most=3))
    recorded = Case("record", f"{_EVENT}, scan for secrets, fold", bare, Unit.MICROSECONDS, Goal())
    return [
        single_case(appended, 9, partial(_compare_bare, "appended")),
        single_case(recorded, 9, partial(_compare_bare, "recorded")),
        *(_compare_tracker(*tracker) for tracker in _TRACKERS),
    ]


def _compare_bare(function: str, session: Session) -> Measurement:
    results: dict[str, Mapping[str, Any]] = {}

    def side(function: str) -> float:
        results[function] = _append_events(session, f"append:{function}", session.data.sizes.some)
        return _microseconds_per_event(results[function])

    pairs = session.interleave(lambda: side(function), lambda: side("bare"))
    if results[function]["sha256"] != results["bare"]["sha256"]:
        raise NotMeasured("the two wrote different bytes")
    return Measurement(pairs, f"{results['bare']['bytes'] / results['bare']['count']:.0f} bytes")


def _compare_tracker(name: str, reference: str, times: float, driver: str, events_per_call: int) -> Benchmark:
    def measure(session: Session) -> Measurement:
        some = session.data.sizes.some
        calls = some // events_per_call
        pairs = session.interleave(
            lambda: _microseconds_per_event(_append_events(session, "append:appended", some)),
            lambda: _microseconds_per_event(_append_events(session, f"trackers:{driver}", calls)),
        )
        return Measurement(pairs)

    return single_case(Case(name, _EVENT, reference, Unit.MICROSECONDS, Goal(faster=times)), 5, measure)


def _append_events(session: Session, function: str, count: int) -> Mapping[str, Any]:
    return timing.call_driver(f"drivers.{function}", folder=session.data.scratch(), count=count)


def _microseconds_per_event(result: Mapping[str, Any]) -> float:
    return float(result["seconds"] / result["count"] * 1e6)
