"""Lines onto a stream: wrapping, colour and encoding, the same on every terminal and in every locale.

It knows nothing of what the lines say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol

from exprec.recorder.diagnostics import visible
from exprec.recorder.display.cells import cell_len
from exprec.recorder.display.text import Line, Span
from exprec.recorder.display.wrapping import rows

_NARROWEST = 20
_BATCH = 256
_STYLES = {"strong": "\x1b[1m", "quiet": "\x1b[2m", "good": "\x1b[32m", "bad": "\x1b[31m", "agent": "\x1b[36m"}
"""How a style begins: only the sixteen colours that every terminal with colours has, so that no terminal gives other
bytes."""
_END_OF_STYLE = "\x1b[0m"
_text_of = itemgetter(0)


class Writable(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Console:
    """A stream for lines, how wide they may be, in cells, and whether they have colour."""

    file: Writable
    width: int
    color: bool


def print_line(console: Console, line: Line) -> None:
    """Print a line, wrapped at spaces where the console is too narrow for it. It is not flushed."""
    console.file.write(rendered((line,), console.width, color=console.color))


def print_lines(console: Console, lines: Iterable[Line]) -> None:
    """Print many lines, and flush them. What came before an error is printed, too."""
    print_texts(console, (rendered((line,), console.width, color=console.color) for line in lines))


def print_texts(console: Console, texts: Iterable[str]) -> None:
    """Print what was `rendered`, a good many at a time, and flush it. What came before an error is printed, too."""
    batch: list[str] = []
    try:
        for text in texts:
            batch.append(text)
            if len(batch) == _BATCH:
                console.file.write("".join(batch))
                batch.clear()
    finally:
        console.file.write("".join(batch))
        console.file.flush()


def rendered(lines: Iterable[Line], width: int, *, color: bool) -> str:
    """The rows of lines as they are printed, each with its newline."""
    printed = ""
    for line in lines:
        spans, indent, _, whole = line
        text = "".join(map(_text_of, spans))
        # Most lines are plain and fit, which is seen at once: no character takes more cells than it has bytes.
        if not color and text.isprintable() and (whole or indent + len(text.encode()) <= width):
            text = text.rstrip()
            printed += f"{' ' * indent}{text}\n" if text else "\n"
        else:
            printed += _rendered_with_care(line, width, color=color)
    return printed


def _rendered_with_care(line: Line, width: int, *, color: bool) -> str:
    spans = [(visible(part), style) for part, style in line.spans]
    text = "".join([part for part, _ in spans])
    room = max(width - line.indent, _NARROWEST)
    fits = line.whole or cell_len(text) <= room
    printed, margin = "", line.indent
    for start, end in ((0, len(text.rstrip())),) if fits else rows(text, room, line.hang):
        printed += _row(margin, _styled(spans, start, end) if color else text[start:end])
        margin = line.indent + line.hang
    return printed


def _row(margin: int, text: str) -> str:
    return f"{' ' * margin}{text}\n" if text else "\n"


def _styled(spans: Sequence[Span], start: int, end: int) -> str:
    """What stands between two positions in the text of some spans, in their styles."""
    styled, position = "", 0
    for part, style in spans:
        piece = part[max(start - position, 0) : max(end - position, 0)]
        position += len(part)
        styled += f"{_STYLES[style]}{piece}{_END_OF_STYLE}" if piece and style else piece
    return styled
