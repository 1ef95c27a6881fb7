"""JSON text that programs and models send: the same value, or the same problem, with every version of Python.

What is wrong with such a text is recorded, so that another wording would change run ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from exprec.recorder.documents.json_reader import InvalidJson, parse_integer, unique_object
from exprec.recorder.format import canonical_json

_OPEN_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_TOKEN = re.compile(
    r"[ \t\n\r]*(?:"
    r"(?P<mark>[{}\[\]:,])"
    rf'|(?P<string>{_OPEN_STRING.pattern}")'
    r"|(?P<float>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+))"
    r"|(?P<integer>-?(?:0|[1-9][0-9]*))"
    r"|(?P<word>true|false|null)"
    r"|(?P<constant>NaN|-?Infinity)"
    r")?"
)
_BLANKS = re.compile(r"[ \t\n\r]*")
_OBJECT = re.compile(r"""\{[ \t\n\r]*+(?=["'}])""")
"""What begins an object, also with the quotes of other languages; any other brace is one of the text around it."""
_ENDS = {"{": "}", "[": "]"}
_EXCERPT_LENGTH = 20
_VALUE, _FIRST_ITEM, _KEY, _FIRST_KEY, _COLON, _COMMA, _NOTHING = range(7)
"""What may come next in a text."""


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN, Infinity or -Infinity. Raises InvalidJson."""
    raise InvalidJson(f"not valid JSON: {name} is not a number that JSON has")


def parse_json(text: str, most_levels: int, read_constant: Callable[[str], Any] = refuse_constant) -> Any:
    """Return the value of a JSON text.

    `read_constant` returns the value of NaN, Infinity or -Infinity. Of an integer beyond 64 bits, not all digits may be
    read.

    Raises InvalidJson for the first problem in the text.
    """
    try:
        value = json.loads(text, object_pairs_hook=unique_object, parse_constant=read_constant)
    except (ValueError, RecursionError):
        # What this parser says, and its limits of depth and of digits, depend on the version of Python.
        return _Parser(text, most_levels, read_constant).parse()
    if text.count("[") + text.count("{") > most_levels and canonical_json.is_deeper(value, most_levels):
        raise _too_deep(most_levels)
    return value


def find_objects(text: str, most_levels: int) -> Iterator[tuple[int, Any]]:
    """Yield each JSON object in a text around them, in order, with its position; objects in an object are left out.

    Raises InvalidJson for an object that begins, but is not valid or does not end.
    """
    position = 0
    while (begin := _OBJECT.search(text, position)) is not None:
        value, position = _parse_at(text, begin.start(), most_levels)
        yield begin.start(), value


def _parse_at(text: str, position: int, most_levels: int) -> tuple[Any, int]:
    """Return the value that begins at a position, and where it ends. Raises InvalidJson."""
    try:
        value, end = _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        return _Parser(text, most_levels, refuse_constant).parse_at(position)
    if canonical_json.is_deeper(value, most_levels):
        raise _too_deep(most_levels)
    return value, end


def _too_deep(most_levels: int) -> InvalidJson:
    return InvalidJson(f"nested deeper than {most_levels} levels")


_DECODER = json.JSONDecoder(object_pairs_hook=unique_object, parse_constant=refuse_constant)


class _Parser:
    """Parses one text without recursion: slower than Python's parser, which is why only bad texts are parsed here."""

    def __init__(self, text: str, most_levels: int, read_constant: Callable[[str], Any]) -> None:
        self._text = text
        self._most_levels = most_levels
        self._readers: dict[str, Callable[[str], Any]] = {
            "string": json.loads,
            "word": json.loads,
            "float": float,
            "integer": parse_integer,
            "constant": read_constant,
        }
        self._ends: list[str] = []
        """The brackets that close what is open, outermost first."""
        self._open: list[list[Any]] = [[]]
        """The items so far of what is open, or keys and values in turn; the first list is for the value of the text."""

    def parse(self) -> Any:
        value, end = self.parse_at(0)
        rest = _BLANKS.match(self._text, end)
        if rest is not None and rest.end() < len(self._text):
            raise self._unexpected(rest.end())
        return value

    def parse_at(self, position: int) -> tuple[Any, int]:
        """Return the value that begins at a position, and where it ends."""
        expected = _VALUE
        while expected != _NOTHING:
            token = _TOKEN.match(self._text, position)
            assert token is not None, "everything in the pattern is optional"
            kind, position = token.lastgroup, token.end()
            start = position if kind is None else token.start(kind)
            expected = self._take(expected, kind, token[kind] if kind else "", start)
        return self._open[0][0], position

    def _take(self, expected: int, kind: str | None, token: str, start: int) -> int:
        """Take the next token; returns what may come after it."""
        if expected in (_VALUE, _FIRST_ITEM) and token in _ENDS:
            return self._begin(token)
        if expected in (_VALUE, _FIRST_ITEM) and kind in self._readers:
            return self._add(self._readers[kind](token))
        if expected in (_KEY, _FIRST_KEY) and kind == "string":
            self._open[-1].append(json.loads(token))
            return _COLON
        if expected == _COLON and token == ":":
            return _VALUE
        if expected == _COMMA and token == ",":
            return _KEY if self._ends[-1] == "}" else _VALUE
        if expected in (_FIRST_ITEM, _FIRST_KEY, _COMMA) and token == self._ends[-1]:
            return self._end()
        if expected not in (_COLON, _COMMA):
            start = self._position_in_string(start)
        raise self._unexpected(start)

    def _begin(self, bracket: str) -> int:
        if len(self._ends) == self._most_levels:
            raise _too_deep(self._most_levels)
        self._ends.append(_ENDS[bracket])
        self._open.append([])
        return _FIRST_KEY if bracket == "{" else _FIRST_ITEM

    def _end(self) -> int:
        items = self._open.pop()
        is_object = self._ends.pop() == "}"
        return self._add(unique_object(list(zip(items[::2], items[1::2], strict=True))) if is_object else items)

    def _add(self, value: Any) -> int:
        self._open[-1].append(value)
        return _COMMA if self._ends else _NOTHING

    def _position_in_string(self, start: int) -> int:
        """Return the position of the character that no string may have; `start` itself if no such string is there."""
        opened = _OPEN_STRING.match(self._text, start)
        rest = "" if opened is None else self._text[opened.end() : opened.end() + 2]
        if opened is None or rest in ("", "\\"):
            return start
        # Of an invalid `\u`, the letter.
        return opened.end() + (rest == "\\u")

    def _unexpected(self, position: int) -> InvalidJson:
        """Return the problem that the text stops being JSON at a position."""
        line = self._text.count("\n", 0, position) + 1
        column = position - self._text.rfind("\n", 0, position)
        found = ascii(self._text[position : position + _EXCERPT_LENGTH]) if position < len(self._text) else "the end"
        return InvalidJson(f"not valid JSON: line {line}, column {column}: unexpected {found}")
