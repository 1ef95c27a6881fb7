"""The overview of a comparison: the two runs, the number of differences of each kind, and the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exprec.cli.output.comparison.changes import divergence_lines
from exprec.cli.output.comparison.values import arrow_spans, change_text, number_pair, value_text
from exprec.cli.output.listing import unit_suffix
from exprec.cli.output.sections import (
    DATA,
    Items,
    Section,
    Spans,
    bold_title,
)
from exprec.cli.output.tables import GAP
from exprec.recorder.diagnostics import cut_text, key_name, visible
from exprec.recorder.diff import DiffResult, result
from exprec.recorder.display import Span, cell_len, count_noun, short_cost
from exprec.recorder.events import optimization
from exprec.recorder.format import layout

_LONGEST_RESULT = 120
_LONGEST_NAME = 60
_MOST_FIELDS = 3
_COSTS = {"final_cost": "final cost", "best_cost": "best cost"}
_RESULT_ORDER: Mapping[str | int, int] = {"status": 0, "failure": 1, "result": 2, "final_cost": 3, "best_cost": 4}


def describe_runs(comparison: DiffResult) -> Items:
    """Return a line for each run, and the change of the final cost."""
    sides = (("A", comparison.old), ("B", comparison.new))
    width = max(cell_len(visible(side.short_id)) for _, side in sides)
    names = max(cell_len(visible(cut_text(side.name, _LONGEST_NAME))) for _, side in sides)
    lines = [((f"{label}  ", "strong"), *_head(side, width, names)) for label, side in sides]
    verdict = _cost_change(comparison, comparison.old.final_cost, comparison.new.final_cost)
    return Items((*lines, *([] if verdict is None else [(("B ends with ", ""), verdict)])))


def _head(side: result.Side, id_width: int, name_width: int) -> Iterator[Span]:
    name = cut_text(side.name, _LONGEST_NAME)
    for text, width in ((side.short_id, id_width), (name, name_width)):
        yield text, DATA
        yield " " * (width - cell_len(visible(text)) + len(GAP)), ""
    style = {"completed": "good", "failed": "bad"}.get(side.status, "quiet")
    yield side.status if side.is_sealed else f"{side.status}, not sealed", style
    if side.final_cost is not None:
        yield f"  final cost {short_cost(side.final_cost)}{unit_suffix(side.cost_unit)}", ""
    if side.iterations is not None and side.result is not None:
        converged = "converged after" if side.result.get("converged") is True else "not converged after"
        yield f", {converged} {count_noun(side.iterations, 'iteration')}", ""
    if side.failure is not None:
        yield "  ", ""
        yield _failure(side.failure), DATA


def _failure(failure: Mapping[str, Any]) -> str:
    text = f"{failure.get('error_type')}: {failure.get('message')}"
    return cut_text(text, _LONGEST_RESULT)


def _cost_change(comparison: DiffResult, old: float | None, new: float | None) -> Span | None:
    """Return how a cost changed, where lower is better; None without two costs, and of costs in different units."""
    unit = comparison.new.cost_unit
    if old is None or new is None or comparison.old.cost_unit != unit:
        return None
    if old == new:
        return "the same final cost", ""
    share = f" ({100 * (new - old) / abs(old):+.1f} %)" if old else ""
    more, verdict = ("less", "better") if new < old else ("more", "worse")
    change = abs(new - old)
    amount = (
        count_noun(change, "cent")
        if isinstance(change, int) and unit == optimization.CENTS
        else f"{short_cost(change)} {visible(unit)}"
    )
    return (
        f"{amount} {more}{share}: {verdict}",
        "good" if new < old else "bad",
    )


def count_differences(comparison: DiffResult) -> Items:
    """Return a line with the number of differences of each kind that there is."""
    rows: list[tuple[str, Spans]] = []
    plain: tuple[tuple[str, int, str], ...] = (
        ("config", comparison.config.count, "change"),
        ("costs", _points(comparison.log.costs), "value"),
        ("parameters", _points(comparison.log.parameters), "value"),
        ("policies", comparison.log.policies.count, "change"),
        ("numbers", _points(comparison.log.metrics), "value"),
        ("model texts", comparison.exchanges.texts.count, "text"),
        ("events", comparison.events.count, "event"),
        ("output", comparison.files.outputs.count, "stream"),
        ("artifacts", comparison.files.artifacts.count, "file"),
        ("result", comparison.result.count, "value"),
        ("latency", comparison.log.latency.calls, "call"),
    )
    rows += [(name, ((count_noun(number, noun), ""),)) for name, number, noun in plain if number]
    if comparison.log.divergence is not None:
        lines = list(divergence_lines(comparison.log.divergence))
        diverged = tuple(piece for each in lines for piece in (("; ", ""), *each))[1:]
        rows.insert(1 if comparison.config.count else 0, ("diverged", diverged))
    rows += [(f"only in {label}", ((text, ""),)) for label, text in _one_sided(comparison).items()]
    if not comparison.has_differences:
        rows.append(("bytes", tuple(byte_spans(comparison))))
    width = max(len(name) for name, _ in rows)
    return Items(tuple(((f"{name:<{width}}  ", "quiet"), *pieces) for name, pieces in rows))


def _points(kind: result.Truncated[result.Series]) -> int:
    return sum(series.points.count for series in kind.items)


def iteration_ranges(ranges: result.Truncated[result.Range]) -> str:
    """Return ranges of iterations as text: `iterations 3, 5 to 7`."""
    shown = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges.items)
    noun = "iteration" if ranges.count == 1 and ranges.items[0][0] == ranges.items[0][1] else "iterations"
    return f"{noun} {shown}" + (f" and {ranges.more} more ranges" if ranges.more else "")


def one_sided_sections(comparison: DiffResult) -> Iterator[Section]:
    """Yield the section of iterations and requests that only one run has, if there are any."""
    lines = tuple(((f"{label}: ", "strong"), (text, "")) for label, text in _one_sided(comparison).items())
    if lines:
        yield Section(bold_title("Only in one run"), (Items(lines),))


def _one_sided(comparison: DiffResult) -> dict[str, str]:
    """Return the iterations and requests that only one run has, by the label of the run."""
    sides = (
        ("A", comparison.log.old_iterations, comparison.exchanges.old_only),
        ("B", comparison.log.new_iterations, comparison.exchanges.new_only),
    )
    found: dict[str, str] = {}
    for label, ranges, exchanges in sides:
        parts = [iteration_ranges(ranges)] if ranges.count else []
        parts += [count_noun(exchanges, "request") + " to a model"] if exchanges else []
        if parts:
            found[label] = ", ".join(parts)
    return found


def result_lines(comparison: DiffResult) -> Iterator[Spans]:
    """Yield a line for each difference of the results."""
    for path, old, new in sorted(comparison.result.items, key=lambda each: _RESULT_ORDER.get(each.path[-1], 9)):
        name = key_name(path[1:] or path)
        has_costs = None not in (comparison.old.final_cost, comparison.new.final_cost)
        if name in _COSTS and has_costs and result.are_numbers(old, new):
            verdict = _cost_change(comparison, old, new) or ("", "")
            yield (f"{_COSTS[name]}  {' → '.join(number_pair(old, new))}  ", ""), verdict
        elif path == ("failure",):
            sides = ("none" if side is None else _failure(side) for side in (old, new))
            yield tuple(arrow_spans("failure", *sides))
        elif path == ("result",) and not (old or new):
            # One run has an empty result, which its status implies.
            continue
        elif path == ("result",):
            sides = ("none" if side is None else _result_text(side) for side in (old, new))
            yield tuple(arrow_spans("result", *sides))
        else:
            change = change_text(old, new)
            yield (*arrow_spans(name, *number_pair(old, new)), (f"  {change}" if change else "", ""))


def _result_text(result: Mapping[str, Any]) -> str:
    costs = [f"{_COSTS[key]} {result[key]}" for key in _COSTS if key in result]
    shown = costs or [f"{key} {value_text(value)}" for key, value in list(result.items())[:_MOST_FIELDS]]
    return cut_text(", ".join(shown), _LONGEST_RESULT)


def latency_text(comparison: DiffResult) -> str:
    """Return the number of calls whose latency differs, and the total latency of both runs."""
    latency = comparison.log.latency
    seconds = f"{latency.old_seconds} s → {latency.new_seconds} s in total"
    return f": differs in {count_noun(latency.calls, 'call')}, {seconds}"


def byte_spans(comparison: DiffResult) -> Iterator[Span]:
    """Yield what remains where nothing but the bytes of the runs differs."""
    yield "contents are equal except ", ""
    yield ", ".join(comparison.files.names) or layout.RUN_FILE, DATA
    yield "; one directory may be corrupt, check with `exprec verify`", ""
