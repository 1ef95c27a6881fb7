"""The line by which events of a declared type are shown: text with the names of fields in braces.

It is data, from whoever recorded the run: it can name fields and how numbers are written, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from exprec.recorder.diagnostics import cut_text, json_text
from exprec.recorder.errors import NotEncodable

LONGEST = 500
"""Characters of a template."""

_LONGEST_VALUE = 200
"""Characters that are shown of a text, or of the JSON of an array or an object."""

_PART = re.compile(
    r"(?P<escaped>\{\{|\}\})"
    r"|\{(?P<field>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?::(?P<form>[^{}]*))?\}"
    r"|(?P<wrong>[{}])"
)
# What Python calls a format specification, without what could fill the memory or depend on the locale.
_FORM = re.compile(r"[<>^]?[+]?[0-9]{0,2},?(?:\.[0-9]{1,2})?[dfeg%]?")
_MISSING = "–"


class Template:
    """A line such as `epoch {iteration}: loss {loss:.4f}`; `{{` and `}}` stand for braces."""

    def __init__(self, text: str) -> None:
        """Raises ValueError, with the reason, for a text that is no template."""
        if len(text) > LONGEST:
            raise ValueError(f"has {len(text)} characters, and {LONGEST} are the most")
        if not text.isprintable():
            raise ValueError("must be one line of characters that can be printed")
        self._parts = list(_parsed(text))

    @property
    def fields(self) -> list[str]:
        """The fields that it names, in order: names of fields, or paths such as `timing.total`."""
        return [part[0] for part in self._parts if isinstance(part, tuple)]

    def filled(self, event: Mapping[str, Any]) -> str:
        """The line of an event. What it does not have is shown as a dash; it never raises."""
        return "".join(part if isinstance(part, str) else _written(event, *part) for part in self._parts)


def _parsed(text: str) -> Iterator[str | tuple[str, str]]:
    position = 0
    for match in _PART.finditer(text):
        if match.start() > position:
            yield text[position : match.start()]
        position = match.end()
        if match["escaped"]:
            yield match["escaped"][0]
        elif match["wrong"]:
            where = f"at character {match.start() + 1}"
            raise ValueError(f"has a single '{match['wrong']}' {where}; write it twice, or {{field}}")
        else:
            form = match["form"] or ""
            if not _FORM.fullmatch(form):
                raise ValueError(f"cannot write {match['field']} as '{form}'; use forms such as .3f, +d, >8 or ,d")
            yield match["field"], form
    if position < len(text):
        yield text[position:]


def _written(event: Mapping[str, Any], field: str, form: str) -> str:
    value: Any = event
    for name in field.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING
        value = value[name]
    try:
        text = cut_text(value, _LONGEST_VALUE) if isinstance(value, str) else json_text(value, _LONGEST_VALUE)
    except NotEncodable:
        # What is read may be nested deeper than what is ever written.
        return _MISSING
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return format(value if is_number else text, form)
    except ValueError:
        # A text, or a list, where a number was expected.
        return text
