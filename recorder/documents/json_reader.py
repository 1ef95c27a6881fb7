"""JSON text to a value and the line of each key; duplicate keys are problems."""

from __future__ import annotations

import json
import re
from typing import Any

from exprec.recorder.documents.reading import BadSyntaxError, Reading
from exprec.recorder.errors import KeyPath
from exprec.recorder.format import layout

_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]|[^\s{}\[\],:"]+', re.DOTALL)


class InvalidJson(ValueError):
    """A text is not JSON that can be recorded. The message is recorded: another wording would change run ids."""

    def __init__(self, message: str, key: str = "") -> None:
        """`key` is the key that stands twice in one object, if that is the problem."""
        self.key = key
        super().__init__(message)


def unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs; the `object_pairs_hook` of `json.loads`. Raises InvalidJson."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        key = next(name for index, name in enumerate(names) if name in names[:index])
        raise InvalidJson(f"not valid JSON: the key {key!a} stands twice in one object", key)
    return value


def read_json(text: str) -> Reading:
    """Read JSON text. Raises BadSyntaxError, RecursionError."""
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


def _scan_json(text: str, reading: Reading) -> None:
    """Add the line of every key and item. The text is known to be JSON, so that following its nesting is enough."""
    parents: list[tuple[KeyPath, dict[str, int] | None]] = []
    here: KeyPath = ()
    expects_key = False
    line, counted = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        keys = parents[-1][1] if parents else None
        match token[0]:
            case "{" | "[" as bracket:
                reading.lines.setdefault(here, line)
                expects_key = bracket == "{"
                parents.append((here, {} if expects_key else None))
                here = here if expects_key else (*here, 0)
            case "}" | "]":
                here, _ = parents.pop()
                expects_key = False
            case ",":
                expects_key = keys is not None
                here = here if keys is not None else (*here[:-1], int(here[-1]) + 1)
            case name if expects_key and keys is not None:
                here = (*parents[-1][0], json.loads(name))
                reading.key(here, line, keys)
                expects_key = False
            case _:
                reading.lines.setdefault(here, line)
