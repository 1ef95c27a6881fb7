"""What the readers of all formats share: what they return, and how they fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from exprec.recorder.errors import KeyPath, Problem

Lines = dict[KeyPath, int]
"""The line of each key and list item, from 1."""


class BadSyntaxError(Exception):
    """The text is not of its format, at a line where that is known; or `problems` say it in detail."""

    def __init__(self, message: str, line: int | None = None, problems: Sequence[Problem] = ()) -> None:
        self.line, self.problems = line, problems
        super().__init__(message)


@dataclass(slots=True)
class Reading:
    """What a format's reader found: a value, not yet of JSON types only, lines, and problems so far."""

    value: Any = None
    lines: Lines = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def key(self, path: KeyPath, line: int, seen: dict[str, int]) -> None:
        """Note the key at the end of `path`; `seen` holds the keys of its mapping and their lines."""
        name = str(path[-1])
        if name in seen:
            self.problems.append(Problem(path, f"this key stands twice; line {seen[name]} has it first", line=line))
        else:
            seen[name] = line
        self.lines[path] = line


class Refused:
    """Placeholder for a refused value, which is later replaced by null."""
