"""TOML text to a value and the line of each key; duplicate keys are problems."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from exprec.recorder.diagnostics import key_name
from exprec.recorder.documents.reading import BadSyntaxError, Lines, Reading
from exprec.recorder.errors import KeyPath
from exprec.recorder.format import layout

_TOML_TOKEN = re.compile(
    # A string that does not end is one token too: looking for its end again from within takes quadratic time.
    r'"""(?:[^\\"]++|\\.|"(?!""))*+(?:"""(?:"{0,2})|\\?\Z)' + r"|'''.*?(?:'''(?:'{0,2})|\Z)"
    r'|"(?:\\.|[^"\\\n])*+(?:"|\\?\Z|$)' + r"|'[^'\n]*+(?:'|$)|#[^\n]*|\n|[\[\]{}=.]|[^\s\[\]{}=.#\"']+|.",
    re.DOTALL | re.MULTILINE,
)
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def read_toml(text: str) -> Reading:
    """Read TOML text. Raises BadSyntaxError, RecursionError."""
    reading = Reading(lines=Lines(1))
    _scan_toml(text, reading)
    try:
        reading.value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # tomllib stops at the first duplicate key; the scan has them all.
        if reading.problems and str(error).startswith("Cannot"):
            located = [replace(problem, key=key_name(problem.path)) for problem in reading.problems]
            raise BadSyntaxError("", problems=located) from None
        place = _TOML_LINE.search(str(error))
        raise BadSyntaxError(_TOML_LINE.sub("", str(error)), int(place[1]) if place else None) from None
    except ValueError:
        # Python refuses to convert thousands of digits.
        raise BadSyntaxError("an integer is beyond 64 bits") from None
    return reading


def _scan_toml(text: str, reading: Reading) -> None:
    """Add the line of every table header and `key =`. Keys inside a value have the line of its key."""
    table: KeyPath = ()
    table_lines = reading.lines
    arrays: dict[KeyPath, int] = {}
    seen: dict[tuple[int, str], int] = {}
    """The line of each key, by the identity of the lines of its table: a path takes memory for each table above."""

    def add_key(above: Lines, path: KeyPath, line: int) -> None:
        name = str(path[-1])
        first = seen.get((id(above), name))
        if first is None:
            seen[id(above), name] = line
        else:
            reading.duplicate_key(path, line, first)
        above.add(name, line, replace=True)

    for words, is_header, line in _toml_statements(text):
        names = [_toml_name(word) for word in words if word not in (".", "[", "]")]
        if not names:
            continue
        if len(names) > layout.MAX_DOCUMENT_DEPTH:
            # tomllib takes memory with the square of them.
            raise RecursionError
        if not is_header:
            add_key(_lines_at(names[:-1], table_lines), (*table, *names), line)
            continue
        table = (*_in_arrays(names[:-1], arrays), names[-1])
        if words[:2] == ["[", "["]:
            arrays[table] = arrays.get(table, -1) + 1
            _lines_at(table[:-1], reading.lines).add(table[-1], line)
            table = (*table, arrays[table])
            _lines_at(table[:-1], reading.lines).add(table[-1], line, replace=True)
        else:
            table = _in_arrays(names, arrays)
            add_key(_lines_at(table[:-1], reading.lines), table, line)
        table_lines = _lines_at(table, reading.lines)


def _lines_at(path: Iterable[str | int], lines: Lines) -> Lines:
    for key in path:
        lines = lines.open(key)
    return lines


class _Statement(NamedTuple):
    """The words before a `=`, or those of a table header."""

    words: list[str]
    is_header: bool
    line: int


def _toml_statements(text: str) -> Iterator[_Statement]:
    words: list[str] = []
    line = start = 1
    depth, in_value = 0, False
    for token in _TOML_TOKEN.finditer(text):
        word = token[0]
        if word == "\n" and depth <= 0:
            if words and words[0] == "[":
                yield _Statement(words, True, start)
            words, depth, in_value = [], 0, False
        elif in_value:
            depth += (word in "[{") - (word in "]}")
        elif word == "=":
            yield _Statement(words, False, start)
            words, in_value = [], True
        elif not word.isspace() and not word.startswith("#"):
            start = start if words else line
            words.append(word)
        line += word.count("\n")
    if words and words[0] == "[":
        yield _Statement(words, True, start)


def _toml_name(word: str) -> str:
    if word[0] not in "\"'":
        return word
    try:
        return str(tomllib.loads(f"name = {word}")["name"])
    except tomllib.TOMLDecodeError:
        return word


def _in_arrays(names: Sequence[str], arrays: dict[KeyPath, int]) -> KeyPath:
    """Return the path of a dotted name, in which an array of tables means its last table."""
    path: KeyPath = ()
    for name in names:
        path = (*path, name)
        if path in arrays:
            path = (*path, arrays[path])
    return path
