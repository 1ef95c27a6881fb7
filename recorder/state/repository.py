"""Runs of a store by id, as state providers."""

from __future__ import annotations

from pathlib import Path

from exprec.recorder.format import layout
from exprec.recorder.state.provider import DatabaseStateProvider
from exprec.recorder.store import Store


class ExperimentRepository:
    """The recorded experiments of a store.

    provider = ExperimentRepository("runs").as_state_provider("3f5c")
    """

    def __init__(self, path: Path | str) -> None:
        """Open the store at `path`, or in the folder that contains `path`, such as `runs/experiments.db`.

        Raises NotAStore, StorageFailure.
        """
        given = Path(path)
        is_inside = not (given / layout.STORE_FILE).is_file() and (given.parent / layout.STORE_FILE).is_file()
        self._store = Store(given.parent if is_inside else given)

    def as_state_provider(self, run_id: str) -> DatabaseStateProvider:
        """Return the state of a run, which is named by its id, a unique prefix of 4 or more digits, or a tag.

        Raises RunNotFound, AmbiguousRun, Damaged, StorageFailure.
        """
        return DatabaseStateProvider(self._store.resolve(run_id))
