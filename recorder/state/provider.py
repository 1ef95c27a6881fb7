"""The two state providers: live, over the log being written, and stored, over the log on disk.

Both answer from one fold over decoded bytes; they differ only in where the bytes come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from exprec.recorder import events
from exprec.recorder.events import Event
from exprec.recorder.schema.event_types import is_declared
from exprec.recorder.state.reducer import Fold, Iteration
from exprec.recorder.store.log import EventLog, ExchangeLog, LogReader
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.work_run import Recording, Sealed

Listener = Callable[[Event], None]
"""Called with every event right after it was appended, as decoded from the bytes in the log."""


class _FoldedState:
    """Every answer of a provider, from a fold and the log it was made of."""

    def __init__(self, log: EventLog | LogReader, name: str, experiment_type: str) -> None:
        self._log = log
        self._name = name
        self._type = experiment_type

    @property
    def _fold(self) -> Fold:
        raise NotImplementedError

    def get_experiment_info(self) -> dict[str, Any]:
        return {"experiment_name": self._name, "experiment_type": self._type, **self._fold.info}

    def get_total_iterations(self) -> int:
        return len(self._fold.iterations)

    def get_iteration_events(self, index: int) -> list[Event]:
        iteration = self._iteration(index)
        return [entry.event for entry in self._log.entries(iteration.start, iteration.end)]

    def get_iteration_policies(self, index: int) -> dict[str, Any]:
        closing = self._iteration(index).closing
        if closing is None:
            return {}
        policies = next(self._log.entries(*closing)).event.get("policies")
        return policies if isinstance(policies, dict) else {}

    def get_iteration_costs(self, index: int) -> dict[str, int]:
        return dict(self._iteration(index).costs)

    def get_iteration_accepted_changes(self, index: int) -> dict[str, bool]:
        return dict(self._iteration(index).accepted)

    def get_all_events(self) -> Iterator[Event]:
        return (entry.event for entry in self._log.entries())

    def get_final_result(self) -> dict[str, Any] | None:
        return None if self._fold.result is None else dict(self._fold.result)

    def _metadata(self, run_id: str, status: str) -> dict[str, Any]:
        summary = self._fold.summary()
        return {"run_id": run_id, "status": status, "failure": summary.failure, **summary.counts}

    def _iteration(self, index: int) -> Iteration:
        if not 0 <= index < len(self._fold.iterations):
            raise IndexError(f"iteration index {index} of {len(self._fold.iterations)} iterations (from 0)")
        return self._fold.iterations[index]


class LiveStateProvider(_FoldedState):
    """The state of an experiment that runs now, and the only way to record its events."""

    def __init__(
        self,
        experiment_name: str,
        experiment_type: str = "generic",
        run_id: str | None = None,
        *,
        recording: Recording | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Record into `recording`, or into memory without one. `run_id` names the run until its seal."""
        self._events = recording.events if recording else EventLog()
        super().__init__(self._events, experiment_name, experiment_type)
        self._state = Fold()
        self._exchanges = recording.exchanges if recording else ExchangeLog()
        self._recording = recording
        self._run_id = run_id if run_id is not None or recording is None else recording.folder.name
        self._listener = listener
        self._sealed = False

    @property
    def _fold(self) -> Fold:
        return self._state

    @property
    def run_id(self) -> str | None:
        return self._run_id

    @property
    def is_sealed(self) -> bool:
        return self._sealed

    def get_event_schemas(self) -> Mapping[str, Any]:
        return self._events.types.schemas

    def get_run_metadata(self) -> dict[str, Any]:
        ended = self._fold.result is not None or self._fold.failure is not None
        return self._metadata(self._run_id or "", self._fold.summary().status if ended else "running")

    def record_event(self, iteration: int, event_type: str, fields: Mapping[str, Any]) -> Event:
        """Append an event, fold it and hand it to the listener, in this order; returns it as recorded.

        Raises InvalidEvent, NotEncodable, StorageFailure; the log is then as it was.
        """
        entry = self._events.append(event_type, iteration, fields)
        self._state.apply(entry)
        if self._listener is not None:
            self._listener(entry.event)
        return entry.event

    def record_iteration(
        self,
        iteration: int,
        costs_per_agent: Mapping[str, int],
        accepted_changes: Mapping[str, bool],
        policies: Mapping[str, Any],
        convergence: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the end of an iteration (`iteration` from 1, costs in cents), and have it all on the disk.

        `convergence` is what the iteration showed of it; an experiment without a criterion leaves it out.
        Raises as `record_event` does.
        """
        shown = {} if convergence is None else {"convergence": convergence}
        self.record_event(
            iteration,
            events.ITERATION_END,
            {"costs_per_agent": costs_per_agent, "accepted_changes": accepted_changes, "policies": policies, **shown},
        )
        self._exchanges.sync()
        self._events.sync()

    def record_final_result(self, final_cost: int, best_cost: int, converged: bool, convergence_reason: str) -> None:
        """Record the end of the experiment (costs in cents). Raises as `record_event` does."""
        self.record_event(
            0,
            events.EXPERIMENT_END,
            {
                "final_cost": final_cost,
                "best_cost": best_cost,
                "converged": converged,
                "convergence_reason": convergence_reason,
                "num_iterations": self.get_total_iterations(),
            },
        )

    def record_end(self, result: Mapping[str, Any]) -> None:
        """Record that a run which is no optimisation came to its end, and its result, whatever that is.

        Raises as `record_event` does.
        """
        self.record_event(0, events.RUN_END, result)

    def record_failure(self, error_type: str, message: str) -> None:
        """Record that the experiment failed, and why. Raises as `record_event` does."""
        self.record_event(0, events.EXPERIMENT_FAILED, {"error_type": error_type, "message": message})

    def record_exchange(self, exchange: Mapping[str, Any]) -> int:
        """Append a request to a model with its answer; returns its index. Raises as `record_event` does."""
        return self._exchanges.append(exchange)

    def seal(self) -> Sealed | None:
        """Seal the run, after which `run_id` is its address; None for a run in memory.

        Raises StorageFailure, Damaged.
        """
        if self._recording is None:
            return None
        sealed = self._recording.seal(self._fold.summary())
        self._run_id, self._sealed = sealed.run_id, True
        self._log = RunDirectory(sealed.path).reader()
        return sealed

    def close(self) -> None:
        """Leave the run unsealed; all that was recorded stays in its work folder."""
        if self._recording is not None and not self._sealed:
            self._recording.close()


class StoredStateProvider(_FoldedState):
    """The state of an experiment that was recorded, read from its directory."""

    def __init__(self, run: RunDirectory) -> None:
        """Open the log of a run, sealed or not. Raises Damaged, StorageFailure; so does every answer."""
        self._run = run
        self._reader = run.reader()
        super().__init__(self._reader, run.name, run.type)

    @cached_property
    def _fold(self) -> Fold:
        # Made when first asked for: to print a log, its events are enough.
        fold = Fold()
        for entry in self._reader.entries():
            fold.apply(entry)
        return fold

    @property
    def torn_bytes(self) -> int:
        """Bytes of a last line that a crash cut off, known once the log was read to its end; they are no event."""
        return self._reader.torn_bytes

    @property
    def run_id(self) -> str | None:
        return self._run.run_id

    @property
    def is_sealed(self) -> bool:
        return self._run.is_sealed

    def get_event_schemas(self) -> Mapping[str, Any]:
        return {name: schema for name, schema in self._run.schemas.items() if is_declared(name)}

    def get_run_metadata(self) -> dict[str, Any]:
        return self._metadata(self._run.run_id, self._run.status)
