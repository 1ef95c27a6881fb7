"""Outcomes as text: a table for the terminal, one in Markdown, and JSON with every repetition.

It measures nothing and writes no file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.figures import Goal, Outcome, Unit

BEGIN = "<!-- What follows is written by `python -m benchmarks --markdown FILE`. -->"
END = "<!-- Up to here. -->"
_COLUMNS = ("work", "exprec", "reference", "ratio", "spread", "goal", "met")
_NO_VERDICT = "–"
_QUICK = "A quick look: small data, few repetitions, and so no verdicts."


def text(machine: Mapping[str, str], outcomes: Sequence[Outcome], *, quick: bool) -> str:
    """For a terminal."""
    rows = [_COLUMNS, *(_cells(outcome, quick=quick) for outcome in outcomes)]
    rows = [tuple(cell.replace("`", "") for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows if len(row) == len(_COLUMNS)) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
    facts = [f"{name}: {fact}" for name, fact in machine.items()]
    return "\n".join([*lines, "", *facts, *([_QUICK] if quick else [])]) + "\n"


def markdown(machine: Mapping[str, str], outcomes: Sequence[Outcome], *, quick: bool) -> str:
    """For a page."""
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        f"|{' --- |' * len(_COLUMNS)}",
        *(f"| {' | '.join(_filled(_cells(outcome, quick=quick)))} |" for outcome in outcomes),
        "",
        *([_QUICK, ""] if quick else []),
        "Measured on: " + "; ".join(f"{name} {fact}" for name, fact in machine.items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def within(page: str, table: str) -> str:
    """The page with this table in the place of the one between its two marks. Raises ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"has not the two lines that a table goes between: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def as_json(machine: Mapping[str, str], outcomes: Sequence[Outcome], *, quick: bool) -> str:
    """Everything, for programs: medians and each repetition, in the unit of the row."""
    rows = [_as_dict(outcome, quick=quick) for outcome in outcomes]
    return (
        json.dumps({"machine": dict(machine), "quick_look": quick, "rows": rows}, indent=2, ensure_ascii=False) + "\n"
    )


def _as_dict(outcome: Outcome, *, quick: bool) -> dict[str, Any]:
    row = outcome.row
    told = {"name": row.name, "work": row.work, "reference": row.reference, "unit": row.unit.value}
    if outcome.not_measured:
        return {**told, "goal": goal_words(row.goal, row.unit), "not_measured": outcome.not_measured}
    return {
        **told,
        "remark": outcome.remark,
        "exprec_median": outcome.exprec,
        "reference_median": outcome.reference,
        "ratio": outcome.ratio,
        "ratio_of": "reference to exprec" if row.goal.faster is not None else "exprec to reference",
        "spread": [min(outcome.ratios), max(outcome.ratios)] if outcome.ratios else None,
        "goal": goal_words(row.goal, row.unit),
        "met": None if quick else outcome.is_met,
        "repetitions": [{"exprec": pair.exprec, "reference": pair.reference} for pair in outcome.pairs],
    }


def _cells(outcome: Outcome, *, quick: bool) -> tuple[str, ...]:
    row = outcome.row
    work = f"{row.work} ({outcome.remark})" if outcome.remark else row.work
    if outcome.not_measured:
        return work, f"not measured: {outcome.not_measured}"
    reference = "" if outcome.reference is None else f"{value_words(outcome.reference, row.unit)} {row.reference}"
    ratio = spread = ""
    if outcome.ratio is not None:
        faster = " faster" if row.goal.faster is not None else ""
        ratio = f"{_number(outcome.ratio)} ×{faster}"
        spread = f"{_number(min(outcome.ratios))}–{_number(max(outcome.ratios))}"
    met = None if quick else outcome.is_met
    verdict = _NO_VERDICT if met is None else "yes" if met else "**no**"
    return (
        work,
        value_words(outcome.exprec, row.unit),
        reference,
        ratio,
        spread,
        goal_words(row.goal, row.unit),
        verdict,
    )


def _filled(cells: tuple[str, ...]) -> tuple[str, ...]:
    """A row of a Markdown table has all its cells."""
    return (*cells, *[""] * (len(_COLUMNS) - len(cells)))


def goal_words(goal: Goal, unit: Unit) -> str:
    """A goal as it stands in the table."""
    parts = [
        f"< {value_words(goal.below, unit)}" if goal.below is not None else "",
        f"≥ {value_words(goal.at_least, unit)}" if goal.at_least is not None else "",
        f"≤ {goal.at_most:g} ×" if goal.at_most is not None else "",
        f"≥ {goal.faster:g} × faster" if goal.faster is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def value_words(value: float, unit: Unit) -> str:
    """A value with its unit, in three digits or so; seconds below one as milliseconds."""
    if unit is Unit.SECONDS and value < 1:
        return f"{_number(value * 1000)} ms"
    return f"{_number(value)}{'' if unit is Unit.PER_SECOND else ' '}{unit.value}"


def _number(value: float) -> str:
    """Three digits or more, as a person writes them; near 1 a ratio has two decimals."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
