"""The runs of a store as a table: a line a run.

It prints nothing, and decides neither which runs there are nor their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len, set_cell_size

from exprec.cli.render.text import Line, Span, visible
from exprec.recorder.state.listing import DAMAGED, Listed

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
_TAGS = 9
_STYLES = {0: "strong", 7: "quiet", _TAGS: "agent"}


def listing_lines(rows: Sequence[Listed], *, with_tags: bool = True) -> Iterator[Line]:
    """A header and a line for each run, none of which is ever wrapped; the tags are the last column.

    Names are cut so that the line with a short tag keeps to 100 cells, if the other columns leave room for that.
    """
    columns = len(_HEADER) if with_tags else _TAGS
    cells = [each[:columns] for each in (list(_HEADER), *map(_cells, rows))]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    others = sum(widths[:_TAGS]) - widths[_NAME] + len(_GAP) * (columns - 1)
    others += min(widths[_TAGS], _SHORT_TAGS) if with_tags else 0
    widths[_NAME] = min(widths[_NAME], _LONGEST_NAME, max(_WIDTH - others, _SHORTEST_NAME))
    header, *lines = cells
    yield _line(header, widths, ["quiet"] * len(widths))
    for row, line in zip(rows, lines, strict=True):
        styles = [_STYLES.get(column, "") for column in range(len(widths))]
        styles[2] = _STATUS_STYLES.get(row.status, "")
        yield _line(line, widths, styles)


def _cells(row: Listed) -> list[str]:
    converged = None if row.converged is None else "yes" if row.converged else "no"
    # It may be anything that somebody wrote into an attestation.
    recorded = None if row.recorded_at is None else row.recorded_at[:16].replace("T", " ")
    return [
        row.short_id + (SAME_INPUTS if row.shares_inputs else ""),
        visible(row.name) or _UNKNOWN,
        row.status,
        _cut(_shown(row.mode).removeprefix(_FAMILY), _LONGEST_MODE),
        _shown(row.iterations),
        "→".join(map(_shown, (row.first_cost, row.best_cost, row.final_cost))),
        _shown(converged),
        _shown(recorded),
        str(row.executions) if row.is_sealed else _UNKNOWN,
        visible(", ".join(row.tags)),
    ]


def _line(cells: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> Line:
    spans: list[Span] = []
    for column, (cell, width, style) in enumerate(zip(cells, widths, styles, strict=True)):
        if column:
            spans.append((_GAP, ""))
        text = _cut(cell, width)
        space = " " * (width - cell_len(text))
        spans.extend([(space, ""), (text, style)] if column in _FIGURES else [(text, style), (space, "")])
    return Line(tuple(span for span in spans if span[0]), whole=True)


def _shown(value: int | str | None) -> str:
    return _UNKNOWN if value is None else visible(str(value))


def _cut(text: str, cells: int) -> str:
    """The text, with an ellipsis for what does not fit into so many cells."""
    return text if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1).rstrip()}…"


def tag_table(tags: Mapping[str, str]) -> str:
    """The names of tags and the runs they stand for, a line each, without a final newline."""
    names = [visible(name) for name in tags]
    width = max(map(cell_len, names), default=0)
    rows = zip(names, tags.values(), strict=True)
    return "\n".join(f"{name}{' ' * (width - cell_len(name))}{_GAP}{visible(run_id)}" for name, run_id in rows)
