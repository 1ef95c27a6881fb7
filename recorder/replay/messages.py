"""Events and the differences between two of them as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprec.recorder.diff import difference_lines, differences
from exprec.recorder.format import canonical_json


def line_difference_text(recorded: bytes, executed: bytes) -> str:
    """Describe how a line of a log differs from the recorded one: its name, and each field that differs."""
    old, new = (canonical_json.decode(line) for line in (recorded, executed))
    return "\n".join([f"{event_name(old)}:", *difference_lines(differences(old, new))])


def event_name(record: Mapping[str, Any]) -> str:
    """Return the description of an event or an exchange: `event 12 (policy_change, BANK_A, iteration 2)`."""
    is_event = "event_type" in record
    parts = [str(record[key]) for key in ("event_type", "agent_id") if record.get(key)]
    parts += [f"iteration {record['iteration']}"] if record.get("iteration") else []
    number = record.get("seq" if is_event else "index")
    return f"{'event' if is_event else 'exchange'} {number} ({', '.join(parts)})"
