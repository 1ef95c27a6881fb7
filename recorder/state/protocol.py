"""The questions that can be asked of an experiment, whether it runs now or ran years ago.

It holds no answers: they are in `provider`, and come from the log alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from exprec.recorder.events import Event


class ExperimentStateProvider(Protocol):
    """The state of one experiment. Positions of iterations count from 0, numbers in events from 1."""

    @property
    def run_id(self) -> str | None:
        """The address of a sealed run; the name of the work folder until then."""
        ...

    @property
    def is_sealed(self) -> bool:
        """Whether `run_id` is an address."""
        ...

    def get_experiment_info(self) -> dict[str, Any]:
        """experiment_name, experiment_type and the fields of `experiment_start`, as far as recorded."""
        ...

    def get_run_metadata(self) -> dict[str, Any]:
        """run_id, status and counts: what is known of the run rather than of the experiment."""
        ...

    def get_total_iterations(self) -> int:
        """How many iterations have begun."""
        ...

    def get_iteration_events(self, index: int) -> list[Event]:
        """All events of an iteration, in order. Raises IndexError."""
        ...

    def get_iteration_policies(self, index: int) -> dict[str, Any]:
        """Policies in force at the end of an iteration, by agent; empty while it runs. Raises IndexError."""
        ...

    def get_iteration_costs(self, index: int) -> dict[str, int]:
        """Costs at the start of an iteration by agent, in cents. Raises IndexError."""
        ...

    def get_iteration_accepted_changes(self, index: int) -> dict[str, bool]:
        """Whether a proposal of each agent was accepted; empty while the iteration runs. Raises IndexError."""
        ...

    def get_all_events(self) -> Iterator[Event]:
        """All events, in order."""
        ...

    def get_event_schemas(self) -> Mapping[str, Any]:
        """The schemas of the types of events that the author of the run declared, by their names, as the run embeds
        them. Of a stored run that is not sealed none is known."""
        ...

    def get_final_result(self) -> dict[str, Any] | None:
        """The fields of `experiment_end` (costs in cents) or of `run_end`; None unless the run completed."""
        ...
