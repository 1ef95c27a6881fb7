"""The result and the error of the readers of all formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from exprec.recorder.errors import KeyPath, Problem

Lines = dict[KeyPath, int]
"""The line of each key and list item, from 1."""


class BadSyntaxError(Exception):
    """The text is not valid in its format: at a line, if that is known, or with `problems` in detail."""

    def __init__(self, message: str, line: int | None = None, problems: Sequence[Problem] = ()) -> None:
        self.line, self.problems = line, problems
        super().__init__(message)


@dataclass(slots=True)
class Reading:
    """The value of a text, which may still contain values without JSON form, its lines, and its problems."""

    value: Any = None
    lines: Lines = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def key(self, path: KeyPath, line: int, seen: dict[str, int]) -> None:
        """Add the line of the key at `path`. `seen` has the lines of the keys of its mapping so far, and is updated."""
        name = str(path[-1])
        if name in seen:
            self.problems.append(Problem(path, f"duplicate key; line {seen[name]} has it first", line=line))
        else:
            seen[name] = line
        self.lines[path] = line


class Refused:
    """Placeholder for a refused value, which is later replaced by null."""
