"""Cases: showing, verifying, folding and comparing logs, and listing a store; time and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, timing
from benchmarks.benchmark import Benchmark, Measurement, Session, single_case
from benchmarks.cases.commands import CommandLine, exprec
from benchmarks.data import Sizes, Twins
from benchmarks.results import Case, Goal, Unit
from benchmarks.timing import NotMeasured, ProcessUsage

_LINE = r'"\(.iteration)  \(.agent_id)  \(.event_type)  \(.old_cost) → \(.new_cost)  \(.acceptance_reason)"'
_GROWTH = 1.25
"""Maximum growth of flat memory when the size of the data grows tenfold."""


@dataclass(frozen=True, slots=True)
class _Command:
    """A command that reads runs, and its exit code on success."""

    command_line: Callable[[Twins], CommandLine]
    code: int = 0

    def run(self, twins: Twins) -> ProcessUsage:
        """Run the command; raises NotMeasured if it fails or prints nothing."""
        command = self.command_line(twins)
        usage = timing.run_process(command, code=self.code)
        if not usage.output_bytes:
            # A program that crashed may exit with 1, as one that found a difference does.
            raise NotMeasured(f"{' '.join(str(word) for word in command[:2])} printed nothing")
        return usage


_SHOW = _Command(lambda twins: exprec("show", twins.run))
_JQ = _Command(lambda twins: ["jq", "-r", _LINE, twins.log])
_VERIFY = _Command(lambda twins: exprec("verify", twins.run))
_VERIFY_QUICKLY = _Command(lambda twins: exprec("verify", "--quick", twins.run))
_SHA256 = _Command(lambda twins: ["sha256sum", twins.log])
_DIFF = _Command(lambda twins: exprec("diff", twins.run, twins.twin), code=1)
_GIT_DIFF = _Command(lambda twins: ["git", "diff", "--no-index", twins.log, twins.twin_log], code=1)


def benchmarks(sizes: Sizes) -> list[Benchmark]:
    """Return the benchmarks for data of these sizes."""
    many, some = f"{sizes.many:,} events", f"{sizes.some:,} events"
    jq, digest, git = "`jq -r`, one line per event", "`sha256sum` of the log", "`git diff --no-index`"
    return [
        _compare("show", f"`exprec show`, {some}", jq, Goal(at_most=1), sizes.some, _SHOW, _JQ),
        _compare("verify", f"`exprec verify`, {many}", digest, Goal(at_most=8), sizes.many, _VERIFY, _SHA256),
        _compare(
            "verify-quick",
            f"`exprec verify --quick`, {many}",
            digest,
            Goal(at_most=1.5),
            sizes.many,
            _VERIFY_QUICKLY,
            _SHA256,
        ),
        single_case(
            Case("fold", f"fold {many}", "`orjson.loads` of each line", Unit.SECONDS, Goal(at_most=2.5)),
            5,
            _measure_fold,
        ),
        _compare_memory("show", sizes, _SHOW),
        _compare_memory("verify", sizes, _VERIFY),
        _compare_memory("diff", sizes, _DIFF),
        _compare("diff", f"`exprec diff`, {many}, one differs", git, Goal(at_most=1), sizes.many, _DIFF, _GIT_DIFF),
        _compare_log("log", sizes, is_cold=True),
        _compare_log("log-warm", sizes, is_cold=False),
    ]


def _compare(
    name: str, work: str, reference: str, goal: Goal, events: int, ours: _Command, theirs: _Command
) -> Benchmark:
    def measure(session: Session) -> Measurement:
        twins = session.data.twins(events)
        twins.warm_cache()
        pairs = session.interleave(lambda: ours.run(twins).seconds, lambda: theirs.run(twins).seconds)
        return Measurement(pairs, f"{twins.log.stat().st_size / 1e6:.0f} MB")

    return single_case(Case(name, work, reference, Unit.SECONDS, goal), 5, measure)


def _compare_memory(name: str, sizes: Sizes, command: _Command) -> Benchmark:
    def measure(session: Session) -> Measurement:
        many, some = (session.data.twins(events) for events in (sizes.many, sizes.some))
        pairs = session.interleave(lambda: command.run(many).peak_megabytes, lambda: command.run(some).peak_megabytes)
        return Measurement(pairs)

    work = f"memory of `exprec {name}`, {sizes.many:,} events"
    goal = Goal(below=200, at_most=_GROWTH)
    return single_case(
        Case(f"memory-{name}", work, f"the same, {sizes.some:,} events", Unit.MEGABYTES, goal), 1, measure
    )


def _measure_fold(session: Session) -> Measurement:
    twins = session.data.twins(session.data.sizes.many)
    twins.warm_cache()
    pairs = session.interleave(
        lambda: float(timing.call_driver("drivers.reading:fold_log", run=twins.run)["seconds"]),
        lambda: float(timing.call_driver("drivers.reading:decode_lines", log=twins.log)["seconds"]),
    )
    return Measurement(pairs)


def _compare_log(name: str, sizes: Sizes, *, is_cold: bool) -> Benchmark:
    def listing(store: Path) -> CommandLine:
        return exprec("log", "--store", store)

    def reading(store: Path) -> CommandLine:
        return ["find", store, "-name", "run.json", "-exec", "cat", "{}", "+"]

    def measure(session: Session) -> Measurement:
        store, other = session.data.small_runs(), session.data.twins(sizes.some).run.parent
        if is_cold and (machine.file_system(store) == "tmpfs" or not timing.drop_page_cache()):
            raise NotMeasured("the page cache cannot be emptied here")

        def seconds(command: Callable[[Path], CommandLine]) -> float:
            if is_cold:
                timing.drop_page_cache()
            # Only the store is cold, not the program.
            timing.run_process(command(other))
            return timing.run_process(command(store)).seconds

        timing.run_process(listing(store))
        pairs = session.interleave(lambda: seconds(listing), lambda: seconds(reading))
        return Measurement(pairs)

    work = f"`exprec log`, {sizes.runs:,} runs, {'cold' if is_cold else 'warm'}"
    return single_case(Case(name, work, "`cat` of each run.json", Unit.SECONDS, Goal(below=1)), 5, measure)
