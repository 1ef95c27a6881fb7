"""The list of all benchmarks."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark
from benchmarks.cases import append, experiment, reading, start
from benchmarks.data import Sizes


def benchmarks(sizes: Sizes) -> list[Benchmark]:
    """Return every benchmark for data of these sizes, in the order of the table."""
    return [*append.benchmarks(), *reading.benchmarks(sizes), *start.benchmarks(), *experiment.benchmarks()]
