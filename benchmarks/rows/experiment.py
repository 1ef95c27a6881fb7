"""Rows: the simulations of the twelve-period game, and what it costs to record the whole of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import timing
from benchmarks.benchmark import Benchmark, Measured, Session, of_one_row
from benchmarks.figures import Goal, Pair, Row, Unit
from benchmarks.timing import NotMeasured

_WHOLE = "the twelve-period run with 50 samples"
_OVERHEAD = Goal(at_most=1.02)
_POLICIES = 40
_ADDITIONS = 10_000
"""So that beside a simulation stands something that takes as long, about."""


def benchmarks() -> list[Benchmark]:
    simulations = Row(
        "simulations",
        "simulations of the twelve-period game, one core",
        f"{_ADDITIONS:,} integer additions in a loop",
        Unit.PER_SECOND,
        Goal(at_least=4000),
    )
    overhead = (
        Row("overhead", _WHOLE, "the same, not recorded", Unit.SECONDS, _OVERHEAD),
        Row("overhead-cpu", f"{_WHOLE}, processor time", "the same, not recorded", Unit.SECONDS, _OVERHEAD),
        Row("overhead-counted", _WHOLE, "itself without its time in the recorder", Unit.SECONDS, _OVERHEAD),
    )
    return [of_one_row(simulations, 7, _simulations), Benchmark("overhead", 21, overhead, _overhead)]


def _simulations(session: Session) -> Measured:
    pairs = timing.interleaved(
        session.repetitions,
        lambda: _rate(timing.loop("loops.experiment:simulations", policies=_POLICIES)),
        lambda: _rate(timing.loop("loops.experiment:additions")) / _ADDITIONS,
        session.said,
    )
    return Measured(pairs)


def _rate(answer: Mapping[str, Any]) -> float:
    return float(answer["count"] / answer["seconds"])


def _overhead(session: Session) -> Sequence[Measured]:
    """The same runs, looked at three times: by the clock, by the processors, and by a counter in the recorder."""
    recorded: list[Mapping[str, Any]] = []
    unrecorded: list[Mapping[str, Any]] = []

    def run(answers: list[Mapping[str, Any]], function: str, **arguments: Any) -> float:
        answers.append(timing.loop(f"loops.experiment:{function}", **arguments))
        return float(answers[-1]["seconds"])

    wall = timing.interleaved(
        session.repetitions,
        lambda: run(recorded, "recorded", folder=session.data.scratch()),
        lambda: run(unrecorded, "unrecorded"),
        session.said,
    )
    if {answer["final_cost"] for answer in recorded} != {answer["final_cost"] for answer in unrecorded}:
        raise NotMeasured("the experiment came to something else when it was not recorded")
    cpu = [Pair(mine["cpu_seconds"], theirs["cpu_seconds"]) for mine, theirs in zip(recorded, unrecorded, strict=True)]
    counted = [Pair(mine["seconds"], mine["seconds"] - mine["recording_seconds"]) for mine in recorded]
    return [Measured(wall), Measured(tuple(cpu)), Measured(tuple(counted))]
