"""Drivers that read a log: into the state of the run, and as JSON lines only."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson

from exprec.recorder.state import DatabaseStateProvider
from exprec.recorder.store import RunDirectory


def fold_log(run: str) -> dict[str, Any]:
    """Open a stored run and query what needs the whole log: result, counts, every iteration."""
    began = time.perf_counter()
    provider = DatabaseStateProvider(RunDirectory(Path(run)))
    result = provider.get_final_result()
    events = provider.get_run_metadata()["events"]
    iterations = provider.get_total_iterations()
    for index in range(iterations):
        provider.get_iteration_costs(index)
        provider.get_iteration_accepted_changes(index)
    provider.get_iteration_policies(iterations - 1)
    seconds = time.perf_counter() - began
    assert result is not None
    return {"seconds": seconds, "count": events}


def decode_lines(log: str) -> dict[str, Any]:
    """Decode every line of a log and drop it."""
    count = 0
    began = time.perf_counter()
    with Path(log).open("rb") as file:
        for line in file:
            orjson.loads(line)
            count += 1
    return {"seconds": time.perf_counter() - began, "count": count}
