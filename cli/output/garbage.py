"""What interrupted runs left in a store, as a table; sizes and ages in words.

It prints nothing, and decides nothing about what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exprec.recorder.diagnostics import visible
from exprec.recorder.display import cell_len, count_noun
from exprec.recorder.query import OrphanRow

_HEADER = ("interrupted run", "experiment", "it", "events", "responses", "size", "last written")
_FIGURES = (2, 3, 4, 5)
"""The columns that are aligned to the right."""
_GAP = "  "
_AGES = ((86400, "day"), (3600, "hour"), (60, "minute"))


def orphan_lines(rows: Sequence[OrphanRow], age_of: Callable[[OrphanRow], float]) -> list[str]:
    """A line for each run below a header, then a line for each file. `age_of` is in seconds."""
    runs = [row for row in rows if row.orphan.is_run]
    table = [_HEADER, *(_cells(run, age_of(run)) for run in runs)] if runs else []
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    lines = [_GAP.join(map(_aligned, range(len(widths)), cells, widths)).rstrip() for cells in table]
    files = [row.orphan for row in rows if not row.orphan.is_run]
    return lines + [f"{visible(str(file.path))}{_GAP}{size_text(file.size)}, left by a crash" for file in files]


def size_text(size: int) -> str:
    """A number of bytes in the unit that suits it: `812 B`, `45.2 kB`."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, larger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def age_text(seconds: float) -> str:
    """How long ago something was, in its largest unit: `3 days ago`."""
    for unit, name in _AGES:
        count = int(seconds // unit)
        if count:
            return f"{count_noun(count, name)} ago"
    return "just now"


def _cells(run: OrphanRow, age: float) -> tuple[str, ...]:
    figures = map(str, (run.iterations, run.events, run.exchanges))
    name, size = visible(run.orphan.name), size_text(run.orphan.size)
    return name, visible(run.experiment) or "–", *figures, size, age_text(age)


def _aligned(column: int, text: str, width: int) -> str:
    space = " " * (width - cell_len(text))
    return space + text if column in _FIGURES else text + space
