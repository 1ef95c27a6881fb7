"""Sections of a report, drawn as lines for a terminal and as Markdown: lists, tables of numbers, and text diffs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exprec.cli.output import markdown
from exprec.cli.output.tables import table_rows
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line, Span

if TYPE_CHECKING:
    from exprec.recorder.diff import result

WORDS, DATA, AGENT, KEY, OLD, NEW = "", "data", "agent", "key", "old", "new"
"""The meaning of a span: words of exprec, or text from a run, which Markdown prints as code."""

_STYLES = {DATA: "", KEY: "quiet", OLD: "bad", NEW: "good"}
_NAMES = (DATA, AGENT, KEY)
_DATA = (*_NAMES, OLD, NEW)
_INDENT = 2
_NUMBERS = re.compile(r"[0-9 →+.=-]*|[0-9]+ to [0-9]+")
"""A cell of numbers alone, which Markdown prints as they are."""


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """Lines of spans; the style of a span is its meaning or a style of the display."""

    lines: tuple[Spans, ...]


@dataclass(frozen=True, slots=True)
class NumberTable:
    """A table of numbers; the first column labels the rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TextDiff:
    """A title, and lines that begin with `-`, `+` or a space."""

    title: Spans
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A title and the blocks below it; `more` reports what was left out."""

    title: Spans
    blocks: tuple[Items | NumberTable | TextDiff, ...] = ()
    more: str = ""


def bold_title(text: str) -> Spans:
    """Return a title of plain words."""
    return ((text, "strong"),)


def omitted_text(listed: result.Truncated[Any]) -> str:
    """Return how many items are counted but not listed; empty if all are listed."""
    return f"and {listed.more} more" if listed.more else ""


def report_lines(sections: Sequence[Section]) -> Iterator[Line]:
    """Yield the lines of a report for a terminal."""
    for number, section in enumerate(sections):
        if number:
            yield Line()
        if section.title:
            yield Line.of(*_styled(section.title))
        for block in section.blocks:
            yield from _block_lines(block, has_title=bool(section.title))
        if section.more:
            yield Line.of((section.more, "quiet"), indent=_INDENT)


def _block_lines(block: Items | NumberTable | TextDiff, *, has_title: bool) -> Iterator[Line]:
    if isinstance(block, Items):
        for pieces in block.lines:
            yield Line.of(*_styled(pieces), indent=_INDENT if has_title else 0)
    elif isinstance(block, NumberTable):
        yield from _figure_lines(block)
    else:
        yield Line.of(*_styled(block.title), indent=_INDENT)
        for text in block.lines:
            style = {"-": "bad", "+": "good"}.get(text[:1], "quiet")
            yield Line.of((visible(text), style), indent=2 * _INDENT)


def data_text(text: str, style: str) -> str:
    """Return the text of a span as it is shown: names are made visible; values are quoted already."""
    return visible(text) if style in _NAMES else visible(text, quoted=True)


def _figure_lines(block: NumberTable) -> Iterator[Line]:
    rows = [[visible(cell) for cell in row] for row in (block.header, *block.rows)]
    for number, text in enumerate(table_rows(rows, right=range(len(block.header)))):
        yield Line(((text, "" if number else "quiet"),), indent=_INDENT, whole=True)


def _styled(pieces: Sequence[Span]) -> Iterator[Span]:
    for text, style in pieces:
        yield data_text(text, style), _STYLES.get(style, style)


def report_markdown(sections: Sequence[Section], max_bytes: int, *, cut: str) -> str:
    """Return a report as Markdown of at most `max_bytes` bytes of UTF-8.

    Whole blocks are left out from the end, and replaced by `cut`, so that each block is complete.
    """
    parts = [part for section in sections for part in _section_markdown(section)]
    whole = "\n".join(parts)
    if len(whole.encode()) <= max_bytes:
        return whole
    room = max_bytes - len(cut.encode()) - 1
    kept, size = [], 0
    for part in parts:
        size += len(part.encode()) + 1
        if size > room:
            break
        kept.append(part)
    return "\n".join([*kept, cut]) if room >= 0 else cut.encode()[: max(max_bytes, 0)].decode("utf-8", "ignore")


def _section_markdown(section: Section) -> Iterator[str]:
    """Yield the blocks of a section, each complete and ending in a newline."""
    if section.title:
        # Markdown prints a title in bold anyway.
        title = [(text, WORDS if style == "strong" else style) for text, style in section.title]
        yield f"#### {_inline(title)}\n"
    for block in section.blocks:
        if isinstance(block, Items):
            yield from (f"- {_inline(pieces)}" for pieces in block.lines)
            yield ""
        elif isinstance(block, NumberTable):
            header, *rows = [[_cell(cell) for cell in row] for row in (block.header, *block.rows)]
            yield "\n".join(markdown.markdown_table(header, rows, numbers=True)) + "\n"
        else:
            lines = [_inline(block.title), "", *markdown.code_block(map(visible, block.lines), "diff")]
            yield "\n".join(lines) + "\n"
    if section.more:
        yield f"{section.more}\n"


def _inline(pieces: Sequence[Span]) -> str:
    return "".join(_piece(*piece) for piece in pieces)


def _piece(text: str, style: str) -> str:
    if style in _DATA:
        return markdown.inline_code(data_text(text, style))
    words = text.strip()
    # Bold text must not begin or end with a space in Markdown.
    return text.replace(words, f"**{words}**", 1) if words and style in ("strong", "good", "bad") else text


def _cell(text: str) -> str:
    return text if _NUMBERS.fullmatch(text) else markdown.inline_code(text)
