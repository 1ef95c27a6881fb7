"""What messages are made of: values and keys as text, suggestions, printable text, and the guard against secrets."""

from exprec.recorder.diagnostics.secret_guard import SecretGuard
from exprec.recorder.diagnostics.text import visible, visible_json
from exprec.recorder.diagnostics.values import (
    cut_text,
    did_you_mean,
    json_text,
    key_name,
    show_value,
    text_around,
    unknown_word,
)

__all__ = [
    "SecretGuard",
    "cut_text",
    "did_you_mean",
    "json_text",
    "key_name",
    "show_value",
    "text_around",
    "unknown_word",
    "visible",
    "visible_json",
]
