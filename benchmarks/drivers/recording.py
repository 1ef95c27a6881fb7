"""Drivers that record the data of the benchmarks through exprec's own interface; not measured themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from benchmarks.data import SMALL
from benchmarks.workload import WorkloadEvent, change_one_event, experiment
from exprec.recorder.state import LiveStateProvider
from exprec.recorder.store import Store

_OBSERVED = {
    "started_at": "2026-01-01T00:00:00.000000+00:00",
    "duration_seconds": 1.0,
    "user": None,
    "host": None,
    "exprec": "0",
    "python": "0",
    "platform": "none",
    "git_commit": None,
    "git_dirty": None,
}


def twins(store: str, events: int) -> None:
    """Record the runs of `Data.twins`, tagged `run` and `twin`."""
    opened = _open_without_fsync(store)
    opened.tag("run", _record_run(opened, "made up", {}, experiment(events)))
    opened.tag("twin", _record_run(opened, "made up", {}, change_one_event(experiment(events), events // 2)))


def small_runs(store: str, runs: int) -> None:
    """Record the runs of `Data.small_runs`, all different."""
    opened = _open_without_fsync(store)
    for number in range(runs):
        events = experiment(SMALL, seed=number)
        opened.attest(_record_run(opened, f"small {number % 10}", {"number": number}, events), _OBSERVED)


def _open_without_fsync(store: str) -> Store:
    """Open a store with fsync disabled in this process: tens of thousands of calls take minutes; bytes are equal."""
    os.fsync = lambda fd: None
    return Store.open_or_create(Path(store))


def _record_run(store: Store, name: str, config: dict[str, int], events: Iterable[WorkloadEvent]) -> str:
    provider = LiveStateProvider(name, recording=store.begin(name, "generic", config))
    for event in events:
        provider.record_event(*event)
    sealed = provider.seal()
    assert sealed is not None
    assert sealed.is_new
    return sealed.run_id
