"""Lines onto a stream: wrapping, colour and encoding, the same on every terminal and in every locale.

It knows nothing of what the lines say.
"""

from __future__ import annotations

import shutil
from typing import TextIO

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from exprec.cli.render.text import Line, visible

_NARROWEST = 20
_DEFAULT_WIDTH = 80

# Only the sixteen colours that every terminal with colours has, so that no terminal gives other bytes.
_THEME = Theme(
    {"strong": "bold", "quiet": "dim", "good": "green", "bad": "red", "agent": "cyan"},
    inherit=False,
)


class _PlainConsole(Console):
    """A console that leaves it to its user what to do when the reader of the output is gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def make_console(stream: TextIO, *, color: bool, width: int | None = None) -> Console:
    """A console on `stream`; `width` in cells, by default that of the terminal, or 80 where there is none."""
    return _PlainConsole(
        file=stream,
        width=width or shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns,
        theme=_THEME,
        color_system="standard" if color else None,
        force_terminal=color,
        force_interactive=False,
        force_jupyter=False,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        # The environment was read by the caller, once; rich shall not read it again.
        _environ={},
    )


def print_line(console: Console, line: Line) -> None:
    """Print a line, wrapped at spaces where the console is too narrow for it."""
    text = Text()
    for part, style in line.spans:
        text.append(visible(part), style)
    margin = line.indent
    for row in _rows(console, text, line):
        row.rstrip()
        padded = Text(" " * margin) + row if row.plain else row
        console.print(padded, no_wrap=True, overflow="ignore", crop=False)
        margin = line.indent + line.hang


def _rows(console: Console, text: Text, line: Line) -> list[Text]:
    """The text in rows: the first as wide as the indent leaves, the others narrower by the hang."""
    room = max(console.width - line.indent, _NARROWEST)
    if line.whole or text.cell_len <= room:
        return [text]
    first = text.wrap(console, room)[0]
    rest = text[len(first.plain) :]
    words_begin = len(rest.plain) - len(rest.plain.lstrip(" "))
    return [first, *rest[words_begin:].wrap(console, room - line.hang)]
