"""YAML, TOML and JSON files read into plain values, with the line of each key.

It holds no rule of any format of exprec: what a document must contain is its reader's business.
"""

from __future__ import annotations

import errno
import math
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import key_name
from exprec.recorder.documents.json_reader import read_json
from exprec.recorder.documents.reading import BadSyntaxError, Lines, Reading, Refused
from exprec.recorder.documents.yaml_reader import read_yaml
from exprec.recorder.errors import InvalidInput, KeyPath, Problem
from exprec.recorder.format import has_surrogate, layout

MAX_BYTES = 16 * 1024 * 1024
"""Maximum size of a file."""
MAX_MARKUP_BYTES = 4 * 1024 * 1024
"""Maximum size of a YAML or TOML file, which takes up to fifteen seconds to read; JSON takes a tenth of it."""

_KINDS = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Document:
    """The value of a file, which has JSON types only, and the line of each of its keys.

    `source` is the path as the user gave it, empty for a value that came from no file. `problems` lists
    what JSON cannot represent (duplicate keys, dates, some numbers).
    """

    source: str
    value: Any
    lines: Lines = field(default_factory=Lines, repr=False)
    problems: tuple[Problem, ...] = ()

    def line(self, path: KeyPath) -> int | None:
        """Return the line (from 1) of the key at `path`, or of the nearest key above it that has one."""
        return self.lines.find(path)

    def locate(self, problems: Iterable[Problem], under: KeyPath = ()) -> list[Problem]:
        """Return the problems with file, line and readable key, and with paths from the root of the document.

        `under` is the path of the checked value in this document. A problem that already has
        a source is unchanged: it is of another file.
        """
        return [problem if problem.source is not None else self._locate_one(problem, under) for problem in problems]

    def every_problem(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return the problems of the document and the given ones, located and in the order of their lines.

        A value without JSON form was replaced by null; further problems of it are consequences, and are left out.
        """
        replaced = {problem.path for problem in self.problems if _at(self.value, problem.path) is None}
        further = [problem for problem in self.locate(problems) if problem.path not in replaced]
        source = self.source or None
        here = [problem for problem in (*self.problems, *further) if problem.source == source]
        elsewhere = [problem for problem in further if problem.source != source]
        return sorted(here, key=lambda problem: problem.line or 0) + elsewhere

    def _locate_one(self, problem: Problem, under: KeyPath) -> Problem:
        path = (*under, *problem.path)
        key = key_name(path, self.value)
        return replace(problem, path=path, key=key, source=self.source or None, line=self.line(path))


def read_document(path: Path) -> Document:
    """Read a file in the format of its suffix; problems of single keys are in the document.

    Raises InvalidInput when the file cannot be read, has another suffix or is not of its format.
    """
    source, text = str(path), read_text(path)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise _unreadable(source, "is not named .yaml, .yml, .toml or .json; rename it after the format it is in")
    size = len(text.encode())
    if kind != "json" and size > MAX_MARKUP_BYTES:
        limit = f"{MAX_MARKUP_BYTES}, the limit of {kind.upper()} files"
        raise _unreadable(source, f"has {size} bytes, more than {limit}; write it as JSON, or split it")
    return _parse(text, source, kind)


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, without a byte order mark. Raises InvalidInput if it cannot be read."""
    source = str(path)
    try:
        return read_plain(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise _unreadable(source, "there is no such file; check the spelling and the folder") from None
    except IsADirectoryError:
        raise _unreadable(source, "is a folder; give a file in it") from None
    except UnicodeDecodeError as error:
        raise _unreadable(source, f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise _unreadable(source, f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        # A NUL in the path.
        raise _unreadable(repr(source), f"cannot be read: {error}") from None


def read_plain(path: Path) -> bytes:
    """Return the bytes of a regular file. Raises OSError, also for a pipe, a device and a file that is too large."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file; copy its content into one")
    if found.st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, more than {MAX_BYTES}")
    return path.read_bytes()


def parse_document(text: str, source: str, kind: str) -> Document:
    """Read text of a `kind` (`yaml`, `toml` or `json`). Raises InvalidInput with everything wrong with it."""
    document = _parse(text, source, kind)
    if document.problems:
        raise InvalidInput(document.problems)
    return document


def document_of(value: Any) -> Document:
    """Return a value of a program as a document without file and lines; values without JSON form become problems."""
    return _document("", Reading(value))


def _parse(text: str, source: str, kind: str) -> Document:
    try:
        reading = _reader_of(kind)(text)
    except BadSyntaxError as error:
        problems = error.problems or [Problem((), f"not valid {kind.upper()}: {error}", line=error.line)]
        raise InvalidInput([problem.within(source) for problem in problems]) from None
    except RecursionError:
        raise _too_deep(source) from None
    return _document(source, reading)


def _reader_of(kind: str) -> Callable[[str], Reading]:
    if kind == "toml":
        # Imported here because most documents are in another format.
        from exprec.recorder.documents.toml_reader import read_toml

        return read_toml
    return {"yaml": read_yaml, "json": read_json}[kind]


def _document(source: str, reading: Reading) -> Document:
    try:
        value = _kept((), reading.value, reading.problems)
    except RecursionError:
        raise _too_deep(source) from None
    document = Document(source, value, reading.lines)
    located = []
    for problem in reading.problems:
        line = problem.line or document.line(problem.path)
        located.append(replace(problem, source=source or None, key=key_name(problem.path, value), line=line))
    return replace(document, problems=tuple(sorted(located, key=lambda problem: problem.line or 0)))


def _too_deep(source: str) -> InvalidInput:
    return _unreadable(source, f"is nested deeper than {layout.MAX_DOCUMENT_DEPTH} levels")


def _unreadable(source: str, reason: str) -> InvalidInput:
    return InvalidInput([Problem((), reason, source=source or None)])


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(str(part))
        else:
            value = value[part] if isinstance(value, list) and isinstance(part, int) else None
    return value


def _kept(path: KeyPath, value: Any, problems: list[Problem]) -> Any:
    """Return the value with null for each part that JSON cannot represent; each is added to `problems`."""
    if len(path) > layout.MAX_DOCUMENT_DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        kept = {}
        for key, part in value.items():
            if reason := _reason_against_key(key):
                problems.append(Problem(path, f"the key {key!r} {reason}"))
            else:
                kept[key] = _kept((*path, key), part, problems)
        return kept
    if isinstance(value, list):
        return [_kept((*path, index), part, problems) for index, part in enumerate(value)]
    if isinstance(value, Refused):
        return None
    if reason := _reason_against(value):
        problems.append(Problem(path, reason))
        return None
    return value


def _reason_against(value: Any) -> str | None:
    if isinstance(value, str):
        reason = _surrogate_reason(value)
        return f"the string has {reason}" if reason else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return None if layout.MIN_INTEGER <= value <= layout.MAX_INTEGER else "the integer is beyond 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number; JSON has no infinity and no NaN"
    return f"a {type(value).__name__} is not a value that JSON has; write it as a string, in quotes"


def _reason_against_key(key: Any) -> str | None:
    if not isinstance(key, str):
        return "is not a string"
    reason = _surrogate_reason(key)
    return f"has {reason}" if reason else None


def _surrogate_reason(text: str) -> str | None:
    return "a lone surrogate, which UTF-8 cannot hold" if has_surrogate(text) else None
