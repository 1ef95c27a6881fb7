"""Records the runs that are read in the measurements, through exprec's own interface: they are such as it makes.

How long that takes is measured elsewhere, and by other means.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from benchmarks.course import Recorded, experiment, with_one_change
from benchmarks.data import SMALL
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.store import Store

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
    place = _without_fsync(store)
    place.tag("run", _recorded(place, "made up", {}, experiment(events)))
    place.tag("twin", _recorded(place, "made up", {}, with_one_change(experiment(events), events // 2)))


def small_runs(store: str, runs: int) -> None:
    """Record the runs of `Data.small_runs`, as many different ones."""
    place = _without_fsync(store)
    for number in range(runs):
        events = experiment(SMALL, seed=number)
        place.attest(_recorded(place, f"small {number % 10}", {"number": number}, events), _OBSERVED)


def _without_fsync(store: str) -> Store:
    """A new store. Whether the data survive a power loss is of no interest, and tens of thousands of fsyncs take
    minutes; the bytes are the same."""
    os.fsync = lambda fd: None
    return Store.open_or_create(Path(store))


def _recorded(store: Store, name: str, config: dict[str, int], events: Iterable[Recorded]) -> str:
    provider = LiveStateProvider(name, recording=store.begin(name, "generic", config))
    for iteration, kind, fields in events:
        provider.record_event(iteration, kind, fields)
    sealed = provider.seal()
    assert sealed is not None
    assert sealed.is_new
    return sealed.run_id
