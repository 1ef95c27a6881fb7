"""The outcome of one simulation as a table of balances and costs.

It prints nothing, and computes nothing but the row of totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

from exprec.recorder.diagnostics import visible
from exprec.recorder.display import cell_len
from exprec.recorder.payments import AgentResult, SimulationResult

_GAP = "  "


def outcome_table(outcome: SimulationResult) -> str:
    """The table, without a final newline: a row for each agent in the order of the scenario, and their sums."""
    figures = [astuple(result) for result in outcome.agents.values()]
    sums = [sum(column) for column in zip(*figures, strict=True)]
    rows = [
        ["cents", *(field.name for field in fields(AgentResult))],
        *([visible(agent), *map(str, row)] for agent, row in zip(outcome.agents, figures, strict=True)),
        ["all agents", *map(str, sums)],
    ]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = [_row(row, widths) for row in rows]
    return "\n".join([*lines, "", _counts(outcome)])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The first cell to the left, the figures to the right; wide characters take two columns."""
    first, *figures = (" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    padded = [cells[0] + first, *(space + cell for space, cell in zip(figures, cells[1:], strict=True))]
    return _GAP.join(padded).rstrip()


def _counts(outcome: SimulationResult) -> str:
    parts = f" ({outcome.total} including the parts of split payments)" if outcome.total > outcome.arrivals else ""
    return f"{outcome.settled} of {outcome.arrivals} payments settled{parts}"
