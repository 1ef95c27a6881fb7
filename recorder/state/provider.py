"""The two state providers: live, over the log being written, and stored, over a log that was written.

Both answer from one reducer over events decoded from the bytes of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import InvalidEvent, Problem
from exprec.recorder.events import Event, EventTypes, common, optimization
from exprec.recorder.format import canonical_json
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
        return {"experiment_name": name, "experiment_type": experiment_type, **self._state.info, "run_id": self.run_id}

    @property
    def run_id(self) -> str | None:
        raise NotImplementedError

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

    def get_iteration_costs(self, index: int) -> dict[str, optimization.Cost]:
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
        config: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        *,
        recording: WorkRun | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Record into `recording`, or into memory without one.

        Args:
            experiment_name: The name of the run.
            experiment_type: Its type.
            config: What `config` returns; of a run in memory only, because a recording has one.
            run_id: The name of the run until its seal; None: the name of its work folder, and one made of the name
                and the config for a run in memory.
            recording: The run in progress to record into. A run in memory also takes events of undeclared types.
            listener: Gets each event after it was appended.
        """
        self._events = recording.events if recording else log.EventLog(types=EventTypes(strict=False))
        super().__init__(self._events)
        self._name, self._type = experiment_name, experiment_type
        self._best_policies: dict[str, Any] = {}
        self._reducer = Reducer()
        self._exchanges = recording.exchanges if recording else log.ExchangeLog()
        self._recording = recording
        self._config = dict(config or {})
        self._run_id = run_id or (recording.folder.name if recording else _memory_name(experiment_name, self._config))
        self._listener = listener
        self._sealed = False

    @property
    def _state(self) -> Reducer:
        return self._reducer

    @property
    def _identity(self) -> tuple[str, str]:
        return self._name, self._type

    @property
    def run_id(self) -> str:
        """The run id once the run is sealed; before the given name, or the name of the work folder."""
        return self._run_id

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the run."""
        return self._config

    @property
    def is_sealed(self) -> bool:
        """Whether the run is sealed."""
        return self._sealed

    def get_display_templates(self) -> Mapping[str, DisplayTemplate]:
        """Return the display templates of the declared event types by type."""
        return self._events.types.templates

    def get_run_metadata(self) -> dict[str, Any]:
        """Return name, type, status and counts of the run."""
        return self._metadata(self._run_id, self._state.status if self._state.has_ended else "running")

    def record_event(self, iteration: int, event_type: str, event_data: Mapping[str, Any]) -> Event:
        """Append an event, apply it to the state and hand it to the listener, in this order; returns it as recorded.

        `iteration` counts from 1, and is 0 outside of iterations; `event_data` are the fields of the type. Raises
        InvalidEvent, NotEncodable, SecretFound, StorageFailure; log and state are then as before.
        """
        entry = self._events.append(event_type, iteration, event_data)
        self._reducer.apply(entry)
        if self._listener is not None:
            self._listener(entry.event)
        return entry.event

    def record_iteration(
        self,
        iteration: int,
        costs_per_agent: Mapping[str, optimization.Cost],
        accepted_changes: Mapping[str, bool],
        policies: Mapping[str, Any],
        convergence: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the end of an iteration (`iteration` from 0), and sync the log to disk.

        `convergence` is the state of the convergence criterion; None for an experiment without one. Raises as
        `record_event` does.
        """
        fields = {"costs_per_agent": costs_per_agent, "accepted_changes": accepted_changes, "policies": policies}
        if convergence is not None:
            fields["convergence"] = convergence
        self.record_event(iteration + 1, optimization.ITERATION_END.event_type, fields)
        self._exchanges.sync()
        self._events.sync()

    @property
    def proposals(self) -> Mapping[str, int]:
        """The number of proposals so far that were `usable`, `rejected` for what they are, and `failed` to come."""
        return self._reducer.proposals

    def set_best_policies(self, fields: Mapping[str, Any]) -> None:
        """Set the fields about the best policies that `set_final_result` records with the result."""
        self._best_policies = dict(fields)

    def set_final_result(
        self, final_cost: optimization.Cost, best_cost: optimization.Cost, converged: bool, convergence_reason: str
    ) -> None:
        """Record the end of the experiment, unless an event `experiment_end` recorded the same.

        Raises as `record_event` does; InvalidEvent if another result was recorded.
        """
        given = {
            "final_cost": final_cost,
            "best_cost": best_cost,
            "converged": converged,
            "convergence_reason": convergence_reason,
        }
        recorded = self._reducer.result
        if recorded is None:
            counted: dict[str, Any] = {"num_iterations": self.get_total_iterations()}
            if any(self.proposals.values()):
                counted["proposals"] = dict(self.proposals)
            self.record_event(0, optimization.EXPERIMENT_END.event_type, given | counted | self._best_policies)
            return
        for key, value in given.items():
            if recorded.get(key) != value:
                before, now = show_value(recorded.get(key)), show_value(value)
                message = f"is {before} in the result recorded before, not {now}"
                raise InvalidEvent(optimization.EXPERIMENT_END.event_type, [Problem((key,), message, key)])

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


def _memory_name(experiment_name: str, config: Mapping[str, Any]) -> str:
    """Return the name of a run in memory: 16 hex digits, as work folders have, from what is known of the run."""
    # Imported here because commands that read runs do not need it.
    import hashlib

    return hashlib.sha256(canonical_json.encode([experiment_name, config])).hexdigest()[:16]


class DatabaseStateProvider(_ReducedState):
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
    def run_id(self) -> str:
        """The run id of a sealed run; the name of the work folder of another."""
        return self._run.run_id

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the run."""
        return self._run.config

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


StoredStateProvider = DatabaseStateProvider
"""The name of exprec 0.1."""
