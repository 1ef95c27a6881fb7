"""What interrupted runs left in a store, as a table; sizes and ages in words.

It prints nothing, and decides nothing about what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exprec.recorder.diagnostics import visible
from exprec.recorder.display import cell_len, count_noun
from exprec.recorder.store.garbage import Leftover

_HEADER = ("interrupted run", "experiment", "it", "events", "responses", "size", "last written")
_FIGURES = (2, 3, 4, 5)
"""The columns that are aligned to the right."""
_GAP = "  "
_AGES = ((86400, "day"), (3600, "hour"), (60, "minute"))


def leftover_lines(found: Sequence[Leftover], age_of: Callable[[Leftover], float]) -> list[str]:
    """A line for each run below a header, then a line for each file. `age_of` is in seconds."""
    runs = [each for each in found if each.is_run]
    table = [_HEADER, *(_cells(each, age_of(each)) for each in runs)] if runs else []
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    rows = [_GAP.join(map(_aligned, range(len(widths)), row, widths)).rstrip() for row in table]
    files = [each for each in found if not each.is_run]
    return rows + [f"{visible(str(each.path))}{_GAP}{size_text(each.size)}, left by a crash" for each in files]


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


def _cells(run: Leftover, age: float) -> tuple[str, ...]:
    figures = map(str, (run.iterations, run.events, run.exchanges))
    return visible(run.name), visible(run.experiment) or "–", *figures, size_text(run.size), age_text(age)


def _aligned(column: int, text: str, width: int) -> str:
    space = " " * (width - cell_len(text))
    return space + text if column in _FIGURES else text + space
