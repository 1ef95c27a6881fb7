"""Sections of a report, as lines for a terminal and as Markdown: tables, lists, and differences of texts.

It knows nothing of runs; what a report says is put together elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exprec.cli.output import markdown
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line, Span, cell_len

WORDS, DATA, AGENT, KEY, OLD, NEW = "", "data", "agent", "key", "old", "new"
"""How a piece of a report is meant: our own words, or a text from a run."""

_STYLES = {DATA: "", KEY: "quiet", OLD: "bad", NEW: "good"}
_DATA = (DATA, AGENT, KEY, OLD, NEW)
_INDENT = 2
_FIGURE = re.compile(r"[0-9 →+.=-]*|[0-9]+ to [0-9]+")
"""What cannot be anything but a figure, in whatever cell it stands."""
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Items:
    """Lines of pieces, each with the name of its style or of how it is meant."""

    lines: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """A table of figures; the first column says what a row is of."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TextDiff:
    """Lines of a text, each with `-`, `+` or a space before it."""

    title: tuple[Span, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A title and what stands under it; `more` tells of what is counted only."""

    title: tuple[Span, ...]
    blocks: tuple[Items | Figures | TextDiff, ...] = ()
    more: str = ""


def report_lines(sections: Sequence[Section]) -> Iterator[Line]:
    """The report for a terminal."""
    for number, section in enumerate(sections):
        if number:
            yield Line()
        if section.title:
            yield Line.of(*_styled(section.title))
        for block in section.blocks:
            yield from _block_lines(block, has_title=bool(section.title))
        if section.more:
            yield Line.of((section.more, "quiet"), indent=_INDENT)


def _block_lines(block: Items | Figures | TextDiff, *, has_title: bool) -> Iterator[Line]:
    if isinstance(block, Items):
        for pieces in block.lines:
            yield Line.of(*_styled(pieces), indent=_INDENT if has_title else 0)
    elif isinstance(block, Figures):
        yield from _figure_lines(block)
    else:
        yield Line.of(*_styled(block.title), indent=_INDENT)
        for text in block.lines:
            style = {"-": "bad", "+": "good"}.get(text[:1], "quiet")
            yield Line.of((text, style), indent=2 * _INDENT)


def _figure_lines(block: Figures) -> Iterator[Line]:
    rows = [[visible(cell) for cell in row] for row in (block.header, *block.rows)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = (" " * (width - cell_len(cell)) + cell for cell, width in zip(row, widths, strict=True))
        yield Line(((_GAP.join(cells).rstrip(), "" if number else "quiet"),), indent=_INDENT, whole=True)


def _styled(pieces: Sequence[Span]) -> Iterator[Span]:
    for text, style in pieces:
        yield text, _STYLES.get(style, style)


def report_markdown(sections: Sequence[Section], max_bytes: int, *, cut: str) -> str:
    """The report as Markdown of at most so many bytes; `cut` says that the rest was left out.

    Whole blocks are left out, the last ones first, so that what is there is complete.
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
    """The parts of a section, each a text that is complete by itself and ends in a newline."""
    if section.title:
        # A title is bold by itself.
        title = [(text, WORDS if style == "strong" else style) for text, style in section.title]
        yield f"#### {_inline(title)}\n"
    for block in section.blocks:
        if isinstance(block, Items):
            yield from (f"- {_inline(pieces)}" for pieces in block.lines)
            yield ""
        elif isinstance(block, Figures):
            header, *rows = [[_cell(cell) for cell in row] for row in (block.header, *block.rows)]
            yield "\n".join(markdown.table(header, rows, figures=True)) + "\n"
        else:
            lines = [_inline(block.title), "", *markdown.code_block(block.lines, "diff")]
            yield "\n".join(lines) + "\n"
    if section.more:
        yield f"{section.more}\n"


def _inline(pieces: Sequence[Span]) -> str:
    return "".join(_piece(*piece) for piece in pieces)


def _piece(text: str, style: str) -> str:
    if style in _DATA:
        return markdown.code(text)
    words = text.strip()
    # What is bold must neither begin nor end with a space.
    return text.replace(words, f"**{words}**", 1) if words and style in ("strong", "good", "bad") else text


def _cell(text: str) -> str:
    return text if _FIGURE.fullmatch(text) else markdown.code(text)
