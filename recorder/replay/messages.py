"""Recorded events, and what became of them when the run was executed again, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprec.recorder.diff import difference_lines, differences
from exprec.recorder.format import canonical_json


def line_difference_text(recorded: bytes, found: bytes) -> str:
    """What a line of a log says now in the place of the recorded one: which it is, and each field that differs."""
    old, new = (canonical_json.decode(line) for line in (recorded, found))
    return "\n".join([f"{event_name(old)}:", *difference_lines(differences(old, new))])


def event_name(record: Mapping[str, Any]) -> str:
    """An event or an exchange as people find it: `event 12 (policy_change, BANK_A, iteration 2)`."""
    is_event = "event_type" in record
    parts = [str(record[key]) for key in ("event_type", "agent_id") if record.get(key)]
    parts += [f"iteration {record['iteration']}"] if record.get("iteration") else []
    number = record.get("seq" if is_event else "index")
    return f"{'event' if is_event else 'exchange'} {number} ({', '.join(parts)})"
