"""The result and the error of the readers of all formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from exprec.recorder.errors import KeyPath, Problem


class BadSyntaxError(ValueError):
    """The text is not valid in its format: at a line, if that is known, or with `problems` in detail."""

    def __init__(self, message: str, line: int | None = None, problems: Sequence[Problem] = ()) -> None:
        self.line, self.problems = line, problems
        super().__init__(message)


class Lines:
    """The line (from 1) of a value, and those of the keys and items in it.

    A tree, because whole paths would take memory with the values times their nesting.
    """

    __slots__ = ("_inner", "line")

    def __init__(self, line: int | None = None) -> None:
        self.line = line
        """None for a value whose line is not known."""
        self._inner: dict[str | int, Lines | int] = {}

    def open(self, key: str | int) -> Lines:
        """Return the lines of the value under a key, to add to them."""
        inner = self._inner.get(key)
        if not isinstance(inner, Lines):
            inner = self._inner[key] = Lines(inner)
        return inner

    def add(self, key: str | int, line: int, *, replace: bool = False) -> None:
        """Set the line of a key, unless it has one and `replace` is not given."""
        inner = self._inner.get(key)
        if isinstance(inner, Lines):
            inner.line = line if replace or inner.line is None else inner.line
        elif inner is None or replace:
            self._inner[key] = line

    def find(self, path: KeyPath) -> int | None:
        """Return the line of the value at a path, or of the nearest above it that has one."""
        line, lines = self.line, self
        for key in path:
            inner = lines._inner.get(key)
            if not isinstance(inner, Lines):
                return line if inner is None else inner
            lines, line = inner, line if inner.line is None else inner.line
        return line


@dataclass(slots=True)
class Reading:
    """The value of a text, which may still contain values without JSON form, its lines, and its problems."""

    value: Any = None
    lines: Lines = field(default_factory=Lines)
    problems: list[Problem] = field(default_factory=list)

    def duplicate_key(self, path: KeyPath, line: int, first: int) -> None:
        """Add the problem of a key that its mapping has before, in the line `first`."""
        self.problems.append(Problem(path, f"duplicate key; line {first} has it first", line=line))


class Refused:
    """Placeholder for a refused value, which is later replaced by null."""
