"""Values, keys and words as messages and displays write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exprec.recorder.errors import KeyPath, NotEncodable
from exprec.recorder.format import canonical_json, layout

LONGEST_VALUE = 60
"""Characters of a value in a message; the rest is cut."""

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

_LONGEST_KEY = 200
"""Characters of one key in the name of a path. A document may have one long key around any number of values."""

_MOST_KNOWN = 200
"""Known words that a message lists, and that are compared with an unknown one. A schema may have any number."""

_LONGEST_WORD = 100
"""Characters of a word that is compared with others, which takes time with the square of the length."""

_BEFORE = 16
"""Characters of a long text that are shown before its first difference."""


def show_value(value: Any) -> str:
    """A value in a message: scalars as in JSON or Python, cut to LONGEST_VALUE; others by their type alone.

    Messages are recorded: the text of another object could have its address, or an order of its own.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return canonical_json.float_name(value) or "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return cut_text(_quote_text(value), LONGEST_VALUE)
    if isinstance(value, int):
        is_long = abs(value) >= 10**layout.MAX_DIGITS
        return f"an integer of more than {layout.MAX_DIGITS} digits" if is_long else str(value)
    return repr(value) if isinstance(value, float) else f"a value of type {type(value).__name__}"


def _quote_text(text: str) -> str:
    """The beginning of a text in quotes, as Python writes it, with the same escapes in every version of Python."""
    quote = '"' if "'" in text and '"' not in text else "'"
    # Of a longer text, only the beginning is shown.
    return quote + "".join(_escape(char, quote) for char in text[:LONGEST_VALUE]) + quote


def _escape(char: str, quote: str) -> str:
    if char == quote:
        return f"\\{char}"
    if char in _ESCAPES or layout.is_printable(char):
        return _ESCAPES.get(char, char)
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: Any, longest: int | None = LONGEST_VALUE) -> str:
    """A value as canonical JSON in one line, cut to `longest` characters, with `nan`, `inf` and `-inf` for such floats.

    Raises NotEncodable.
    """
    try:
        text = canonical_json.encode(value)[:-1].decode()
    except NotEncodable:
        text = canonical_json.plain_floats(canonical_json.encode(canonical_json.form_floats(value))[:-1].decode())
    return text if longest is None else cut_text(text, longest)


def cut_text(text: str, longest: int) -> str:
    """The first `longest` characters of a text, with an ellipsis in place of the rest."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def text_around(text: str, other: str, longest: int = LONGEST_VALUE) -> str:
    """The part of a text around its first difference from `other`; the whole text if both are short."""
    if max(len(text), len(other)) <= longest:
        return text
    start = max(_common_prefix(text, other) - _BEFORE, 0)
    return f"{'…' if start else ''}{cut_text(text[start:], longest)}"


def _common_prefix(text: str, other: str) -> int:
    length = min(len(text), len(other))
    return next((position for position in range(length) if text[position] != other[position]), length)


def key_name(path: KeyPath, document: Any = None) -> str:
    """A path as people read it; given the document, list items are named by their `id`: `agents[BANK_A].limits`."""
    text, value = "", document
    for key in path:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list) and key < len(value) else None
            label = value.get("id") if isinstance(value, dict) else None
            text += f"[{cut_text(label, _LONGEST_KEY) if isinstance(label, str) and label.strip() else key}]"
        else:
            value = value.get(key) if isinstance(value, dict) else None
            key = cut_text(key, _LONGEST_KEY)
            text += f".{key}" if text else key
    return text


def unknown_word(noun: str, word: str, known: Sequence[str]) -> str:
    """The message about a word that is not one of the `known` ones: the nearest of them, then all."""
    return f"unknown {noun}{did_you_mean(word, known)} (known: {list_words(known) or 'none'})"


def list_words(words: Sequence[str]) -> str:
    """The first words with commas between them, and the number of the others."""
    listed = ", ".join(cut_text(word, _LONGEST_KEY) for word in words[:_MOST_KNOWN])
    return f"{listed} and {len(words) - _MOST_KNOWN} more" if len(words) > _MOST_KNOWN else listed


def did_you_mean(word: Any, known: Sequence[Any]) -> str:
    """The hint `; did you mean 'x'?` with the known word that is nearest to `word`; empty if none is near."""
    # Imported here: only messages about invalid input need it.
    from difflib import get_close_matches

    if not isinstance(word, str) or len(word) > _LONGEST_WORD:
        return ""
    words = [each for each in known[:_MOST_KNOWN] if isinstance(each, str) and len(each) <= _LONGEST_WORD]
    near = get_close_matches(word, words, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
