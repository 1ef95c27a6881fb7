"""Sections of a comparison that list changes: config, policies, model texts, files and events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exprec.cli.output.comparison.values import arrow_spans, difference_spans, number_pair
from exprec.cli.output.sections import (
    AGENT,
    DATA,
    Items,
    Section,
    Spans,
    TextDiff,
    bold_title,
    omitted_text,
)
from exprec.recorder.diagnostics import cut_text, key_name, text_around
from exprec.recorder.diff import Difference, result
from exprec.recorder.display import Span, count_noun

_LONGEST_LINE = 160
_MOST_LINES = 12
_MOST_FILE_LINES = 30
_MOST_FIELDS = 3


def config_sections(config: result.Truncated[Difference]) -> Iterator[Section]:
    """Yield the section of the configs, if they differ."""
    if config.count:
        lines = tuple(tuple(difference_spans(each)) for each in config.items)
        yield Section(
            bold_title(f"Config: {count_noun(config.count, 'change')}"), (Items(lines),), omitted_text(config)
        )


def divergence_lines(divergence: result.Divergence) -> Iterator[Spans]:
    """Yield the position of the first divergence, and the first field that differs."""
    old, new, difference = divergence.old, divergence.new, divergence.difference
    if old is not None and new is not None and difference is not None:
        sides = number_pair(difference.old, difference.new)
        yield (*_event_place(old), (": ", ""), *arrow_spans(key_name(difference.path), *sides))
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


def policy_sections(policies: result.Truncated[result.PolicyChange]) -> Iterator[Section]:
    """Yield the section of the current policies, if they differ."""
    if not policies.count:
        return
    lines = tuple(
        ((change.agent, AGENT), ("  ", ""), *difference_spans(change.difference), (f"  {_span(change)}", "quiet"))
        for change in policies.items
    )
    yield Section(
        bold_title(f"Current policies: {count_noun(policies.count, 'change')}"),
        (Items(lines),),
        omitted_text(policies),
    )


def _span(change: result.PolicyChange) -> str:
    if change.first == change.last:
        return f"iteration {change.first}" if change.first else "before the first iteration"
    return f"iterations {change.first} to {change.last}"


def text_sections(texts: result.Truncated[result.TextChange]) -> Iterator[Section]:
    """Yield the section of the requests to models and their responses, if they differ."""
    if not texts.count:
        return
    blocks = tuple(TextDiff(_text_title(text), tuple(_hunk_lines(text.hunks))) for text in texts.items)
    more = texts.count - sum(1 + text.repeated for text in texts.items)
    title = bold_title(f"Model requests and responses: {count_noun(texts.count, 'text')}")
    yield Section(title, blocks, f"and {more} more" if more else "")


def _text_title(text: result.TextChange) -> Spans:
    repeated = f", and the same in {count_noun(text.repeated, 'later text')}" if text.repeated else ""
    what = text.field if text.role is None else f"{text.field}, {text.role}"
    return (
        (f"iteration {text.iteration}, ", ""),
        (text.agent, AGENT),
        (f", attempt {text.attempt}: {what}", ""),
        (repeated, "quiet"),
    )


def _hunk_lines(hunks: Sequence[result.Hunk], most: int = _MOST_LINES) -> Iterator[str]:
    """Yield the lines of hunks, at most `most` of them."""
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


def file_sections(title: str, changes: result.Truncated[result.FileChange]) -> Iterator[Section]:
    """Yield the section of files that differ: a line for each without a text diff, then the text diffs."""
    if not changes.count:
        return
    texts = tuple(
        TextDiff(tuple(_file(change)), (*_hunk_lines(change.hunks.items, _MOST_FILE_LINES), *_more_places(change)))
        for change in changes.items
        if change.hunks.count
    )
    others = tuple(tuple(_file(change)) for change in changes.items if not change.hunks.count)
    yield Section(bold_title(title), (*([Items(others)] if others else []), *texts), omitted_text(changes))


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


def event_sections(changes: result.Truncated[result.EventChange]) -> Iterator[Section]:
    """Yield the section of all other events that differ."""
    if changes.count:
        lines = tuple(tuple(_event(change)) for change in changes.items)
        yield Section(
            bold_title(f"Other differences: {count_noun(changes.count, 'event')}"),
            (Items(lines),),
            omitted_text(changes),
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
        yield from difference_spans(difference)
    more = change.fields.count - _MOST_FIELDS
    if more > 0:
        yield f", and {more} more", "quiet"
