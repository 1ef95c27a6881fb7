"""All benchmarks in the order of the table."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark
from benchmarks.data import Sizes
from benchmarks.rows import append, experiment, reading, start


def benchmarks(sizes: Sizes) -> list[Benchmark]:
    """Every benchmark, for data of these sizes."""
    return [*append.benchmarks(), *reading.benchmarks(sizes), *start.benchmarks(), *experiment.benchmarks()]
