"""The lines that a display consists of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

Span = tuple[str, str]
"""A piece of text and the name of its style; the empty name is plain."""


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
