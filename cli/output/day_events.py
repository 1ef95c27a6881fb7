"""The events of a simulated day as lines, tick by tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from exprec.cli.output.tables import align_row, cell_lengths, column_widths
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line

if TYPE_CHECKING:
    from exprec.recorder.payments import DayEvent

_INDENT = 2
_AMOUNT = 2
"""The column that is aligned to the right."""
_LABELS = {"tick_end": "balance", "cap_change": "cap"}
_STYLES = {"settlement": "good", "offset": "good", "penalty": "bad", "tick_end": "quiet"}
_VIA = {"release": "", "queue": "from the queue, ", "offset": "by offset, "}
_COUNTS = ("held", "queued", "delay", "liquidity", "opportunity")


def day_lines(events: Sequence[DayEvent]) -> Iterator[Line]:
    """Yield a title per tick, and a line per event below it; the columns are aligned over all ticks."""
    rows = [_cells(event) for event in events]
    lengths = [cell_lengths(row) for row in rows]
    widths = column_widths(lengths)
    is_first = True
    for tick, group in groupby(zip(events, rows, lengths, strict=True), key=lambda each: each[0].tick):
        if not is_first:
            yield Line()
        is_first = False
        yield Line.of((f"Tick {tick}", "strong"))
        for event, (label, *others), measured in group:
            spans = [(label, _STYLES.get(event.event_type, "")), *((cell, "") for cell in others)]
            yield Line(align_row(spans, measured, widths, right=(_AMOUNT,)), indent=_INDENT)


def _cells(event: DayEvent) -> tuple[str, str, str, str]:
    """Return what happens and to which payment, the agents, the amount, and more about it."""
    values = event.values
    label = _LABELS.get(event.event_type, event.event_type)
    payment = f" {values['tx']}" if "tx" in values else ""
    agents = (" → " if "sender" in values else ", ").join(map(visible, event.agents))
    amount = next(values[name] for name in ("cap", "balance", "amount") if name in values)
    return f"{label}{payment}", agents, str(amount), _details(event.event_type, values)


def _details(event_type: str, values: Mapping[str, Any]) -> str:
    """Return what an event has beside the payment, the agents and the amount."""
    match event_type:
        case "arrival":
            return f"due {values['deadline']}, priority {values['priority']}"
        case "settlement":
            return f"{_VIA[values['via']]}balances {values['sender_balance']}, {values['receiver_balance']}"
        case "split":
            return f"into {', '.join(values['part_txs'])}, cost {values['cost']}"
        case "offset":
            return f"{values['form']} of {', '.join(values['txs'])}"
        case "penalty":
            return f"{values['reason'].replace('_', ' ')}, cost {values['cost']}"
        case "transfer":
            return "" if values["applied"] else "skipped: not covered"
        case _:
            return _agent_details(event_type, values)


def _agent_details(event_type: str, values: Mapping[str, Any]) -> str:
    match event_type:
        case "cap_change":
            return f"changed by {values['delta']}"
        case "credit":
            return f"after {values['amount']} from others"
        case "tick_end":
            return ", ".join(f"{name} {values[name]}" for name in _COUNTS if values[name])
        case "opening" if values["allocated"]:
            return f"allocated {values['allocated']}"
        case "closing" if values["returned"]:
            return f"returned {values['returned']}"
        case _:
            return ""
