"""Pure facts of the format on disk: names and limits, canonical JSON, hashing, lines."""

from exprec.recorder.format.utf8 import escape_surrogates, has_surrogate

__all__ = ["escape_surrogates", "has_surrogate"]
