"""Pure facts of the format on disk: names and limits, canonical JSON, hashing, lines."""

from exprec.recorder.format import layout
from exprec.recorder.format.lines import ByteSource, LineBatch, LineSplitter, LineTooLong, read_lines
from exprec.recorder.format.utf8 import escape_surrogates, has_surrogate

__all__ = [
    "ByteSource",
    "LineBatch",
    "LineSplitter",
    "LineTooLong",
    "canonical_json",
    "escape_surrogates",
    "has_surrogate",
    "hashing",
    "layout",
    "read_lines",
]
