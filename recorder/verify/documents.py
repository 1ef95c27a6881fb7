"""The indented files of a run, read as bytes that must be canonical, with the line of each key.

What their values must be is told elsewhere.
"""

from __future__ import annotations

import stat
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import key_name
from exprec.recorder.documents.loader import Document
from exprec.recorder.documents.parsers import read_json
from exprec.recorder.errors import NotEncodable, Problem
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.verify.messages import RESTORE, at, to_restore, unreadable


class IndentedFile:
    """The value of an indented file, and where its keys stand."""

    def __init__(self, source: str, data: bytes, value: Any) -> None:
        self.value = value
        self._source = source
        self._data = data

    def located(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """The same problems with file, line and readable key."""
        for problem in problems:
            yield from self._document.locate([problem])

    @cached_property
    def _document(self) -> Document:
        # Made for the first problem: most files have none.
        try:
            lines = read_json(self._data.decode()).lines
        except RecursionError:
            # A head of a newer format may be nested more deeply than this version ever writes.
            lines = {}
        return Document(self._source, self.value, lines)


def read_indented(path: Path, source: str) -> Generator[Problem, None, IndentedFile | None]:
    """Read an indented file, with the problems of its bytes; None when it has no value."""
    try:
        size = path.stat().st_size
        if size > layout.MAX_LINE_BYTES:
            yield Problem((), f"has {size} bytes, more than {layout.MAX_LINE_BYTES}; {RESTORE}", source=source)
            return None
        data = path.read_bytes()
    except OSError as error:
        yield Problem((), unreadable(error), source=source)
        return None
    try:
        value = canonical_json.decode(data)
    except ValueError as error:
        yield Problem((), f"not JSON ({error}); {RESTORE}", source=source, line=getattr(error, "lineno", None))
        return None
    if not canonical_json.is_canonical(data, value, indent=True):
        try:
            written = canonical_json.encode(value, indent=True)
        except NotEncodable as error:
            yield Problem((), f"not JSON that exprec writes ({error.reason}); {RESTORE}", source=source)
            return None
        problem = to_restore(why_not_canonical(data, value, indent=True))
        yield replace(problem, source=source, line=problem.line or _first_difference(data, written))
    return IndentedFile(source, data, value)


def newer_format(path: Path, source: str) -> Problem | None:
    """What to say of a head whose format this version does not know yet; None of any other, and of what is none."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > layout.MAX_LINE_BYTES:
            return None
        data = path.read_bytes()
        head = canonical_json.decode(data)
    except (OSError, ValueError):
        return None
    said = head.get("format") if isinstance(head, dict) else None
    if type(said) is not int or said <= layout.FORMAT:
        return None
    # Another format may have other files and another address: all else would be guessed.
    message = f"format {said} is newer than this version of exprec knows, so nothing else of the run was checked"
    (problem,) = IndentedFile(source, data, head).located([at(("format",), f"{message}; update exprec")])
    return problem


def why_not_canonical(data: bytes, value: Any, *, indent: bool = False) -> Problem:
    """What is wrong with the form of bytes that have this value; with a line if it is that of a key."""
    form = "is not in the form that exprec writes"
    if canonical_json.is_canonical(data.replace(b"\r\n", b"\n"), value, indent=indent):
        return Problem((), f"{form} (the line ends were converted)")
    repeated = read_json(data.decode()).problems
    if repeated:
        # The first is enough: it tells that nothing but exprec may write here.
        path, line = repeated[0].path, repeated[0].line
        message = f"the key {path[-1]!r} stands twice, and only the last was read"
        return Problem(path, message, key_name(path), line=line)
    return Problem((), form)


def _first_difference(data: bytes, written: bytes) -> int:
    """The first line in which two texts differ."""
    lines, expected = data.split(b"\n"), written.split(b"\n")
    for number, (line, other) in enumerate(zip(lines, expected, strict=False), 1):
        if line != other:
            return number
    return min(len(lines), len(expected))
