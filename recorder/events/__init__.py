"""The vocabulary of the log: what an event is and which types there are.

The fields of each type are told by its schema, not here. Nothing here reads or writes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from exprec import schemas

Event = dict[str, Any]
"""A decoded event: `seq`, `event_type`, `iteration` and the fields of its type beside them."""

ENVELOPE = ("seq", "event_type", "iteration")

EXPERIMENT_START = "experiment_start"
ITERATION_START = "iteration_start"
BOOTSTRAP_EVALUATION = "bootstrap_evaluation"
LLM_CALL = "llm_call"
POLICY_CHANGE = "policy_change"
POLICY_REJECTED = "policy_rejected"
ITERATION_END = "iteration_end"
EXPERIMENT_END = "experiment_end"
EXPERIMENT_FAILED = "experiment_failed"
RUN_END = "run_end"
COMMAND_END = "command_end"

EVENT_TYPES = (
    EXPERIMENT_START,
    ITERATION_START,
    BOOTSTRAP_EVALUATION,
    LLM_CALL,
    POLICY_CHANGE,
    POLICY_REJECTED,
    ITERATION_END,
    EXPERIMENT_END,
    EXPERIMENT_FAILED,
)
"""The types of an optimisation experiment, in the order in which they may come."""

OTHER_TYPES = (COMMAND_END, RUN_END)
"""The types of runs of another kind, which a program or a command recorded; `experiment_failed` ends these too."""

OWN_TYPES = frozenset((*EVENT_TYPES, *OTHER_TYPES))
"""The types that only exprec records."""


@cache
def schema_name(event_type: str) -> str | None:
    """The newest schema of an event type (`event.llm_call.v1`); None for a type without one."""
    prefix = f"event.{event_type}.v"
    versions = [int(name.removeprefix(prefix)) for name in schemas.names() if name.startswith(prefix)]
    return f"{prefix}{max(versions)}" if versions else None


def fields(event: Event) -> dict[str, Any]:
    """The fields of an event without its envelope."""
    return {key: value for key, value in event.items() if key not in ENVELOPE}
