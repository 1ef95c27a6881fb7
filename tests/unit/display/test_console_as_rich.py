"""What is printed has the bytes that rich would print: exprec renders its lines itself, in a tenth of the time."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len as rich_cell_len
from rich.cells import chop_cells, set_cell_size
from rich.console import Console as RichConsole
from rich.text import Text
from rich.theme import Theme

from exprec.cli.terminal import make_console
from exprec.recorder.display import terminal_text
from exprec.recorder.display.console import visible_as_printed
from exprec.recorder.display.terminal_text import Line
from tests.fixtures.display import print_to_text
from tests.fixtures.paths import ROOT

NARROWEST = 20
STYLES = {"strong": "bold", "quiet": "dim", "good": "green", "bad": "red", "agent": "cyan"}


def by_rich(each: Line, width: int, *, color: bool) -> str:
    """A line as rich prints it: the reference."""
    stream = io.StringIO()
    console = RichConsole(
        file=stream,
        width=width,
        theme=Theme(STYLES, inherit=False),
        color_system="standard" if color else None,
        force_terminal=color,
        force_interactive=False,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    text = Text()
    for part, style in each.spans:
        text.append(visible_as_printed(part), style)
    margin = each.indent
    for row in _rows(console, text, each):
        row.rstrip()
        padded = Text(" " * margin) + row if row.plain else row
        console.print(padded, no_wrap=True, overflow="ignore", crop=False)
        margin = each.indent + each.hang
    return stream.getvalue()


def _rows(console: RichConsole, text: Text, each: Line) -> list[Text]:
    room = max(console.width - each.indent, NARROWEST)
    if each.whole or text.cell_len <= room:
        return [text]
    first = text.wrap(console, room)[0]
    rest = text[len(first.plain) :]
    words_begin = len(rest.plain) - len(rest.plain.lstrip(" "))
    return [first, *rest[words_begin:].wrap(console, room - each.hang)]


# Words, and what is hard about text: space of every kind and width, characters that are wide, combine, change the
# width of others, control a terminal or are no text at all.
HARD = [" ", "  ", "a", "word", "longer-words", "→", "…", "–", "\xa0", "\u3000", "\u2003", "\u202f", "決済", "👍", "é"]
HARD += ["e\u0301", "\u0301", "❤\ufe0f", "\ufe0f", "👩\u200d👩", "\u200d", "\x1b[31m", "\n", "\t", "\x7f", "\x85"]
HARD += ["\u2028", "\u202e", "\ud800", "\U000e0041", "\ue000", "\u0378", "[bold]", ":smile:", "x" * 30, "字" * 15]
TEXTS = st.lists(st.sampled_from(HARD) | st.text(max_size=8), max_size=14).map("".join)
SPANS = st.lists(st.tuples(TEXTS, st.sampled_from(["", *STYLES])), max_size=6).map(tuple)
LINES = st.builds(Line, SPANS, st.integers(0, 8), st.integers(0, 4), st.booleans())


@settings(max_examples=200, deadline=None)
@given(LINES, st.integers(1, 130), st.booleans())
@example(Line((("word " * 12, ""),)), 60, False)
@example(Line((("a" * 30 + "  ", "bad"), ("  ", "good"))), 30, True)
@example(Line((("字" * 10 + "\u3000" * 3 + "x", "bad"),)), 21, True)
def test_every_line_has_the_bytes_that_rich_prints(each: Line, width: int, color: bool) -> None:
    assert print_to_text(each, width=width, color=color) == by_rich(each, width, color=color)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab →…", max_size=30), max_size=8), st.integers(20, 60), st.booleans())
def test_every_narrow_line_has_the_bytes_that_rich_prints(words: list[str], width: int, color: bool) -> None:
    each = Line.of(*((word, "quiet") for word in words), indent=2)
    assert print_to_text(each, width=width, color=color) == by_rich(each, width, color=color)


@given(TEXTS.map(visible_as_printed), st.integers(1, 40))
def test_cells_are_those_of_rich(text: str, room: int) -> None:
    assert terminal_text.cell_len(text) == rich_cell_len(text)
    assert terminal_text.crop_text(text, room) == set_cell_size(text, room)
    # A character that is wider than the room is beyond both; a row has room for more.
    assert terminal_text.fold_text(text, room + 1) == chop_cells(text, room + 1)


MEASURED = "8e934d2d"
"""The digest of `measure_characters`: a version of rich that changes it changes what `show` prints of recorded runs."""


def measure_characters() -> str:
    """A digest of the cells of every character, and of texts cropped and folded."""
    digest = hashlib.sha256()
    digest.update(bytes(terminal_text.cell_len(chr(code)) for code in range(0x20000) if not 0xD800 <= code < 0xE000))
    chooser = random.Random(1)
    for _ in range(2000):
        text = "".join(chooser.choices(HARD, k=8))
        room = chooser.randint(2, 40)
        digest.update(ascii((terminal_text.crop_text(text, room), terminal_text.fold_text(text, room))).encode())
    return digest.hexdigest()[:8]


def test_cells_depend_on_no_version_of_rich_and_on_no_environment() -> None:
    program = f"from {__name__} import measure_characters; print(measure_characters())"
    measured = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "UNICODE_VERSION": "5.0.0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert measured.stdout.strip() == MEASURED


@given(
    TEXTS.map(visible_as_printed)
    | st.text(st.characters(min_codepoint=0x80, exclude_categories=["Cs"])).map(visible_as_printed)
)
def test_no_text_takes_more_cells_than_it_has_bytes(text: str) -> None:
    """A line with no more bytes than there is room is printed without being measured."""
    assert rich_cell_len(text) <= len(text.encode())


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_many_lines_are_printed_as_one_by_one(count: int) -> None:
    lines = [Line.of(f"line {number}", indent=number % 3) for number in range(count)]
    stream = io.StringIO()
    make_console(stream, color=False, width=80).print_lines(lines)
    assert stream.getvalue() == "".join(print_to_text(each) for each in lines)


def test_what_came_before_an_error_is_printed() -> None:
    def lines() -> Iterator[Line]:
        yield Line.of("first")
        raise LookupError("gone")

    stream = io.StringIO()
    with pytest.raises(LookupError, match="gone"):
        make_console(stream, color=False, width=80).print_lines(lines())
    assert stream.getvalue() == "first\n"
