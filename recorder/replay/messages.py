"""A difference between what was recorded and what is now, in words for people.

What differs is found in `values`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exprec.recorder.diff.json_values import ABSENT, Difference, differences
from exprec.recorder.format import canonical_json
from exprec.recorder.schema.engine import key_name, show_value

_SHOWN_DIFFERENCES = 8
_BEFORE, _AFTER = 24, 48
"""Characters shown of a text before and after the place from which on it differs."""


def difference_text(difference: Difference) -> str:
    """A recorded value and the one now in one line; of a text, the surroundings of the place from which it differs."""
    path, old, new = difference
    name = key_name(path)
    if old is ABSENT:
        return f"{name}: not recorded, now {show_value(new)}"
    if new is ABSENT:
        return f"{name}: recorded {show_value(old)}, now not there"
    if not isinstance(old, str) or not isinstance(new, str):
        return f"{name}: recorded {show_value(old)}, now {show_value(new)}"
    length = min(len(old), len(new))
    start = next((position for position in range(length) if old[position] != new[position]), length)
    line = old.count("\n", 0, start) + 1
    place = f", line {line}" if "\n" in old or "\n" in new else ""
    return f"{name}{place}: recorded {_excerpt(old, start)}, now {_excerpt(new, start)}"


def line_difference_text(recorded: bytes, found: bytes) -> str:
    """What a line of a log says now in the place of the recorded one: which it is, and each field that differs."""
    old, new = (canonical_json.decode(line) for line in (recorded, found))
    return "\n".join([f"{event_name(old)}:", *difference_lines(differences(old, new))])


def difference_lines(found: Sequence[Difference]) -> list[str]:
    """The first of these differences, an indented line each, and how many more there are."""
    lines = [f"  {difference_text(each)}" for each in found[:_SHOWN_DIFFERENCES]]
    if len(found) > _SHOWN_DIFFERENCES:
        lines.append(f"  and in {len(found) - _SHOWN_DIFFERENCES} more places")
    return lines


def event_name(record: Mapping[str, Any]) -> str:
    """An event or an exchange as people find it: `event 12 (policy_change, BANK_A, iteration 2)`."""
    is_event = "event_type" in record
    parts = [str(record[key]) for key in ("event_type", "agent_id") if record.get(key)]
    parts += [f"iteration {record['iteration']}"] if record.get("iteration") else []
    number = record.get("seq" if is_event else "index")
    return f"{'event' if is_event else 'exchange'} {number} ({', '.join(parts)})"


def _excerpt(text: str, position: int) -> str:
    """A part of the line of `text` that the position is in, around it; all of it when it is short."""
    first = max(text.rfind("\n", 0, position) + 1, position - _BEFORE)
    end = text.find("\n", position)
    last = min(len(text) if end < 0 else end, position + _AFTER)
    return f"{'…' if first else ''}{text[first:last]!r}{'…' if last < len(text) else ''}"
