"""The vocabulary of the log: what an event is, and the kinds of events that exprec records.

A new kind is one `EventSpec` here, one schema in schemas/, and one function in display/event_lines.
"""

from exprec.recorder.events import common, optimization
from exprec.recorder.events.event_types import EventTypes
from exprec.recorder.events.registry import EVENT_SPECS, TERMINAL_TYPES, exchange_index, is_failure
from exprec.recorder.events.spec import Event, EventSpec, event_fields

__all__ = [
    "EVENT_SPECS",
    "TERMINAL_TYPES",
    "Event",
    "EventSpec",
    "EventTypes",
    "common",
    "event_fields",
    "exchange_index",
    "is_failure",
    "optimization",
]
