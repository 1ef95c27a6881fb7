"""A difference between what was recorded and what is now, in words for people.

What differs is found in `values`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from exprec.recorder.diagnostics import key_name, show_value, text_around
from exprec.recorder.diff import ABSENT, Difference, differences
from exprec.recorder.format import canonical_json

_SHOWN_DIFFERENCES = 8


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
    number, before, after = _first_other_line(old, new)
    place = f", line {number}" if "\n" in old or "\n" in new else ""
    shown, other = (text_around(one, two) for one, two in ((before, after), (after, before)))
    return f"{name}{place}: recorded {shown!r}, now {other!r}"


def _first_other_line(old: str, new: str) -> tuple[int, str, str]:
    """The first line in which two texts differ: its number, from 1, and what each text has there."""
    lines = zip_longest(old.split("\n"), new.split("\n"), fillvalue="")
    return next((number, one, two) for number, (one, two) in enumerate(lines, 1) if one != two)


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
