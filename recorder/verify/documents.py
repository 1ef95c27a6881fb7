"""The documents of a run (config.json, schemas.json, run.json, execution records): canonical, indented JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exprec.recorder.diagnostics import key_name
from exprec.recorder.errors import NotEncodable, Problem
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.verify.files import ReadFile, RunFiles
from exprec.recorder.verify.location import RunProblems
from exprec.recorder.verify.messages import RESTORE, value_problem, with_advice

if TYPE_CHECKING:
    from exprec.recorder.documents import Document


class JsonDocument:
    """The value of a document, and the lines of its keys."""

    def __init__(self, source: str, content: bytes, value: Any) -> None:
        """`source` is the name of the file in problems."""
        self.value = value
        self._source = source
        self._content = content

    def located(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Yield the same problems with file, line and readable key."""
        for problem in problems:
            yield from self._document.locate([problem])

    @cached_property
    def _document(self) -> Document:
        # Parsed, and the parser imported, for the first problem only: most documents have none.
        from exprec.recorder.documents import Document, read_json

        try:
            return Document(self._source, self.value, read_json(self._content.decode()).lines)
        except (ValueError, RecursionError):
            # A head of a newer format may be larger or nested more deeply than this version ever writes.
            return Document(self._source, self.value)


def read_document(file: ReadFile, source: str, problems: RunProblems) -> JsonDocument | None:
    """Parse a document, and report where its bytes are not canonical; None if it has no value.

    `source` is the name of the file in problems.
    """
    content = file.content
    if content is None:
        message = f"has {file.digest.size} bytes, more than {layout.MAX_LINE_BYTES}; {RESTORE}"
        problems.extend([Problem((), message, source=source)])
        return None
    try:
        value = canonical_json.decode(content)
    except ValueError as error:
        line = getattr(error, "lineno", None)
        problems.extend([Problem((), f"not JSON ({error}); {RESTORE}", source=source, line=line)])
        return None
    if not canonical_json.is_canonical(content, value, indent=True):
        try:
            written = canonical_json.encode(value, indent=True)
        except NotEncodable as error:
            message = f"not JSON that exprec writes ({error.reason}); {RESTORE}"
            problems.extend([Problem((), message, source=source)])
            return None
        problem = with_advice(explain_form(content, value, indent=True))
        line = problem.line or _first_difference(content, written)
        problems.extend([replace(problem, source=source, line=line)])
    return JsonDocument(source, content, value)


def read_run_document(name: str, files: RunFiles) -> JsonDocument | None:
    """Parse one of the documents of a run; None if it is missing or cannot be read."""
    file = files.checked.get(name)
    return None if file is None else read_document(file, files.location.source(name), files.problems)


def is_newer_format(files: RunFiles) -> bool:
    """Return whether a sealed run has a format that this version does not know yet, which is a problem."""
    file = files.peek(layout.RUN_FILE) if files.location.is_sealed else None
    try:
        head = canonical_json.decode(file.content) if file is not None and file.content is not None else None
    except ValueError:
        return False
    version = head.get("format") if isinstance(head, dict) else None
    if file is None or file.content is None or type(version) is not int or version <= layout.FORMAT:
        return False
    # Another format may have other files and other run ids: checking more would be guessing.
    message = f"format {version} is newer than this version of exprec supports, so nothing else of the run was checked"
    document = JsonDocument(files.location.source(layout.RUN_FILE), file.content, head)
    files.problems.extend(document.located([value_problem(("format",), f"{message}; update exprec")]))
    return True


def explain_form(content: bytes, value: Any, *, indent: bool = False) -> Problem:
    """Return why bytes with this value are not canonical; with a line if the problem is one key."""
    form = "is not in the canonical form that exprec writes"
    if canonical_json.is_canonical(content.replace(b"\r\n", b"\n"), value, indent=indent):
        return Problem((), f"{form} (line endings were converted)")
    from exprec.recorder.documents import read_json

    try:
        duplicates = read_json(content.decode()).problems
    except ValueError:
        # More values than are scanned for their lines.
        duplicates = []
    if duplicates:
        # The first is enough: only exprec may write here, and it writes none.
        path, line = duplicates[0].path, duplicates[0].line
        return Problem(path, f"duplicate key {path[-1]!r}; only the last one was read", key_name(path), line=line)
    return Problem((), form)


def _first_difference(content: bytes, written: bytes) -> int:
    """Return the first line in which two texts differ, from 1."""
    lines, expected = content.split(b"\n"), written.split(b"\n")
    for number, (line, other) in enumerate(zip(lines, expected, strict=False), 1):
        if line != other:
            return number
    return min(len(lines), len(expected))
