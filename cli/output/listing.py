"""The listing of runs as a table, one line per run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from exprec.cli.output.tables import GAP, align_row, cell_lengths, column_widths
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line, Span, cell_len, crop_text, short_cost
from exprec.recorder.events import optimization
from exprec.recorder.query import DAMAGED, RunRow

SAME_INPUTS = "≠"
"""Marks a run with the same inputs as another run, but a different result."""

_WIDTH = 100
_UNKNOWN = "–"
_LONGEST_NAME, _SHORTEST_NAME = 40, 14
_SHORT_TAGS = 12
_LONGEST_MODE = 9
_LONGEST_UNIT = 12
_MODE_PREFIX = "deterministic-"
"""The common prefix of modes, which is left out."""
_STATUS_STYLES = {"completed": "good", "failed": "bad", DAMAGED: "bad", "running": "agent", "interrupted": "quiet"}


class _Column(NamedTuple):
    header: str
    style: str = ""
    is_number: bool = False
    is_optional: bool = False
    """Whether it is left out if no run has a value."""


_COLUMNS = (
    _Column("run", "strong"),
    _Column("name"),
    _Column("status"),
    _Column("mode", is_optional=True),
    _Column("it", is_number=True, is_optional=True),
    _Column("first→best→final", is_number=True, is_optional=True),
    _Column("conv", is_optional=True),
    _Column("failed", "bad", is_number=True, is_optional=True),
    _Column("recorded (UTC)", "quiet"),
    _Column("n", is_number=True),
    _Column("tags", "agent"),
)
_NAME, _STATUS, _TAGS = 1, 2, 10


def listing_lines(rows: Sequence[RunRow], *, with_tags: bool = True) -> Iterator[Line]:
    """Yield a header and a line per run, which are never wrapped; tags are the last column.

    Names are cut so that a line with a short tag takes at most 100 cells, if the other columns leave room.
    """
    lines = [_cells(row) for row in rows]
    shown = [index for index in range(len(_COLUMNS)) if _is_shown(index, lines, with_tags=with_tags)]
    header = [_COLUMNS[index].header for index in shown]
    table = [header, *([cells[index] for index in shown] for cells in lines)]
    lengths = [cell_lengths(cells) for cells in table]
    widths = column_widths(lengths)
    others = sum(widths) - widths[_NAME] + len(GAP) * (len(shown) - 1)
    others -= max(0, widths[-1] - _SHORT_TAGS) if with_tags else 0
    name_width = widths[_NAME] = min(widths[_NAME], _LONGEST_NAME, max(_WIDTH - others, _SHORTEST_NAME))
    right = [position for position, index in enumerate(shown) if _COLUMNS[index].is_number]
    yield Line(align_row([(text, "quiet") for text in header], lengths[0], widths, right=right), whole=True)
    styles = [_COLUMNS[index].style for index in shown]
    for row, cells, measured in zip(rows, table[1:], lengths[1:], strict=True):
        if measured[_NAME] > name_width:
            cells[_NAME] = _cut(cells[_NAME], name_width)
            measured[_NAME] = cell_len(cells[_NAME])
        styles[_STATUS] = _STATUS_STYLES.get(row.status, "")
        styled: list[Span] = list(zip(cells, styles, strict=True))
        yield Line(align_row(styled, measured, widths, right=right), whole=True)


def _is_shown(index: int, lines: Sequence[Sequence[str]], *, with_tags: bool) -> bool:
    if index == _TAGS:
        return with_tags
    return not _COLUMNS[index].is_optional or any(cells[index] != _UNKNOWN for cells in lines)


def _cells(row: RunRow) -> list[str]:
    converged = None if row.converged is None else "yes" if row.converged else "no"
    # The time in an execution record may be any text.
    recorded = None if row.recorded_at is None else row.recorded_at[:16].replace("T", " ")
    return [
        row.short_id + (SAME_INPUTS if row.shares_inputs else ""),
        visible(row.name) or _UNKNOWN,
        row.status,
        _command_end(row) or _cut(_value(row.mode).removeprefix(_MODE_PREFIX), _LONGEST_MODE),
        _value(row.iterations),
        _costs(row),
        _value(converged),
        _failed_calls(row.proposals),
        _value(recorded),
        str(row.executions) if row.is_sealed else _UNKNOWN,
        visible(", ".join(row.tags)),
    ]


def _failed_calls(proposals: Mapping[str, int] | None) -> str:
    """How many proposals never came, of how many."""
    if proposals is None or not proposals["failed"]:
        return _UNKNOWN
    return f"{proposals['failed']}/{sum(proposals.values())}"


def _costs(row: RunRow) -> str:
    costs = (row.first_cost, row.best_cost, row.final_cost)
    if costs == (None, None, None):
        return _UNKNOWN
    return "→".join(_UNKNOWN if cost is None else short_cost(cost) for cost in costs) + unit_suffix(row.cost_unit)


def unit_suffix(unit: str | None) -> str:
    """Return what follows a cost in this unit: a space and the unit, nothing for cents."""
    return "" if unit in (None, optimization.CENTS) else f" {_cut(_value(unit), _LONGEST_UNIT)}"


def _command_end(row: RunRow) -> str | None:
    """Return how a command ended, which is shown instead of the mode; None for other runs."""
    if row.exit_status is not None:
        return f"exit {row.exit_status}"
    return visible(row.signal) if row.signal is not None else None


def _value(value: int | str | None) -> str:
    return _UNKNOWN if value is None else visible(str(value))


def _cut(text: str, cells: int) -> str:
    """Return the text, with an ellipsis for what does not fit into `cells` cells."""
    return text if cell_len(text) <= cells else f"{crop_text(text, cells - 1).rstrip()}…"
