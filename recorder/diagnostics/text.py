"""Text from users, models and logs made harmless for a terminal: what controls it or is invisible becomes an escape."""

from __future__ import annotations

import json
import re

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Default_Ignorable_Code_Point in DerivedCoreProperties.txt of the Unicode Character Database, version 14.0."""
_BLANK = "\u2800\U00013441\U00013442\U00016fe4\U0001d159"
"""Letters and symbols without ink: the empty Braille pattern, hieroglyphic blanks, the Khitan filler, the null note."""
_INVISIBLE = f"[{_IGNORABLE}{_BLANK}]"
"""What Python calls printable, although nothing is seen, and more: many of these are not printable either."""
_OTHER = r"[^ -~]+"
_LIKE_AN_ESCAPE = r"\\(?=[\\ntr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[^ -~])"
# These patterns are compiled when they are needed: most text is printable ASCII.


def visible(text: str, *, keep: str = "", quoted: bool = False) -> str:
    r"""Return a text in which every control, invisible or unassigned character is an escape (`\x1b`, `\u202e`).

    Different texts stay different: a backslash before what looks like an escape is doubled. Of spaces, only U+0020
    stays.

    Args:
        text: A name, a value, or a whole message.
        keep: Characters that stay as they are.
        quoted: Whether the values in the text are quoted already, as by `repr` or JSON: then backslashes stay.
    """
    if not quoted and "\\" in text:
        text = re.sub(_LIKE_AN_ESCAPE, r"\\\\", text)
    rest = text
    for char in keep:
        rest = rest.replace(char, "")
    if _is_clear(rest):
        return text
    return re.sub(_OTHER, lambda match: _visible_run(match[0], keep), text)


def visible_json(text: str) -> str:
    """JSON text as equal JSON of visible characters; JSON itself escapes only the characters below U+0020."""
    return text if _is_clear(text) else "".join(c if _is_clear(c) else json.dumps(c)[1:-1] for c in text)


def _is_clear(text: str) -> bool:
    return text.isprintable() and (text.isascii() or re.search(_INVISIBLE, text) is None)


def _visible_run(text: str, keep: str) -> str:
    return text if _is_clear(text) else "".join(c if c in keep or _is_clear(c) else _escape(c) for c in text)


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
