"""Rows: what it takes until a command has done the least that it can do."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import timing
from benchmarks.benchmark import Benchmark, Measured, Session, of_one_row
from benchmarks.data import SMALL, Data
from benchmarks.figures import Goal, Row, Unit
from benchmarks.rows.commands import Words, exprec, python

_NOTHING = "`python -c pass`"


def benchmarks() -> list[Benchmark]:
    version = Row(
        "start-version", "start of `exprec`, which tells its version", _NOTHING, Unit.SECONDS, Goal(at_most=3)
    )
    small = Row("start-show", f"start of `exprec show`, {SMALL} events", _NOTHING, Unit.SECONDS, Goal(at_most=6))
    return [
        _start(version, lambda _: exprec("--version")),
        _start(small, lambda data: exprec("show", data.twins(SMALL).run)),
    ]


def _start(row: Row, command: Callable[[Data], Words]) -> Benchmark:
    def measure(session: Session) -> Measured:
        words = command(session.data)
        # The first start writes what the others find compiled.
        timing.process(words)
        pairs = timing.interleaved(
            session.repetitions,
            lambda: timing.process(words).seconds,
            lambda: timing.process(python("-c", "pass")).seconds,
            session.said,
        )
        return Measured(pairs)

    return of_one_row(row, 21, measure)
