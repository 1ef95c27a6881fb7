"""`python -m benchmarks`: measure exprec beside its references, and print the table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import data, machine, report
from benchmarks.benchmark import Benchmark, Session
from benchmarks.figures import Outcome
from benchmarks.rows.table import benchmarks

_QUICK_REPETITIONS = 3
_DESCRIPTION = """\
Measure exprec beside its references: on the same work, in turn, in one run. The table goes to stdout, progress to
stderr. The references that are Python packages come with `pip install -e '.[bench]'`; one that is not there is named
in its row.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; returns 1 when something could not be measured or, of the full data, missed
    its goal."""
    options = _options(arguments)
    page = _page(options.markdown)
    sizes = data.QUICK if options.quick_look else data.FULL
    with ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="exprec-benchmarks-")))
        work.mkdir(parents=True, exist_ok=True)
        chosen = [each for each in benchmarks(sizes) if not options.only or each.name in options.only]
        place = data.Data(work.absolute(), sizes, _say)
        facts = machine.description(work)
        outcomes = [outcome for each in chosen for outcome in _measure(each, place, options)]
    quick: bool = options.quick_look
    print(report.text(facts, outcomes, quick=quick), end="")
    if options.json:
        options.json.write_text(report.as_json(facts, outcomes, quick=quick), encoding="utf-8")
    if options.markdown:
        table = report.markdown(facts, outcomes, quick=quick)
        options.markdown.write_text(report.within(page, table), encoding="utf-8")
    return 1 if any(each.not_measured or (each.is_met is False and not quick) for each in outcomes) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [each.name for each in benchmarks(data.FULL)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=_DESCRIPTION)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"These alone: {', '.join(names)}.")
    parser.add_argument("--repetitions", type=_positive, metavar="N", help="As often each; else a number of its own.")
    parser.add_argument("--quick-look", action="store_true", help="Small data, to see that all of it works.")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="Keep the data here, 2 GB, and take what is there; else it is removed."
    )
    parser.add_argument("--json", type=_file, metavar="FILE", help="Write every repetition here, too.")
    parser.add_argument(
        "--markdown",
        type=_file,
        metavar="FILE",
        help="Put the table into this page, in the place of the one that is in it; or write it to a new file.",
    )
    return parser.parse_args(arguments)


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _file(word: str) -> Path:
    path = Path(word)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{word} cannot be written: there is no such folder, or it is one")
    return path


def _measure(benchmark: Benchmark, place: data.Data, options: argparse.Namespace) -> list[Outcome]:
    usual = min(benchmark.repetitions, _QUICK_REPETITIONS) if options.quick_look else benchmark.repetitions
    began = time.perf_counter()
    session = Session(place, options.repetitions or usual, lambda how_far: _say(f"{benchmark.name} {how_far}"))
    outcomes = benchmark.outcomes(session)
    _say(f"{benchmark.name} done in {time.perf_counter() - began:.0f} s")
    return outcomes


def _page(path: Path | None) -> str:
    """The page that the table goes into. Ends the program if it has no place for one, before anything is measured."""
    if path is None or not path.exists():
        return f"{report.BEGIN}\n{report.END}\n"
    page = path.read_text("utf-8")
    try:
        report.within(page, "")
    except ValueError as error:
        sys.exit(f"{path} {error}")
    return page


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
