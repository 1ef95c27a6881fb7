"""Rows: to show, verify, fold and compare logs, and to list a store; the time of it and the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, timing
from benchmarks.benchmark import Benchmark, Measured, Session, of_one_row
from benchmarks.data import Sizes, Twins
from benchmarks.figures import Goal, Row, Unit
from benchmarks.rows.commands import Words, exprec
from benchmarks.timing import NotMeasured, Spent

_LINE = r'"\(.iteration)  \(.agent_id)  \(.event_type)  \(.old_cost) → \(.new_cost)  \(.acceptance_reason)"'
_GROWTH = 1.25
"""Of the memory, from one size to ten times it, if it is to be called flat."""


@dataclass(frozen=True, slots=True)
class _Command:
    """What is typed to read runs, and how it exits when it did its work."""

    words: Callable[[Twins], Words]
    code: int = 0

    def run(self, twins: Twins) -> Spent:
        """Run it. Raises NotMeasured unless it came to its end and had something to say."""
        words = self.words(twins)
        spent = timing.process(words, code=self.code)
        if not spent.output_bytes:
            # A program that broke may exit with 1, as one does that found a difference.
            raise NotMeasured(f"{' '.join(str(word) for word in words[:2])} printed nothing")
        return spent


_SHOW = _Command(lambda twins: exprec("show", twins.run))
_JQ = _Command(lambda twins: ["jq", "-r", _LINE, twins.log])
_VERIFY = _Command(lambda twins: exprec("verify", twins.run))
_VERIFY_QUICKLY = _Command(lambda twins: exprec("verify", "--quick", twins.run))
_SHA256 = _Command(lambda twins: ["sha256sum", twins.log])
_DIFF = _Command(lambda twins: exprec("diff", twins.run, twins.twin), code=1)
_GIT_DIFF = _Command(lambda twins: ["git", "diff", "--no-index", twins.log, twins.twin_log], code=1)


def benchmarks(sizes: Sizes) -> list[Benchmark]:
    """The rows, for data of these sizes."""
    many, some = f"{sizes.many:,} events", f"{sizes.some:,} events"
    jq, digest, git = "`jq -r`, a line an event", "`sha256sum` of the log", "`git diff --no-index`"
    return [
        _beside("show", f"`exprec show`, {some}", jq, Goal(at_most=1), sizes.some, _SHOW, _JQ),
        _beside("verify", f"`exprec verify`, {many}", digest, Goal(at_most=8), sizes.many, _VERIFY, _SHA256),
        _beside(
            "verify-quick",
            f"`exprec verify --quick`, {many}",
            digest,
            Goal(at_most=1.5),
            sizes.many,
            _VERIFY_QUICKLY,
            _SHA256,
        ),
        of_one_row(
            Row("fold", f"fold {many}", "`orjson.loads` of each line", Unit.SECONDS, Goal(at_most=2.5)), 5, _fold
        ),
        _memory("show", sizes, _SHOW),
        _memory("verify", sizes, _VERIFY),
        _memory("diff", sizes, _DIFF),
        _beside("diff", f"`exprec diff`, {many}, one differs", git, Goal(at_most=1), sizes.many, _DIFF, _GIT_DIFF),
        _log("log", sizes, is_cold=True),
        _log("log-warm", sizes, is_cold=False),
    ]


def _beside(
    name: str, work: str, reference: str, goal: Goal, events: int, ours: _Command, theirs: _Command
) -> Benchmark:
    def measure(session: Session) -> Measured:
        twins = session.data.twins(events)
        twins.in_cache()
        pairs = timing.interleaved(
            session.repetitions, lambda: ours.run(twins).seconds, lambda: theirs.run(twins).seconds, session.said
        )
        return Measured(pairs, f"{twins.log.stat().st_size / 1e6:.0f} MB")

    return of_one_row(Row(name, work, reference, Unit.SECONDS, goal), 5, measure)


def _memory(name: str, sizes: Sizes, command: _Command) -> Benchmark:
    def measure(session: Session) -> Measured:
        many, some = (session.data.twins(events) for events in (sizes.many, sizes.some))
        pairs = timing.interleaved(
            session.repetitions,
            lambda: command.run(many).peak_megabytes,
            lambda: command.run(some).peak_megabytes,
            session.said,
        )
        return Measured(pairs)

    work = f"memory of `exprec {name}`, {sizes.many:,} events"
    goal = Goal(below=200, at_most=_GROWTH)
    return of_one_row(Row(f"memory-{name}", work, f"the same, {sizes.some:,} events", Unit.MEGABYTES, goal), 1, measure)


def _fold(session: Session) -> Measured:
    twins = session.data.twins(session.data.sizes.many)
    twins.in_cache()
    pairs = timing.interleaved(
        session.repetitions,
        lambda: float(timing.loop("loops.fold:folded", run=twins.run)["seconds"]),
        lambda: float(timing.loop("loops.fold:decoded", log=twins.log)["seconds"]),
        session.said,
    )
    return Measured(pairs)


def _log(name: str, sizes: Sizes, *, is_cold: bool) -> Benchmark:
    def listing(store: Path) -> Words:
        return exprec("log", "--store", store)

    def reading(store: Path) -> Words:
        return ["find", store, "-name", "run.json", "-exec", "cat", "{}", "+"]

    def measure(session: Session) -> Measured:
        store, other = session.data.small_runs(), session.data.twins(sizes.some).run.parent
        if is_cold and (machine.file_system(store) == "tmpfs" or not timing.drop_page_cache()):
            raise NotMeasured("the page cache cannot be emptied here")

        def seconds(command: Callable[[Path], Words]) -> float:
            if is_cold:
                timing.drop_page_cache()
            # The store may be cold; the program is not.
            timing.process(command(other))
            return timing.process(command(store)).seconds

        timing.process(listing(store))
        pairs = timing.interleaved(
            session.repetitions, lambda: seconds(listing), lambda: seconds(reading), session.said
        )
        return Measured(pairs)

    work = f"`exprec log`, {sizes.runs:,} runs, {'cold' if is_cold else 'warm'}"
    return of_one_row(Row(name, work, "`cat` of each run.json", Unit.SECONDS, Goal(below=1)), 5, measure)
