"""The kinds of events of runs of any type: how a recorded command ended, and the end of a run."""

from __future__ import annotations

from typing import Any, TypedDict

from exprec.recorder.events.spec import EventSpec


class FailureFields(TypedDict):
    """Why a run failed."""

    error_type: str
    message: str


class CommandEndFields(TypedDict):
    """How a recorded command ended. Both are None for a command that could not be started."""

    exit_status: int | None
    """0 to 255; None if a signal ended it."""
    signal: str | None
    """The name of the signal that ended it, such as SIGKILL."""


EXPERIMENT_FAILED = EventSpec("experiment_failed", FailureFields, "run", outcome="failure")
COMMAND_END = EventSpec("command_end", CommandEndFields, "run")
RUN_END = EventSpec("run_end", dict[str, Any], "run", outcome="result")
"""Its fields are the result, which the author of the run chooses."""

ANY_EVENT_SCHEMA = "event.v1"
"""The schema of an event of a type that is neither one of these kinds nor declared."""

SPECS = (EXPERIMENT_FAILED, COMMAND_END, RUN_END)
