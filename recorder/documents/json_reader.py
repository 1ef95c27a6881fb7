"""JSON text to a value and the line of each key; duplicate keys are problems."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from exprec.recorder.documents.reading import BadSyntaxError, Lines, Reading
from exprec.recorder.format import layout

MAX_VALUES = 1_000_000
"""Maximum values in a document: two seconds, and 140 MB."""

# A string that does not end is one token: looking for its end again from within takes quadratic time.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\],]|[^\s{}\[\],:"]+', re.DOTALL)


class InvalidJson(ValueError):
    """A text is not JSON that can be recorded. The message is recorded: another wording would change run ids."""

    def __init__(self, message: str, key: str = "") -> None:
        """`key` is the duplicate key of an object, if that is the problem."""
        self.key = key
        super().__init__(message)


def unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs; the `object_pairs_hook` of `json.loads`. Raises InvalidJson."""
    value = dict(pairs)
    if len(value) < len(pairs):
        key = _first_repeated(name for name, _ in pairs)
        raise InvalidJson(f"not valid JSON: the key {key!a} stands twice in one object", key)
    return value


def _first_repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise AssertionError("no name is repeated")


def read_json(text: str) -> Reading:
    """Read JSON text. Raises BadSyntaxError, RecursionError."""
    if _has_too_many_values(text):
        raise BadSyntaxError(f"it has more than {MAX_VALUES} values; split the file, or leave out what is not needed")
    try:
        value = json.loads(text, parse_int=parse_integer)
    except json.JSONDecodeError as error:
        raise BadSyntaxError(error.msg, error.lineno) from None
    reading = Reading(value)
    _scan_json(text, reading)
    return reading


def parse_integer(digits: str) -> int:
    """Return an integer; of one with more than MAX_DIGITS digits, which is beyond 64 bits, the first few more."""
    return int(digits[: layout.MAX_DIGITS + 2])


def _has_too_many_values(text: str) -> bool:
    # Each value but the first is after one of these. Most texts have few, and are not scanned twice.
    if sum(map(text.count, "[{,")) < MAX_VALUES:
        return False
    separators = (token for token in _JSON_TOKEN.finditer(text) if token[0] in ("[", "{", ","))
    return next(islice(separators, MAX_VALUES, None), None) is not None


@dataclass(slots=True)
class _Container:
    """An object or an array that is not closed yet."""

    lines: Lines
    keys: dict[str, int] | None
    """The lines of the keys of an object so far; None for an array."""
    key: str | int = 0
    """Of the current value in it."""


def _scan_json(text: str, reading: Reading) -> None:
    """Add the line of every key and item. The text is known to be JSON, so that following its nesting is enough."""
    open_containers: list[_Container] = []
    expects_key = False
    line, counted = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        parent = open_containers[-1] if open_containers else None
        match token[0]:
            case "{" | "[" as bracket:
                lines = reading.lines if parent is None else parent.lines.open(parent.key)
                lines.line = line if lines.line is None else lines.line
                expects_key = bracket == "{"
                open_containers.append(_Container(lines, {} if expects_key else None))
            case "}" | "]":
                open_containers.pop()
                expects_key = False
            case "," if parent is not None:
                expects_key = parent.keys is not None
                parent.key = parent.key if isinstance(parent.key, str) else parent.key + 1
            case name if expects_key and parent is not None and parent.keys is not None:
                parent.key = key = json.loads(name)
                first = parent.keys.get(key)
                if first is None:
                    parent.keys[key] = line
                else:
                    reading.duplicate_key(tuple(each.key for each in open_containers), line, first)
                parent.lines.add(key, line, replace=True)
                expects_key = False
            case _ if parent is None:
                reading.lines.line = line
            case _:
                parent.lines.add(parent.key, line)
