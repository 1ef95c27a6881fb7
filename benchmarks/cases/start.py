"""Cases: start-up time of commands."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import timing
from benchmarks.benchmark import Benchmark, Measurement, Session, single_case
from benchmarks.cases.commands import CommandLine, exprec, python
from benchmarks.data import SMALL, Data
from benchmarks.results import Case, Goal, Unit

_NOTHING = "`python -c pass`"


def benchmarks() -> list[Benchmark]:
    """Return the benchmarks."""
    version = Case(
        "start-version", "start of `exprec`, which prints its version", _NOTHING, Unit.SECONDS, Goal(at_most=3)
    )
    small = Case("start-show", f"start of `exprec show`, {SMALL} events", _NOTHING, Unit.SECONDS, Goal(at_most=6))
    return [
        _measure_start(version, lambda _: exprec("--version")),
        _measure_start(small, lambda data: exprec("show", data.twins(SMALL).run)),
    ]


def _measure_start(case: Case, command: Callable[[Data], CommandLine]) -> Benchmark:
    def measure(session: Session) -> Measurement:
        command_line = command(session.data)
        # The first start compiles the modules.
        timing.run_process(command_line)
        pairs = session.interleave(
            lambda: timing.run_process(command_line).seconds, lambda: timing.run_process(python("-c", "pass")).seconds
        )
        return Measurement(pairs)

    return single_case(case, 21, measure)
