"""The runs of a store as a table: a line a run.

It prints nothing, and decides neither which runs there are nor their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line, Span, cell_len, crop_text
from exprec.recorder.query import DAMAGED, RunRow

SAME_INPUTS = "≠"
"""Behind the id of a run whose inputs another run has too, at another address."""

_WIDTH = 100
_GAP = "  "
_UNKNOWN = "–"
_NAME, _LONGEST_NAME, _SHORTEST_NAME = 1, 40, 14
_SHORT_TAGS = 12
_LONGEST_MODE = 9
_FAMILY = "deterministic-"
"""Left out of a mode: the rest of it tells the modes apart."""
_FIGURES = (4, 5, 8)
"""The columns that are aligned to the right."""
_HEADER = ("run", "name", "status", "mode", "it", "first→best→final", "conv", "recorded (UTC)", "n", "tags")
_STATUS_STYLES = {"completed": "good", "failed": "bad", DAMAGED: "bad", "running": "agent", "interrupted": "quiet"}
_STATUS, _TAGS = 2, 9
_OPTIONAL = (3, 4, 5, 6)
"""The columns with what not every kind of run has: mode, iterations, costs, convergence."""
_STYLES = {0: "strong", 7: "quiet", _TAGS: "agent"}


def listing_lines(rows: Sequence[RunRow], *, with_tags: bool = True) -> Iterator[Line]:
    """A header and a line for each run, none of which is ever wrapped; the tags are the last column.

    A column of figures that no run has is left out. Names are cut so that the line with a short tag keeps to 100
    cells, if the other columns leave room for that.
    """
    header, *lines = table = [list(_HEADER), *map(_cells, rows)]
    columns = [each for each in range(len(header)) if _is_shown(each, lines, with_tags=with_tags)]
    measured = [[cell_len(cell) for cell in cells] for cells in table]
    widths = {column: max([cells[column] for cells in measured]) for column in columns}
    others = sum(widths.values()) - widths[_NAME] + len(_GAP) * (len(columns) - 1)
    others -= max(0, widths.get(_TAGS, 0) - _SHORT_TAGS)
    widths[_NAME] = min(widths[_NAME], _LONGEST_NAME, max(_WIDTH - others, _SHORTEST_NAME))
    yield _line(header, measured[0], widths, dict.fromkeys(columns, "quiet"))
    for row, line, cells in zip(rows, lines, measured[1:], strict=True):
        yield _line(line, cells, widths, {**_STYLES, _STATUS: _STATUS_STYLES.get(row.status, "")})


def _is_shown(column: int, lines: Sequence[Sequence[str]], *, with_tags: bool) -> bool:
    if column == _TAGS:
        return with_tags
    return column not in _OPTIONAL or any(cells[column] != _UNKNOWN for cells in lines)


def _cells(row: RunRow) -> list[str]:
    converged = None if row.converged is None else "yes" if row.converged else "no"
    # It may be anything that somebody wrote into an attestation.
    recorded = None if row.recorded_at is None else row.recorded_at[:16].replace("T", " ")
    return [
        row.short_id + (SAME_INPUTS if row.shares_inputs else ""),
        visible(row.name) or _UNKNOWN,
        row.status,
        _ending(row) or _cut(_shown(row.mode).removeprefix(_FAMILY), _LONGEST_MODE),
        _shown(row.iterations),
        _costs(row),
        _shown(converged),
        _shown(recorded),
        str(row.executions) if row.is_sealed else _UNKNOWN,
        visible(", ".join(row.tags)),
    ]


def _costs(row: RunRow) -> str:
    costs = (row.first_cost, row.best_cost, row.final_cost)
    return _UNKNOWN if costs == (None, None, None) else "→".join(map(_shown, costs))


def _ending(row: RunRow) -> str | None:
    """How a command ended, in the place of the mode, which its run does not have."""
    if row.exit_status is not None:
        return f"exit {row.exit_status}"
    return visible(row.signal) if row.signal is not None else None


def _line(cells: Sequence[str], measured: Sequence[int], widths: Mapping[int, int], styles: Mapping[int, str]) -> Line:
    spans: list[Span] = []
    gap = ""
    for column, width in widths.items():
        text, used = cells[column], measured[column]
        if used > width:
            text = _cut(text, width)
            used = cell_len(text)
        space = " " * (width - used)
        before, after = (space, "") if column in _FIGURES else ("", space)
        spans += ((gap + before, ""), (text, styles.get(column, "")))
        gap = after + _GAP
    return Line(tuple(spans), whole=True)


def _shown(value: int | str | None) -> str:
    return _UNKNOWN if value is None else visible(str(value))


def _cut(text: str, cells: int) -> str:
    """The text, with an ellipsis for what does not fit into so many cells."""
    return text if cell_len(text) <= cells else f"{crop_text(text, cells - 1).rstrip()}…"


def tag_table(tags: Mapping[str, str]) -> str:
    """The names of tags and the runs they stand for, a line each, without a final newline."""
    names = [visible(name) for name in tags]
    width = max(map(cell_len, names), default=0)
    rows = zip(names, tags.values(), strict=True)
    return "\n".join(f"{name}{' ' * (width - cell_len(name))}{_GAP}{visible(run_id)}" for name, run_id in rows)
