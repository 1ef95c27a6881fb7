"""The registry of the kinds of events that only exprec records."""

from __future__ import annotations

from typing import Any

from exprec.recorder.events import common, optimization
from exprec.recorder.events.spec import Event, EventSpec

EVENT_SPECS: dict[str, EventSpec[Any]] = {spec.event_type: spec for spec in (*optimization.SPECS, *common.SPECS)}
"""Every kind by its type: those of an optimization experiment in the order in which they occur, then the others."""

TERMINAL_TYPES = frozenset(event_type for event_type, spec in EVENT_SPECS.items() if spec.is_terminal)
"""The types of events that end a run."""

_EXCHANGE_FIELDS = {name: spec.exchange_field for name, spec in EVENT_SPECS.items() if spec.exchange_field is not None}


def exchange_index(event: Event) -> Any:
    """What an event gives as the index of the model exchange it refers to; None if it refers to none."""
    field = _EXCHANGE_FIELDS.get(event["event_type"])
    return None if field is None else event.get(field)


def is_failure(event: Event) -> bool:
    """Whether an event ends its run as failed."""
    spec = EVENT_SPECS.get(event["event_type"])
    return spec is not None and spec.outcome == "failure"
