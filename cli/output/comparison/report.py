"""The comparison of two runs as a report: every kind of difference, in the order in which readers need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from exprec.cli.output.comparison.changes import (
    config_sections,
    divergence_lines,
    event_sections,
    file_sections,
    policy_sections,
    text_sections,
)
from exprec.cli.output.comparison.overview import (
    byte_spans,
    count_differences,
    describe_runs,
    latency_text,
    one_sided_sections,
    result_lines,
)
from exprec.cli.output.comparison.series_table import series_tables
from exprec.cli.output.sections import (
    DATA,
    Items,
    Section,
    Spans,
    bold_title,
    omitted_text,
    report_lines,
    report_markdown,
)
from exprec.recorder.diagnostics import key_name, visible
from exprec.recorder.diff import DiffResult, result
from exprec.recorder.display import Line, count_noun

_CUT = "*The rest of the comparison is omitted: it is too long for a comment.*\n"


def comparison_lines(comparison: DiffResult, *, stat: bool = False) -> Iterator[Line]:
    """Yield the lines of a comparison for a terminal, none if the runs are equal.

    With `stat` only the number of differences of each kind.
    """
    if not comparison.is_equal:
        sections = (
            [Section((), (describe_runs(comparison), count_differences(comparison)))] if stat else _sections(comparison)
        )
        yield from report_lines(list(sections))


def comparison_markdown(comparison: DiffResult, max_bytes: int) -> str:
    """Return a comparison as Markdown of at most `max_bytes` bytes of UTF-8."""
    if comparison.is_equal:
        title: Spans = (("No differences: both are run ", ""), (comparison.old.short_id, DATA))
        sections = [Section(title)]
    else:
        sections = list(_sections(comparison))
    return report_markdown(sections, max_bytes, cut=_CUT)


def _sections(comparison: DiffResult) -> Iterator[Section]:
    """Yield a section for each kind of difference that there is."""
    yield Section((), (describe_runs(comparison),))
    yield from config_sections(comparison.config)
    if comparison.log.divergence is not None:
        yield Section(bold_title("First divergence"), (Items(tuple(divergence_lines(comparison.log.divergence))),))
    yield from one_sided_sections(comparison)
    yield from _series_sections(
        bold_title(f"Cost in {_cost_unit(comparison)} at the start of an iteration"),
        comparison.log.costs.items,
        _cost_name,
    )
    for name in dict.fromkeys(series.path for series in comparison.log.parameters.items):
        series = [each for each in comparison.log.parameters.items if each.path == name]
        title = (key_name(name), DATA), (" at the end of an iteration (0: before the first)", "strong")
        yield from _series_sections(title, series, _agent_name)
    yield from policy_sections(comparison.log.policies)
    for kind in dict.fromkeys(series.event_type for series in comparison.log.metrics.items):
        series = [each for each in comparison.log.metrics.items if each.event_type == kind]
        yield from _series_sections(((kind, DATA), (" by iteration (0: outside)", "strong")), series, _number_name)
    yield from text_sections(comparison.exchanges.texts)
    yield from event_sections(comparison.events)
    yield from file_sections("Output", comparison.files.outputs)
    yield from file_sections(
        f"Artifacts: {count_noun(comparison.files.artifacts.count, 'file')}", comparison.files.artifacts
    )
    if comparison.result.count:
        yield Section(bold_title("Result"), (Items(tuple(result_lines(comparison))),), omitted_text(comparison.result))
    if comparison.log.latency.calls:
        yield Section((*bold_title("Latency"), (latency_text(comparison), "")))
    if not comparison.has_differences:
        yield Section((*bold_title("Bytes: "), *byte_spans(comparison)))


def _cost_unit(comparison: DiffResult) -> str:
    old, new = (visible(side.cost_unit) for side in (comparison.old, comparison.new))
    return old if old == new else f"{old} → {new}"


def _cost_name(series: result.Series) -> str:
    return "total" if series.agent is None else series.agent


def _agent_name(series: result.Series) -> str:
    return series.agent or ""


def _number_name(series: result.Series) -> str:
    name = key_name(series.path)
    return name if series.agent is None else f"{series.agent} {name}"


def _series_sections(
    title: Spans, series: Sequence[result.Series], name: Callable[[result.Series], str]
) -> Iterator[Section]:
    """Yield the section of a table by iteration, split where the columns do not fit beside each other."""
    if not series:
        return
    more = sum(each.points.more for each in series)
    yield Section(title, series_tables(series, name), f"and {count_noun(more, 'more value')}" if more else "")
