"""The questions about a run, in progress or recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from exprec.recorder.events import Event, optimization
from exprec.recorder.schema import DisplayTemplate


class ExperimentStateProviderProtocol(Protocol):
    """The state of one run. `index` counts iterations from 0; the numbers of iterations in events count from 1."""

    @property
    def run_id(self) -> str:
        """The run id of a sealed run; until the seal the name of the work folder."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the run."""
        ...

    @property
    def is_sealed(self) -> bool:
        """Whether the run is sealed."""
        ...

    def get_experiment_info(self) -> dict[str, Any]:
        """Return experiment_name, experiment_type, run_id and the recorded fields of `experiment_start`."""
        ...

    def get_run_metadata(self) -> dict[str, Any]:
        """Return run_id, status, failure, events, iterations and by_type (the number of events by type)."""
        ...

    def get_total_iterations(self) -> int:
        """Return the number of iterations that have begun."""
        ...

    def get_iteration_events(self, index: int) -> list[Event]:
        """Return all events of an iteration, in order. Raises IndexError."""
        ...

    def get_iteration_policies(self, index: int) -> dict[str, Any]:
        """Return the current policies at the end of an iteration, by agent; {} before its end. Raises IndexError."""
        ...

    def get_iteration_costs(self, index: int) -> dict[str, optimization.Cost]:
        """Return the costs at the start of an iteration by agent. Raises IndexError."""
        ...

    def get_iteration_accepted_changes(self, index: int) -> dict[str, bool]:
        """Return by agent whether its proposal was accepted; {} before the end of the iteration. Raises IndexError."""
        ...

    def get_all_events(self) -> Iterator[Event]:
        """Return all events, in order, one at a time."""
        ...

    def get_display_templates(self) -> Mapping[str, DisplayTemplate]:
        """Return the display templates of the event types that the author of the run declared, by type.

        A stored run that is not sealed has none.
        """
        ...

    def get_final_result(self) -> dict[str, Any] | None:
        """Return the fields of `experiment_end` or of `run_end`; None before that event."""
        ...


ExperimentStateProvider = ExperimentStateProviderProtocol
"""The name of exprec 0.1."""
