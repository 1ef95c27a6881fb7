"""Text from a log made harmless for a terminal, and the lines that a display consists of.

It knows nothing of events, and nothing here prints.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

Span = tuple[str, str]
"""A piece of text and the name of its style; the empty name is plain."""

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


class Line(NamedTuple):
    """One line of a display. Where it is too wide it goes on `hang` cells deeper than it began, unless it is
    `whole`: a line that people copy is never broken."""

    spans: tuple[Span, ...]
    indent: int = 0
    hang: int = 2
    whole: bool = False


new_line = cast(Callable[[tuple[tuple[Span, ...], int, int, bool]], Line], partial(tuple.__new__, Line))
"""A line of all its parts, in half the time that `Line` takes, because that is a function in Python."""

BLANK = Line(())


def line(*parts: Span | str, indent: int = 0, hang: int = 2) -> Line:
    """A line of parts, plain where they are bare text."""
    return new_line((tuple([(part, "") if isinstance(part, str) else part for part in parts]), indent, hang, False))


def counted(number: int, noun: str) -> str:
    """A number of things in words: `1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def visible(text: str) -> str:
    """The text with every control, format and line-breaking character written out (`\\x1b`, `\\u202e`)."""
    # None of these can be printed.
    if text.isprintable():
        return text
    return "".join(_written_out(char) if _is_invisible(char) else char for char in text)


def visible_lines(text: str) -> str:
    """The same of a text that may have several lines, which stay apart."""
    return "\n".join(map(visible, text.split("\n")))


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE


def _written_out(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
