"""Placeholders for the secrets of a run: `[redacted:NAME:k]`, k being the number of the value within the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from exprec.recorder.diagnostics.secret_spans import Span

_OTHER_CHARACTERS = re.compile(r"[^A-Za-z0-9_.-]+")
_PLACEHOLDER = re.compile(r"\[redacted:([A-Za-z0-9_.-]+):([1-9][0-9]{0,8})\]")

SpanSearch = Callable[[str], Sequence[Span]]


class NotReplaceable(Exception):
    """A secret in a value has no place that a placeholder could take."""


class Numbers:
    """The numbers of the values of a run, from 1, by their first occurrence."""

    def __init__(self, numbers: dict[str, int] | None = None, taken: int = 0) -> None:
        self._numbers = dict(numbers or {})
        self._taken = taken

    def number(self, value: str) -> int:
        """Return the number of a value, the next one for a new value."""
        if value not in self._numbers:
            self._taken += 1
            self._numbers[value] = self._taken
        return self._numbers[value]

    def copy(self) -> Numbers:
        """Return the same numbers, apart from which new values are numbered."""
        return Numbers(self._numbers, self._taken)

    def reserve(self, text: str, values: Iterable[tuple[str, str]]) -> None:
        """Number the known `values`, pairs of name and value, as the placeholders in a recorded text do."""
        for name, digits in _PLACEHOLDER.findall(text):
            named = {value for known, value in values if placeholder_name(known) == name}
            if len(named) == 1:
                self._numbers.setdefault(named.pop(), int(digits))
            self._taken = max(self._taken, int(digits))


class Replacement(NamedTuple):
    """A placeholder in a text that was written."""

    start: int
    """Its offset, in characters or bytes as its text is."""
    span: Span
    number: int


def placeholder_name(name: str) -> str:
    """Return the name of a secret as it is in placeholders: letters, digits and `_.-` only."""
    return _OTHER_CHARACTERS.sub("-", name)


def has_placeholder(text: str) -> bool:
    """Return whether a text contains what looks like a placeholder."""
    return _PLACEHOLDER.search(text) is not None


def placeholder(span: Span, number: int, covered: str) -> str:
    """Return the placeholder for an occurrence; in UTF-16 if the text that it covers is."""
    text = f"[redacted:{placeholder_name(span.name)}:{number}]"
    return "".join(f"{char}\0" for char in text) if "\0" in covered else text


def redact_text(text: str, spans: Sequence[Span], numbers: Numbers) -> str:
    """Return a text with placeholders in place of its secrets."""
    parts, end = [], 0
    for span in spans:
        mark = placeholder(span, numbers.number(span.value), text[span.start : span.end])
        parts += [text[end : span.start], mark]
        end = span.end
    return "".join([*parts, text[end:]])


def redact_value(value: Any, find: SpanSearch, numbers: Numbers, number_text: Callable[[Any], str]) -> Any:
    """Return a JSON value with placeholders in its strings and keys, and in place of numbers that are secrets.

    `number_text` returns a number as it is recorded. Raises NotReplaceable if two keys of an object become one.
    """
    if isinstance(value, str):
        return redact_text(value, find(value), numbers)
    if isinstance(value, list):
        return [redact_value(part, find, numbers, number_text) for part in value]
    if isinstance(value, dict):
        # In the order in which they are recorded; where secrets are in keys, whatever their values are.
        changed = [
            (redact_value(key, find, numbers, number_text), redact_value(value[key], find, numbers, number_text))
            for key in sorted(value, key=lambda key: _order_of_key(key, find(key)))
        ]
        if len(dict(changed)) < len(value):
            raise NotReplaceable
        return dict(changed)
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = number_text(value)
        spans = find(text)
        return redact_text(text, spans, numbers) if spans else value
    return value


def _order_of_key(key: str, spans: Sequence[Span]) -> tuple[bool, list[str], str]:
    """What orders the keys of an object: those without secrets first, then by the sources of their secrets."""
    return bool(spans), [span.name for span in spans], "" if spans else key
