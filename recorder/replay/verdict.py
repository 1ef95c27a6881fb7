"""What executing a run again came to: a verdict, and how two events that should be one differ."""

from __future__ import annotations

from dataclasses import dataclass

from exprec.recorder.diff import Difference, differences
from exprec.recorder.events import Event
from exprec.recorder.format import layout

IDENTICAL, DIVERGED, CANNOT_RUN = "identical", "diverged", "cannot_run"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What executing a run again came to."""

    outcome: str
    """`identical` (the same run id), `diverged`, or `cannot_run`, which says nothing about the run."""
    identical_events: int
    """How many events came again, byte for byte, before anything else did."""
    event: Event | None = None
    """The recorded event in whose place something else came; None where the record had ended, and for a file."""
    file: str = layout.EVENTS_FILE
    """The file that differs."""
    found: tuple[Difference, ...] = ()
    """What differs there: old is recorded, new is what came."""
    reasons: tuple[str, ...] = ()
    """What else there is to say of it, in sentences."""


def parting(recorded: Event | None, came: Event | None) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """How an event that came differs from the recorded one, None where there is none; and what to say of it."""
    if recorded is None:
        return (), (f"the record ends here, and {came['event_type']} came",) if came is not None else ()
    if came is None:
        return (), ("the execution ended before it",)
    if recorded["event_type"] != came["event_type"]:
        # Two kinds of event have few fields in common: all of them would say less.
        return (Difference(("event_type",), recorded["event_type"], came["event_type"]),), ()
    return tuple(differences(recorded, came)), ()
