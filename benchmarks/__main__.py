"""`python -m benchmarks`: measure exprec against its references and print the table."""

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
from benchmarks.cases.all_cases import benchmarks
from benchmarks.results import CaseResult

_QUICK_REPETITIONS = 3
_DESCRIPTION = """\
Measure exprec against its references: the same work, interleaved, in one run. The table is written to stdout,
progress to stderr. `pip install -e '.[bench]'` installs the references that are Python packages; the row of a missing
reference names it.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen benchmarks.

    Returns 1 if a benchmark could not be measured or, with the full data, missed its goal; else 0.
    """
    options = _parse_arguments(arguments)
    page = _read_page(options.markdown)
    sizes = data.QUICK if options.quick_look else data.FULL
    with ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="exprec-benchmarks-")))
        work.mkdir(parents=True, exist_ok=True)
        chosen = [item for item in benchmarks(sizes) if not options.only or item.name in options.only]
        runs = data.Data(work.absolute(), sizes, _print_progress)
        facts = machine.describe_machine(work)
        results = [result for item in chosen for result in _measure(item, runs, options)]
    quick: bool = options.quick_look
    print(report.as_text(facts, results, quick=quick), end="")
    if options.json:
        options.json.write_text(report.as_json(facts, results, quick=quick), encoding="utf-8")
    if options.markdown:
        table = report.as_markdown(facts, results, quick=quick)
        options.markdown.write_text(report.replace_table(page, table), encoding="utf-8")
    return 1 if any(result.not_measured or (result.is_met is False and not quick) for result in results) else 0


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [item.name for item in benchmarks(data.FULL)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=_DESCRIPTION)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"Run these only: {', '.join(names)}.")
    parser.add_argument(
        "--repetitions",
        type=_positive_integer,
        metavar="N",
        help="Repetitions (default: that of the benchmark).",
    )
    parser.add_argument(
        "--quick-look", action="store_true", help="Use small data to check that all works; no verdicts."
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="Keep data (2 GB) in DIR and reuse it (default: temporary).",
    )
    parser.add_argument("--json", type=_writable_file, metavar="FILE", help="Also write every repetition to FILE.")
    parser.add_argument(
        "--markdown",
        type=_writable_file,
        metavar="FILE",
        help="Replace the table in this page, or write it to a new file.",
    )
    return parser.parse_args(arguments)


def _positive_integer(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _writable_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {text}: it is a directory, or its directory does not exist")
    return path


def _measure(benchmark: Benchmark, runs: data.Data, options: argparse.Namespace) -> list[CaseResult]:
    default = min(benchmark.repetitions, _QUICK_REPETITIONS) if options.quick_look else benchmark.repetitions
    began = time.perf_counter()
    session = Session(runs, options.repetitions or default, lambda step: _print_progress(f"{benchmark.name} {step}"))
    results = benchmark.run(session)
    _print_progress(f"{benchmark.name} done in {time.perf_counter() - began:.0f} s")
    return results


def _read_page(path: Path | None) -> str:
    """Return the page for the table, or a new one; exit if it has no markers, before anything is measured."""
    if path is None or not path.exists():
        return f"{report.BEGIN}\n{report.END}\n"
    page = path.read_text("utf-8")
    try:
        report.replace_table(page, "")
    except ValueError as error:
        sys.exit(f"{path} {error}")
    return page


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
