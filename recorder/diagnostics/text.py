"""Text from users, models and logs made harmless for a terminal: control characters become visible escapes."""

from __future__ import annotations

import json
import unicodedata

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories: control, format, surrogate, line and paragraph separator."""


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with every control, format and line-breaking character escaped (`\x1b`, `\u202e`), except `keep`."""
    # The quick way out: a printable text has none of these characters.
    if text.isprintable():
        return text
    return "".join(_escape(char) if _is_invisible(char) and char not in keep else char for char in text)


def visible_json(text: str) -> str:
    """JSON text as equal JSON of printable characters; JSON itself escapes only the characters below U+0020."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
