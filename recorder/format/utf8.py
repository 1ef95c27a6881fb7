"""Text that UTF-8 cannot encode: lone surrogates, which Python uses for bytes that are not text."""

from __future__ import annotations


def has_surrogate(text: str) -> bool:
    """Whether a text contains a lone surrogate (U+D800 to U+DFFF)."""
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def escape_surrogates(text: str) -> str:
    r"""The text with each lone surrogate replaced by its escape, such as `\ud800`."""
    return text.encode("utf-8", "backslashreplace").decode()
