"""Display templates of declared event types: one line of text with names of fields in braces.

A template is data from the author of a run. It can name fields and number formats, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from exprec.recorder.diagnostics import cut_text, json_text
from exprec.recorder.errors import NotEncodable

LONGEST = 500
"""Maximum characters of a template."""

_LONGEST_VALUE = 200
"""Maximum characters displayed of a text, or of the JSON of an array or an object."""

_PART = re.compile(
    r"(?P<escaped>\{\{|\}\})"
    r"|\{(?P<field>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?::(?P<form>[^{}]*))?\}"
    r"|(?P<wrong>[{}])"
)
# A format specification of Python, without what could fill the memory or depend on the locale.
_FORM = re.compile(r"[<>^]?[+]?[0-9]{0,2},?(?:\.[0-9]{1,2})?[dfeg%]?")
_MISSING = "–"


class DisplayTemplate:
    """A line such as `epoch {iteration}: loss {loss:.4f}`; `{{` and `}}` are braces."""

    def __init__(self, text: str) -> None:
        """Compile a template. Raises ValueError with the reason for an invalid one."""
        if len(text) > LONGEST:
            raise ValueError(f"has {len(text)} characters; {LONGEST} are allowed")
        if not text.isprintable():
            raise ValueError("must be one line of printable characters")
        self._parts = list(_parsed(text))

    @property
    def fields(self) -> list[str]:
        """The names of the fields in it, in order; a path such as `timing.total` for an inner one."""
        return [part[0] for part in self._parts if isinstance(part, tuple)]

    def render(self, event: Mapping[str, Any]) -> str:
        """Return the line of an event, with a dash for each field that it does not have. Never raises."""
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
        # What is read may be nested more deeply than what exprec writes.
        return _MISSING
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return format(value if is_number else text, form)
    except ValueError:
        # A text, or a list, where a number was expected.
        return text
