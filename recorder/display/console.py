"""Lines onto a stream: wrapping, color and encoding, the same on every terminal and in every locale."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple, Protocol

from exprec.recorder.diagnostics import visible
from exprec.recorder.display.terminal_text import Line, Span, cell_len, crop_text, fold_text, is_narrow

_NARROWEST = 20
_BATCH = 256
_STYLES = {"strong": "\x1b[1m", "quiet": "\x1b[2m", "good": "\x1b[32m", "bad": "\x1b[31m", "agent": "\x1b[36m"}
"""The escape sequence of each style: only from the 16 basic colors, so that the bytes are the same everywhere."""
_END_OF_STYLE = "\x1b[0m"
_ESCAPED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories: control, format, surrogate, line and paragraph separator."""
_WORD = re.compile(r"\S+\s*")
_NO_SPACE = re.compile("[^ ]")
_text_of = itemgetter(0)


class Writable(Protocol):
    """A stream for text."""

    def write(self, text: str, /) -> object:
        """Write text."""
        ...

    def flush(self) -> object:
        """Flush what was written."""
        ...


class Console(NamedTuple):
    """A stream for lines, their maximum width in cells, and whether they are colored."""

    file: Writable
    width: int
    color: bool
    shows_invisible: bool = False
    """Whether every invisible character is shown as an escape, as on a terminal; else as `visible_as_printed` does."""

    def print_lines(self, lines: Iterable[Line]) -> None:
        """Print lines, wrapped at spaces if they are wider than the console, and flush.

        If an error is raised, the lines before it are printed.
        """
        self.print_texts(self.render((line,)) for line in lines)

    def render(self, lines: Iterable[Line]) -> str:
        """Return the rows of lines as they are printed, each with its newline."""
        return render_lines(lines, self.width, color=self.color, escape=_ESCAPES[self.shows_invisible])

    def print_texts(self, texts: Iterable[str]) -> None:
        """Print rendered lines in batches, and flush; if an error is raised, the texts before it are printed."""
        batch: list[str] = []
        try:
            for text in texts:
                batch.append(text)
                if len(batch) == _BATCH:
                    self.file.write("".join(batch))
                    batch.clear()
        finally:
            self.file.write("".join(batch))
            self.file.flush()


def visible_as_printed(text: str) -> str:
    """Return a text with escapes for the characters that exprec escaped in the first output that it ever printed.

    What `show` prints into a file or a pipe never changes, so this set is fixed.
    """
    if text.isprintable():
        return text
    return "".join(visible_on_screen(char) if unicodedata.category(char) in _ESCAPED else char for char in text)


def visible_on_screen(text: str) -> str:
    """Return a text with escapes for all that a terminal obeys or does not show; JSON in it is quoted already."""
    return visible(text, quoted=True)


_ESCAPES = {False: visible_as_printed, True: visible_on_screen}


def render_lines(
    lines: Iterable[Line], width: int, *, color: bool, escape: Callable[[str], str] = visible_as_printed
) -> str:
    """Return the rows of lines as they are printed, each with its newline; `escape` makes their text visible."""
    # Into a pipe, every printable text is visible: asking `escape` for each would take a tenth of the time of `show`.
    is_visible = str.isprintable if escape is visible_as_printed else lambda text: escape(text) is text
    printed = ""
    for line in lines:
        parts, indent, _, whole = line
        text = "".join(map(_text_of, parts))
        # Fast path for plain lines that fit: no character takes more cells than UTF-8 bytes.
        if not color and is_visible(text) and (whole or indent + len(text.encode()) <= width):
            text = text.rstrip()
            printed += f"{' ' * indent}{text}\n" if text else "\n"
        else:
            spans = [(escape(part), style) for part, style in parts]
            printed += _render_wrapped(line, spans, width, color=color)
    return printed


def _render_wrapped(line: Line, spans: Sequence[Span], width: int, *, color: bool) -> str:
    text = "".join([part for part, _ in spans])
    room = max(width - line.indent, _NARROWEST)
    fits = line.whole or cell_len(text) <= room
    starts = list(accumulate((len(part) for part, _ in spans), initial=0)) if color else []
    rows, margin = [], line.indent
    for start, end in ((0, len(text.rstrip())),) if fits else row_bounds(text, room, line.hang):
        rows.append(_row(margin, _styled(spans, starts, start, end) if color else text[start:end]))
        margin = line.indent + line.hang
    return "".join(rows)


def _row(margin: int, text: str) -> str:
    return f"{' ' * margin}{text}\n" if text else "\n"


def _styled(spans: Sequence[Span], starts: Sequence[int], start: int, end: int) -> str:
    """Return the text of spans between two positions, with their styles; `starts` are the positions of the spans."""
    styled = ""
    # From the span at the first position on: a line of many rows has many spans.
    for index in range(max(bisect_right(starts, start) - 1, 0), len(spans)):
        position = starts[index]
        if position >= end:
            break
        part, style = spans[index]
        piece = part[max(start - position, 0) : end - position]
        styled += f"{_STYLES[style]}{piece}{_END_OF_STYLE}" if piece and style else piece
    return styled


def row_bounds(text: str, room: int, hang: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each row of a text, without trailing spaces.

    The first row has `room` cells, the others `hang` fewer; spaces before the second row are dropped.
    """
    first = _first_row(text, room)
    yield 0, len(first.rstrip())
    start = len(text) - len(text[len(first) :].lstrip(" "))
    for end in (*(start + each for each in _breaks(text[start:], room - hang)), len(text)):
        yield start, start + len(text[start:end].rstrip())
        start = end


def _first_row(text: str, room: int) -> str:
    """Return the first row, with as many trailing spaces as fit."""
    row = text[: next(_breaks(text, room), len(text))]
    space = len(row) - len(row.rstrip())
    row = row[: len(row) - min(space, max(len(row) - room, 0))]
    # Some space characters are wide.
    return row if cell_len(row) <= room else crop_text(row, room)


def _breaks(text: str, room: int) -> Iterator[int]:
    """Yield the positions at which a text is broken into rows of at most `room` cells, without trailing spaces."""
    return _breaks_at_spaces(text, room) if is_narrow(text) and _fits(text, room) else _breaks_by_words(text, room)


def _fits(text: str, room: int) -> bool:
    """Return whether each word of a narrow text, and the leading space, fits into a row."""
    return max(map(len, text.split()), default=0) + len(text) - len(text.lstrip(" ")) <= room


def _breaks_at_spaces(text: str, room: int) -> Iterator[int]:
    start, length = 0, len(text.rstrip(" "))
    while start + room < length:
        edge = start + room
        # Not `lstrip`, which copies the rest of the text for each row.
        word = _NO_SPACE.search(text, edge) if text[edge] == " " else None
        start = text.rindex(" ", start, edge) + 1 if word is None else word.start()
        yield start


def _breaks_by_words(text: str, room: int) -> Iterator[int]:
    used = end = 0
    for match in _WORD.finditer(text):
        # Spaces before the first word belong to it.
        start, end = end, match.end()
        word = text[start:end]
        cells = cell_len(word.rstrip())
        if cells <= room - used:
            used += cell_len(word)
        elif cells > room:
            # The word is longer than a row.
            for piece in fold_text(word, room):
                if start:
                    yield start
                start += len(piece)
                used = cell_len(piece)
        elif used:
            if start:
                yield start
            used = cell_len(word)
