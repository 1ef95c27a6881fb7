"""Cases: simulations of the twelve-period game, and the overhead of recording a whole experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import timing
from benchmarks.benchmark import Benchmark, Measurement, Session, single_case
from benchmarks.results import Case, Goal, Pair, Unit
from benchmarks.timing import NotMeasured

_WHOLE = "the twelve-period run with 50 samples"
_OVERHEAD = Goal(at_most=1.02)
_POLICIES = 40
_ADDITIONS = 10_000
"""Number of additions that take about as long as a simulation."""


def benchmarks() -> list[Benchmark]:
    """Return the benchmarks."""
    simulations = Case(
        "simulations",
        "simulations of the twelve-period game, one core",
        f"{_ADDITIONS:,} integer additions in a loop",
        Unit.PER_SECOND,
        Goal(at_least=4000),
    )
    overhead = (
        Case("overhead", _WHOLE, "the same, unrecorded", Unit.SECONDS, _OVERHEAD),
        Case("overhead-cpu", f"{_WHOLE}, processor time", "the same, unrecorded", Unit.SECONDS, _OVERHEAD),
        Case("overhead-counted", _WHOLE, "its time outside of the recorder", Unit.SECONDS, _OVERHEAD),
    )
    return [single_case(simulations, 7, _measure_simulations), Benchmark("overhead", 21, overhead, _measure_overhead)]


def _measure_simulations(session: Session) -> Measurement:
    pairs = session.interleave(
        lambda: _per_second(timing.call_driver("drivers.experiment:simulations", policies=_POLICIES)),
        lambda: _per_second(timing.call_driver("drivers.experiment:additions")) / _ADDITIONS,
    )
    return Measurement(pairs)


def _per_second(result: Mapping[str, Any]) -> float:
    return float(result["count"] / result["seconds"])


def _measure_overhead(session: Session) -> Sequence[Measurement]:
    """Measure the same runs in three ways: wall-clock time, CPU time, and time counted inside the recorder."""
    recorded: list[Mapping[str, Any]] = []
    unrecorded: list[Mapping[str, Any]] = []

    def run_driver(results: list[Mapping[str, Any]], function: str, **arguments: Any) -> float:
        results.append(timing.call_driver(f"drivers.experiment:{function}", **arguments))
        return float(results[-1]["seconds"])

    wall = session.interleave(
        lambda: run_driver(recorded, "recorded", folder=session.data.scratch()),
        lambda: run_driver(unrecorded, "unrecorded"),
    )
    if {result["final_cost"] for result in recorded} != {result["final_cost"] for result in unrecorded}:
        raise NotMeasured("the unrecorded experiment has another final cost")
    cpu = [Pair(ours["cpu_seconds"], theirs["cpu_seconds"]) for ours, theirs in zip(recorded, unrecorded, strict=True)]
    counted = [Pair(run["seconds"], run["seconds"] - run["recording_seconds"]) for run in recorded]
    return [Measurement(wall), Measurement(tuple(cpu)), Measurement(tuple(counted))]
