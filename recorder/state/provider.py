"""The two state providers: live, over the log being written, and stored, over a log that was written.

Both answer from one reducer over events decoded from the bytes of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exprec.recorder.events import Event, EventTypes, common, optimization
from exprec.recorder.schema import DisplayTemplate
from exprec.recorder.state.reducer import Iteration, Reducer
from exprec.recorder.store import RunDirectory, log

if TYPE_CHECKING:
    # These belong to what records runs, which commands that read runs do not load.
    from exprec.recorder.store import Sealed, WorkRun

Listener = Callable[[Event], None]
"""Gets every event right after it was appended, as decoded from the bytes in the log."""


class _ReducedState:
    """The answers that both providers share: from a reducer, and from the log it was applied to."""

    def __init__(self, events: log.EventLog | log.LogReader) -> None:
        self._log: log.EventLog | log.LogReader = events

    @property
    def _state(self) -> Reducer:
        raise NotImplementedError

    @property
    def _identity(self) -> tuple[str, str]:
        """Name and type of the experiment."""
        raise NotImplementedError

    def get_experiment_info(self) -> dict[str, Any]:
        name, experiment_type = self._identity
        return {"experiment_name": name, "experiment_type": experiment_type, **self._state.info}

    def get_total_iterations(self) -> int:
        return len(self._state.iterations)

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
        return None if self._state.result is None else dict(self._state.result)

    def _metadata(self, run_id: str, status: str) -> dict[str, Any]:
        summary = self._state.summary()
        return {"run_id": run_id, "status": status, "failure": summary.failure, **summary.counts}

    def _iteration(self, index: int) -> Iteration:
        if not 0 <= index < len(self._state.iterations):
            raise IndexError(f"iteration index {index} of {len(self._state.iterations)} iterations (from 0)")
        return self._state.iterations[index]


class LiveStateProvider(_ReducedState):
    """The state of a run in progress, and the only way to record its events."""

    def __init__(
        self,
        experiment_name: str,
        experiment_type: str = "generic",
        run_id: str | None = None,
        *,
        recording: WorkRun | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Record into `recording`, or into memory without one.

        `run_id` names the run until its seal; the default is the name of its work folder. `listener` gets each event
        after it was appended.
        """
        self._events = recording.events if recording else log.EventLog()
        super().__init__(self._events)
        self._name, self._type = experiment_name, experiment_type
        self._reducer = Reducer()
        self._exchanges = recording.exchanges if recording else log.ExchangeLog()
        self._recording = recording
        self._run_id = run_id if run_id is not None or recording is None else recording.folder.name
        self._listener = listener
        self._sealed = False

    @property
    def _state(self) -> Reducer:
        return self._reducer

    @property
    def _identity(self) -> tuple[str, str]:
        return self._name, self._type

    @property
    def run_id(self) -> str | None:
        """The run id once the run is sealed; None before."""
        return self._run_id

    @property
    def is_sealed(self) -> bool:
        """Whether the run is sealed."""
        return self._sealed

    def get_display_templates(self) -> Mapping[str, DisplayTemplate]:
        """Return the display templates of the declared event types by type."""
        return self._events.types.templates

    def get_run_metadata(self) -> dict[str, Any]:
        """Return name, type, status and counts of the run."""
        return self._metadata(self._run_id or "", self._state.status if self._state.has_ended else "running")

    def record_event(self, iteration: int, event_type: str, fields: Mapping[str, Any]) -> Event:
        """Append an event, apply it to the state and hand it to the listener, in this order; returns it as recorded.

        Raises InvalidEvent, NotEncodable, SecretFound, StorageFailure; log and state are then as before.
        """
        entry = self._events.append(event_type, iteration, fields)
        self._reducer.apply(entry)
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
        """Record the end of an iteration (`iteration` from 1, costs in cents), and sync the log to disk.

        `convergence` is the state of the convergence criterion; None for an experiment without one. Raises as
        `record_event` does.
        """
        fields = {"costs_per_agent": costs_per_agent, "accepted_changes": accepted_changes, "policies": policies}
        if convergence is not None:
            fields["convergence"] = convergence
        self.record_event(iteration, optimization.ITERATION_END.event_type, fields)
        self._exchanges.sync()
        self._events.sync()

    def record_final_result(self, final_cost: int, best_cost: int, converged: bool, convergence_reason: str) -> None:
        """Record the end of the experiment (costs in cents). Raises as `record_event` does."""
        fields = {
            "final_cost": final_cost,
            "best_cost": best_cost,
            "converged": converged,
            "convergence_reason": convergence_reason,
            "num_iterations": self.get_total_iterations(),
        }
        self.record_event(0, optimization.EXPERIMENT_END.event_type, fields)

    def record_end(self, result: Mapping[str, Any]) -> None:
        """Record the end and the result of a run that is not an optimisation. Raises as `record_event` does."""
        self.record_event(0, common.RUN_END.event_type, result)

    def record_failure(self, error_type: str, message: str) -> None:
        """Record the failure of the run as its end. Raises as `record_event` does."""
        self.record_event(0, common.EXPERIMENT_FAILED.event_type, {"error_type": error_type, "message": message})

    def record_exchange(self, exchange: Mapping[str, Any]) -> int:
        """Append a request to a model with its response; returns its index. Raises as `record_event` does."""
        return self._exchanges.append(exchange)

    def seal(self) -> Sealed | None:
        """Seal the run, after which `run_id` is its run id; None for a run in memory.

        Raises StorageFailure, SecretFound, or Damaged when the store has another run under this run id.
        """
        if self._recording is None:
            return None
        sealed = self._recording.seal(self._state.summary())
        self._run_id, self._sealed = sealed.run_id, True
        self._log = RunDirectory(sealed.path).reader()
        return sealed

    def close(self) -> None:
        """Leave the run interrupted: everything recorded stays in its work folder."""
        if self._recording is not None and not self._sealed:
            self._recording.close()


class StoredStateProvider(_ReducedState):
    """The state of a recorded run, sealed or not, read from its log, which is opened once.

    Every answer raises Damaged or StorageFailure where the run cannot be read.
    """

    def __init__(self, run: RunDirectory) -> None:
        """Open the log of a run. Raises Damaged, StorageFailure."""
        self._run = run
        self._reader = run.reader()
        super().__init__(self._reader)

    @property
    def _identity(self) -> tuple[str, str]:
        # Read on first use: the log of a run that was interrupted before its head was written can be shown.
        return self._run.name, self._run.type

    @cached_property
    def _state(self) -> Reducer:
        # Computed on first use: printing a log takes its events alone.
        state = Reducer()
        state.apply_all(self._reader.entries())
        return state

    @property
    def torn_bytes(self) -> int | None:
        """The bytes of a torn last line, which is not an event; None until the log was read to its end."""
        return self._reader.torn_bytes

    @property
    def run_id(self) -> str | None:
        """The run id of a sealed run; None for an unsealed one."""
        return self._run.run_id

    @property
    def is_sealed(self) -> bool:
        """Whether the run is sealed."""
        return self._run.is_sealed

    def entries(self) -> Iterator[log.Entry]:
        """Return all events with the lines that hold them, in order, one at a time."""
        return self._reader.entries()

    def get_display_templates(self) -> Mapping[str, DisplayTemplate]:
        """Return the display templates of the declared event types by type."""
        return EventTypes.recorded_templates(self._run.schemas)

    def get_run_metadata(self) -> dict[str, Any]:
        """Return name, type, status and counts of the run."""
        return self._metadata(self._run.run_id, self._run.status)
