"""What `exprec gc` removes, as rows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from exprec.recorder.errors import Damaged
from exprec.recorder.state import Reducer
from exprec.recorder.store import RunDirectory, Store, garbage


@dataclass(frozen=True, slots=True)
class OrphanRow:
    """An interrupted run with what it recorded, or a file that belongs to no run. Damage ends the counting."""

    orphan: garbage.Orphan
    experiment: str = ""
    """The name of the experiment."""
    iterations: int = 0
    """The number of iterations that have begun."""
    events: int = 0
    exchanges: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON values, without the age of the orphan."""
        return {
            "path": str(self.orphan.path),
            "kind": "run" if self.orphan.is_run else "file",
            "name": self.orphan.name,
            "experiment": self.experiment,
            "iterations": self.iterations,
            "events": self.events,
            "exchanges": self.exchanges,
            "size": self.orphan.size,
        }


def list_orphans(store: Store) -> list[OrphanRow]:
    """Return the interrupted runs of a store, then its files that belong to no run. Raises StorageFailure."""
    return [_describe_orphan(orphan) for orphan in garbage.find_orphans(store)]


def read_orphan(run: RunDirectory) -> OrphanRow | None:
    """Return the row of one interrupted run; None if it is in progress or gone. Raises StorageFailure."""
    orphan = garbage.interrupted_run(run.path)
    return None if orphan is None else _describe_orphan(orphan)


def _describe_orphan(orphan: garbage.Orphan) -> OrphanRow:
    if not orphan.is_run:
        return OrphanRow(orphan)
    run, state = RunDirectory(orphan.path), Reducer(keeps_iterations=False)
    experiment, exchanges = "", 0
    # A damaged run is as abandoned as any other.
    with suppress(Damaged):
        experiment = run.name
        state.apply_all(run.reader().entries())
        for _ in run.exchange_reader():
            exchanges += 1
    return OrphanRow(orphan, experiment, state.iteration_count, state.counts.total(), exchanges)
