"""What exprec knows of a kind of event: `EventSpec`, and what every event has."""

from __future__ import annotations

from functools import cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from exprec import schemas
from exprec.recorder.format import layout

Event = dict[str, Any]
"""A decoded event: `seq`, `event_type`, `iteration` and the fields of its type beside them."""

Payload = TypeVar("Payload")


class EventSpec(NamedTuple, Generic[Payload]):
    """One kind of event. All that depends on the kind and is not shown to people is asked here."""

    event_type: str
    payload: type[Payload]
    """The type of its fields without the envelope."""
    scope: Literal["run", "experiment", "iteration"]
    """Where it occurs: in a run of any type, in an optimization experiment, or in an iteration of one."""
    outcome: Literal["result", "failure"] | None = None
    """What its fields are if it is the last event of a run; None for an event that others follow."""
    switch: str | None = None
    """The switch of `VerboseConfig` that shows it; None for an event that is always shown."""
    rejected_switch: str | None = None
    """The switch that shows it instead if its field `accepted` is false."""
    exchange_field: str | None = None
    """The field with the index of a model exchange of the run, if it refers to one."""
    measured_fields: frozenset[str] = frozenset()
    """Fields that another execution of the same experiment measures anew, such as latency."""

    @property
    def is_terminal(self) -> bool:
        """Whether it is the last event of a run."""
        return self.outcome is not None

    @property
    def schema_name(self) -> str:
        """The newest schema of its events, such as `event.llm_call.v1`."""
        return newest_schema(self.event_type)


@cache
def newest_schema(event_type: str) -> str:
    """The name of the schema of an event type that has the highest version. Raises ValueError if it has none."""
    prefix = f"event.{event_type}.v"
    return f"{prefix}{max(int(name.removeprefix(prefix)) for name in schemas.names() if name.startswith(prefix))}"


def event_fields(event: Event) -> dict[str, Any]:
    """The fields of an event without its envelope."""
    fields = event.copy()
    for key in layout.ENVELOPE:
        fields.pop(key, None)
    return fields
