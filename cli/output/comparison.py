"""The comparison of two runs as a report: what was asked differently, where they parted, what it came to.

It finds no differences; how a report looks on a terminal and in Markdown is told in `report`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from exprec.cli.output.report import AGENT, DATA, KEY, NEW, OLD, Items, Section, TextDiff, report_lines, report_markdown
from exprec.cli.output.series_table import change_text, figure_pair, tables
from exprec.cli.output.values import value_pair, value_text
from exprec.recorder.diagnostics import cut_text, key_name, text_around, visible
from exprec.recorder.diff import Difference, DiffResult, result
from exprec.recorder.display import Line, Span, count_noun
from exprec.recorder.format import layout

_LONGEST_LINE = 160
_LONGEST_RESULT = 120
_LONGEST_NAME = 60
_MOST_LINES = 12
_MOST_FILE_LINES = 30
_MOST_FIELDS = 3
_COSTS = {"final_cost": "final cost", "best_cost": "best cost"}
_RESULT_ORDER: Mapping[str | int, int] = {"status": 0, "failure": 1, "result": 2, "final_cost": 3, "best_cost": 4}
_CUT = "*The rest of the comparison is omitted: it is too long for a comment.*\n"

_Pieces = tuple[Span, ...]


def comparison_lines(comparison: DiffResult, *, stat: bool = False) -> Iterator[Line]:
    """The report for a terminal; with `stat` how many differences of each kind there are, in a screenful.

    Nothing at all if the runs are equal.
    """
    if not comparison.is_equal:
        sections = [Section((), (_heads(comparison), _counts(comparison)))] if stat else _sections(comparison)
        yield from report_lines(list(sections))


def comparison_markdown(comparison: DiffResult, max_bytes: int) -> str:
    """The report as Markdown, for a comment on a change; never longer than so many bytes of UTF-8."""
    if comparison.is_equal:
        title: _Pieces = (("No differences: both are run ", ""), (comparison.old.short_id, DATA))
        sections = [Section(title)]
    else:
        sections = list(_sections(comparison))
    return report_markdown(sections, max_bytes, cut=_CUT)


def _sections(comparison: DiffResult) -> Iterator[Section]:
    """Every kind of difference that there is, in the order in which readers ask for them."""
    yield Section((), (_heads(comparison),))
    yield from _config(comparison.config)
    if comparison.log.divergence is not None:
        yield Section(_title("First divergence"), (Items(tuple(_divergence(comparison.log.divergence))),))
    yield from _only_in(comparison)
    yield from _series(_title("Cost in cents at the start of an iteration"), comparison.log.costs.items, _cost_name)
    for name in dict.fromkeys(series.path for series in comparison.log.parameters.items):
        series = [each for each in comparison.log.parameters.items if each.path == name]
        title = (key_name(name), DATA), (" at the end of an iteration (0: before the first)", "strong")
        yield from _series(title, series, _agent_name)
    yield from _policies(comparison.log.policies)
    for kind in dict.fromkeys(series.event_type for series in comparison.log.metrics.items):
        series = [each for each in comparison.log.metrics.items if each.event_type == kind]
        yield from _series(((kind, DATA), (" by iteration (0: outside)", "strong")), series, _number_name)
    yield from _texts(comparison.exchanges.texts)
    yield from _events(comparison.events)
    yield from _files("Output", comparison.files.outputs)
    yield from _files(f"Artifacts: {count_noun(comparison.files.artifacts.count, 'file')}", comparison.files.artifacts)
    if comparison.result.count:
        yield Section(_title("Result"), (Items(tuple(_result(comparison))),), _more(comparison.result))
    if comparison.log.latency.calls:
        yield Section((*_title("Latency"), (_latency(comparison), "")))
    if not comparison.has_differences:
        yield Section((*_title("Bytes: "), *_bytes(comparison)))


def _title(text: str) -> _Pieces:
    return ((text, "strong"),)


def _counts(comparison: DiffResult) -> Items:
    """A line for each kind of difference."""
    rows: list[tuple[str, _Pieces]] = []
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
        lines = list(_divergence(comparison.log.divergence))
        diverged = tuple(piece for each in lines for piece in (("; ", ""), *each))[1:]
        rows.insert(1 if comparison.config.count else 0, ("diverged", diverged))
    for label, ranges in (("A", comparison.log.old_iterations), ("B", comparison.log.new_iterations)):
        if ranges.count:
            rows.append((f"only in {label}", ((_iterations(ranges), ""),)))
    if not comparison.has_differences:
        rows.append(("bytes", tuple(_bytes(comparison))))
    width = max(len(name) for name, _ in rows)
    return Items(tuple(((f"{name:<{width}}  ", "quiet"), *pieces) for name, pieces in rows))


def _heads(comparison: DiffResult) -> Items:
    sides = (("A", comparison.old), ("B", comparison.new))
    width = max(cell_len(visible(side.short_id)) for _, side in sides)
    names = max(cell_len(visible(cut_text(side.name, _LONGEST_NAME))) for _, side in sides)
    lines = [((f"{label}  ", "strong"), *_head(side, width, names)) for label, side in sides]
    verdict = _verdict(comparison.old.final_cost, comparison.new.final_cost)
    return Items((*lines, *([] if verdict is None else [(("B ends with ", ""), verdict)])))


def _head(side: result.Side, id_width: int, name_width: int) -> Iterator[Span]:
    name = cut_text(side.name, _LONGEST_NAME)
    for text, width in ((side.short_id, id_width), (name, name_width)):
        yield text, DATA
        yield " " * (width - cell_len(visible(text)) + 2), ""
    style = {"completed": "good", "failed": "bad"}.get(side.status, "quiet")
    yield side.status if side.is_sealed else f"{side.status}, not sealed", style
    if side.final_cost is not None:
        yield f"  final cost {side.final_cost}", ""
    if side.iterations is not None and side.result is not None:
        converged = "converged after" if side.result.get("converged") is True else "not converged after"
        yield f", {converged} {count_noun(side.iterations, 'iteration')}", ""
    if side.failure is not None:
        yield "  ", ""
        yield _failure(side.failure), DATA


def _failure(failure: Mapping[str, Any]) -> str:
    text = f"{failure.get('error_type')}: {failure.get('message')}"
    return cut_text(text, _LONGEST_RESULT)


def _verdict(old: int | None, new: int | None) -> Span | None:
    """What became of a cost in cents, of which less is better; None where there are no two."""
    if old is None or new is None:
        return None
    if old == new:
        return "the same final cost", ""
    share = f" ({100 * (new - old) / abs(old):+.1f} %)" if old else ""
    more, verdict = ("less", "better") if new < old else ("more", "worse")
    return (
        f"{count_noun(abs(new - old), 'cent')} {more}{share}: {verdict}",
        "good" if new < old else "bad",
    )


def _config(config: result.Truncated[Difference]) -> Iterator[Section]:
    if config.count:
        lines = tuple(tuple(_difference(each)) for each in config.items)
        yield Section(_title(f"Config: {count_noun(config.count, 'change')}"), (Items(lines),), _more(config))


def _divergence(divergence: result.Divergence) -> Iterator[_Pieces]:
    old, new, difference = divergence.old, divergence.new, divergence.difference
    if old is not None and new is not None and difference is not None:
        sides = figure_pair(difference.old, difference.new)
        yield (*_event_place(old), (": ", ""), *_arrow(key_name(difference.path), *sides))
        return
    for label, place, other in (("A", old, new), ("B", new, old)):
        if place is not None:
            yield (f"{label}: ", "strong"), *_event_place(place)
        elif other is not None:
            yield (f"{label}: ", "strong"), (f"ends before seq {other.seq}", "")


def _event_place(place: result.EventPosition) -> Iterator[Span]:
    within = f"iteration {place.iteration}, " if place.iteration else ""
    yield f"seq {place.seq}, {within}", ""
    yield place.event_type, DATA
    if place.agent is not None:
        yield " of ", ""
        yield place.agent, AGENT


def _only_in(comparison: DiffResult) -> Iterator[Section]:
    sides = (
        ("A", comparison.log.old_iterations, comparison.exchanges.old_only),
        ("B", comparison.log.new_iterations, comparison.exchanges.new_only),
    )
    lines = []
    for label, ranges, exchanges in sides:
        found = [_iterations(ranges)] if ranges.count else []
        found += [count_noun(exchanges, "request") + " to a model"] if exchanges else []
        if found:
            lines.append(((f"{label}: ", "strong"), (", ".join(found), "")))
    if lines:
        yield Section(_title("Only in one run"), (Items(tuple(lines)),))


def _iterations(ranges: result.Truncated[result.Range]) -> str:
    shown = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges.items)
    noun = "iteration" if ranges.count == 1 and ranges.items[0][0] == ranges.items[0][1] else "iterations"
    return f"{noun} {shown}" + (f" and {ranges.more} more ranges" if ranges.more else "")


def _cost_name(series: result.Series) -> str:
    return "total" if series.agent is None else series.agent


def _agent_name(series: result.Series) -> str:
    return series.agent or ""


def _number_name(series: result.Series) -> str:
    name = key_name(series.path)
    return name if series.agent is None else f"{series.agent} {name}"


def _series(title: _Pieces, series: Sequence[result.Series], name: Callable[[result.Series], str]) -> Iterator[Section]:
    """A table of values by iteration, in several parts where the columns do not fit beside each other."""
    if not series:
        return
    more = sum(each.points.more for each in series)
    yield Section(title, tables(series, name), f"and {count_noun(more, 'more value')}" if more else "")


def _policies(policies: result.Truncated[result.PolicyChange]) -> Iterator[Section]:
    if not policies.count:
        return
    lines = tuple(
        ((change.agent, AGENT), ("  ", ""), *_difference(change.difference), (f"  {_span(change)}", "quiet"))
        for change in policies.items
    )
    yield Section(
        _title(f"Current policies: {count_noun(policies.count, 'change')}"),
        (Items(lines),),
        _more(policies),
    )


def _span(change: result.PolicyChange) -> str:
    if change.first == change.last:
        return f"iteration {change.first}" if change.first else "before the first iteration"
    return f"iterations {change.first} to {change.last}"


def _texts(texts: result.Truncated[result.TextChange]) -> Iterator[Section]:
    if not texts.count:
        return
    blocks = tuple(TextDiff(_text_title(text), tuple(_hunk_lines(text.hunks))) for text in texts.items)
    more = texts.count - sum(1 + text.repeated for text in texts.items)
    title = _title(f"Model requests and responses: {count_noun(texts.count, 'text')}")
    yield Section(title, blocks, f"and {more} more" if more else "")


def _text_title(text: result.TextChange) -> _Pieces:
    repeated = f", and the same in {count_noun(text.repeated, 'later text')}" if text.repeated else ""
    what = text.field if text.role is None else f"{text.field}, {text.role}"
    return (
        (f"iteration {text.iteration}, ", ""),
        (text.agent, AGENT),
        (f", attempt {text.attempt}: {what}", ""),
        (repeated, "quiet"),
    )


def _hunk_lines(hunks: Sequence[result.Hunk], most: int = _MOST_LINES) -> Iterator[str]:
    """The hunks one after the other, cut to so many lines."""
    lines = [each for hunk in hunks for each in _one_hunk(hunk)]
    yield from lines[:most]
    if len(lines) > most:
        yield f"… {count_noun(len(lines) - most, 'more line')}"


def _one_hunk(hunk: result.Hunk) -> Iterator[str]:
    moved = "" if hunk.old_line == hunk.new_line else f" → {hunk.new_line}"
    yield f"@@ line {hunk.old_line}{moved} @@"
    yield from (f" {cut_text(text, _LONGEST_LINE)}" for text in hunk.before)
    for number, text in enumerate(hunk.old):
        yield f"-{text_around(text, hunk.new[number] if number < len(hunk.new) else '', _LONGEST_LINE)}"
    for number, text in enumerate(hunk.new):
        yield f"+{text_around(text, hunk.old[number] if number < len(hunk.old) else '', _LONGEST_LINE)}"
    yield from (f" {cut_text(text, _LONGEST_LINE)}" for text in hunk.after)


def _files(title: str, changes: result.Truncated[result.FileChange]) -> Iterator[Section]:
    """The files that differ: first, in a line each, those without a text, then those with one."""
    if not changes.count:
        return
    texts = tuple(
        TextDiff(tuple(_file(change)), (*_hunk_lines(change.hunks.items, _MOST_FILE_LINES), *_more_places(change)))
        for change in changes.items
        if change.hunks.count
    )
    others = tuple(tuple(_file(change)) for change in changes.items if not change.hunks.count)
    yield Section(_title(title), (*([Items(others)] if others else []), *texts), _more(changes))


def _file(change: result.FileChange) -> Iterator[Span]:
    yield change.name, DATA
    yield "  ", ""
    if change.old_size is None or change.new_size is None:
        label, size = ("A", change.old_size) if change.new_size is None else ("B", change.new_size)
        yield f"only in {label}, {count_noun(size or 0, 'byte')}", ""
        return
    if change.old_size == change.new_size:
        yield f"different content, {count_noun(change.new_size, 'byte')}", ""
    else:
        difference = change.new_size - change.old_size
        yield f"{change.old_size} → {count_noun(change.new_size, 'byte')}  {difference:+}", ""
    if not change.is_text:
        yield ", not text", "quiet"
    elif change.is_large:
        yield ", first difference", "quiet"


def _more_places(change: result.FileChange) -> Iterator[str]:
    if change.hunks.more:
        yield f"… and {count_noun(change.hunks.more, 'more hunk')}"


def _events(changes: result.Truncated[result.EventChange]) -> Iterator[Section]:
    if changes.count:
        lines = tuple(tuple(_event(change)) for change in changes.items)
        yield Section(
            _title(f"Other differences: {count_noun(changes.count, 'event')}"),
            (Items(lines),),
            _more(changes),
        )


def _event(change: result.EventChange) -> Iterator[Span]:
    yield f"iteration {change.iteration}  " if change.iteration else "", "quiet"
    yield change.event_type, DATA
    if change.agent is not None:
        yield " ", ""
        yield change.agent, AGENT
    if change.ordinal:
        yield f" #{change.ordinal + 1}", ""
    if change.old_seq is None or change.new_seq is None:
        label, seq = ("A", change.old_seq) if change.new_seq is None else ("B", change.new_seq)
        yield f"  only in {label} (seq {seq})", ""
        return
    for number, difference in enumerate(change.fields.items[:_MOST_FIELDS]):
        yield ", " if number else "  ", ""
        yield from _difference(difference)
    more = change.fields.count - _MOST_FIELDS
    if more > 0:
        yield f", and {more} more", "quiet"


def _result(comparison: DiffResult) -> Iterator[_Pieces]:
    for path, old, new in sorted(comparison.result.items, key=lambda each: _RESULT_ORDER.get(each.path[-1], 9)):
        name = str(path[-1])
        if name in _COSTS and type(old) is int and type(new) is int:
            verdict = _verdict(old, new) or ("", "")
            yield (f"{_COSTS[name]}  {old} → {new}  ", ""), verdict
        elif path == ("failure",):
            sides = ("none" if side is None else _failure(side) for side in (old, new))
            yield tuple(_arrow("failure", *sides))
        elif path == ("result",) and not (old or new):
            # One of them came to its end without any figure, which its status tells.
            continue
        elif path == ("result",):
            sides = ("none" if side is None else _came_to(side) for side in (old, new))
            yield tuple(_arrow("result", *sides))
        else:
            change = change_text(old, new)
            yield (*_arrow(name, *figure_pair(old, new)), (f"  {change}" if change else "", ""))


def _came_to(result: Mapping[str, Any]) -> str:
    costs = [f"{_COSTS[key]} {result[key]}" for key in _COSTS if key in result]
    shown = costs or [f"{key} {value_text(value)}" for key, value in list(result.items())[:_MOST_FIELDS]]
    return cut_text(", ".join(shown), _LONGEST_RESULT)


def _latency(comparison: DiffResult) -> str:
    latency = comparison.log.latency
    seconds = f"{latency.old_seconds} s → {latency.new_seconds} s in total"
    return f": differs in {count_noun(latency.calls, 'call')}, {seconds}"


def _bytes(comparison: DiffResult) -> Iterator[Span]:
    yield "contents are equal except ", ""
    yield ", ".join(comparison.files.names) or layout.RUN_FILE, DATA
    yield "; one directory may be corrupt, check with `exprec verify`", ""


def _difference(difference: Difference) -> Iterator[Span]:
    path, old, new = difference
    return _arrow(key_name(path), *value_pair(old, new))


def _arrow(name: str, old: str, new: str) -> Iterator[Span]:
    if name:
        yield name, KEY
        yield " ", ""
    yield old, OLD
    yield " → ", ""
    yield new, NEW


def _points(kind: result.Truncated[result.Series]) -> int:
    return sum(series.points.count for series in kind.items)


def _more(listed: result.Truncated[Any]) -> str:
    return f"and {listed.more} more" if listed.more else ""
