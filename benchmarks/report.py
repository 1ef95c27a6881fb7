"""Reports of results: a table for the terminal, a Markdown table, and JSON with every repetition."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results import CaseResult, Goal, Unit

BEGIN = "<!-- Begin of the table written by `python -m benchmarks --markdown FILE` -->"
END = "<!-- End of the table -->"
_COLUMNS = ("work", "exprec", "reference", "ratio", "spread", "goal", "met")
_NO_VERDICT = "–"
_QUICK = "Quick look: small data, few repetitions, no verdicts."


def as_text(machine: Mapping[str, str], results: Sequence[CaseResult], *, quick: bool) -> str:
    """Return the table for a terminal."""
    rows = [_COLUMNS, *(_cells(result, quick=quick) for result in results)]
    rows = [tuple(cell.replace("`", "") for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows if len(row) == len(_COLUMNS)) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
    facts = [f"{name}: {fact}" for name, fact in machine.items()]
    return "\n".join([*lines, "", *facts, *([_QUICK] if quick else [])]) + "\n"


def as_markdown(machine: Mapping[str, str], results: Sequence[CaseResult], *, quick: bool) -> str:
    """Return the table as Markdown."""
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        f"|{' --- |' * len(_COLUMNS)}",
        *(f"| {' | '.join(_pad_cells(_cells(result, quick=quick)))} |" for result in results),
        "",
        *([_QUICK, ""] if quick else []),
        "Measurement on: " + "; ".join(f"{name} {fact}" for name, fact in machine.items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def replace_table(page: str, table: str) -> str:
    """Return the page with the table between its two marker lines replaced; raise ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"lacks the two lines that mark the table: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def as_json(machine: Mapping[str, str], results: Sequence[CaseResult], *, quick: bool) -> str:
    """Return medians and every repetition as JSON, in the unit of each case."""
    rows = [_as_dict(result, quick=quick) for result in results]
    return (
        json.dumps({"machine": dict(machine), "quick_look": quick, "rows": rows}, indent=2, ensure_ascii=False) + "\n"
    )


def _as_dict(result: CaseResult, *, quick: bool) -> dict[str, Any]:
    case = result.case
    common = {"name": case.name, "work": case.work, "reference": case.reference, "unit": case.unit.value}
    if result.not_measured:
        return {**common, "goal": format_goal(case.goal, case.unit), "not_measured": result.not_measured}
    return {
        **common,
        "remark": result.remark,
        "exprec_median": result.exprec,
        "reference_median": result.reference,
        "ratio": result.ratio,
        "ratio_of": "reference to exprec" if case.goal.faster is not None else "exprec to reference",
        "spread": [min(result.ratios), max(result.ratios)] if result.ratios else None,
        "goal": format_goal(case.goal, case.unit),
        "met": None if quick else result.is_met,
        "repetitions": [{"exprec": pair.exprec, "reference": pair.reference} for pair in result.pairs],
    }


def _cells(result: CaseResult, *, quick: bool) -> tuple[str, ...]:
    case = result.case
    work = f"{case.work} ({result.remark})" if result.remark else case.work
    if result.not_measured:
        return work, f"not measured: {result.not_measured}"
    reference = "" if result.reference is None else f"{format_value(result.reference, case.unit)} {case.reference}"
    ratio = spread = ""
    if result.ratio is not None:
        faster = " faster" if case.goal.faster is not None else ""
        ratio = f"{_format_number(result.ratio)} ×{faster}"
        spread = f"{_format_number(min(result.ratios))}–{_format_number(max(result.ratios))}"
    met = None if quick else result.is_met
    verdict = _NO_VERDICT if met is None else "yes" if met else "**no**"
    return (
        work,
        format_value(result.exprec, case.unit),
        reference,
        ratio,
        spread,
        format_goal(case.goal, case.unit),
        verdict,
    )


def _pad_cells(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Pad a row to all columns, as a Markdown table needs."""
    return (*cells, *[""] * (len(_COLUMNS) - len(cells)))


def format_goal(goal: Goal, unit: Unit) -> str:
    """Return a goal as shown in the table."""
    parts = [
        f"< {format_value(goal.below, unit)}" if goal.below is not None else "",
        f"≥ {format_value(goal.at_least, unit)}" if goal.at_least is not None else "",
        f"≤ {goal.at_most:g} ×" if goal.at_most is not None else "",
        f"≥ {goal.faster:g} × faster" if goal.faster is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def format_value(value: float, unit: Unit) -> str:
    """Return a value with its unit, in about three digits; times below one second in milliseconds."""
    if unit is Unit.SECONDS and value < 1:
        return f"{_format_number(value * 1000)} ms"
    return f"{_format_number(value)}{'' if unit is Unit.PER_SECOND else ' '}{unit.value}"


def _format_number(value: float) -> str:
    """Return a number with at least three significant digits and thousands separators; two decimals near 1."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
