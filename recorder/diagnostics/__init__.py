"""What messages are made of: values and keys as text, suggestions, printable text, and the guard against secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.diagnostics.secret_guard import SecretGuard as SecretGuard
    from exprec.recorder.diagnostics.text import visible as visible
    from exprec.recorder.diagnostics.text import visible_json as visible_json
    from exprec.recorder.diagnostics.values import cut_text as cut_text
    from exprec.recorder.diagnostics.values import did_you_mean as did_you_mean
    from exprec.recorder.diagnostics.values import json_text as json_text
    from exprec.recorder.diagnostics.values import key_name as key_name
    from exprec.recorder.diagnostics.values import show_value as show_value
    from exprec.recorder.diagnostics.values import text_around as text_around
    from exprec.recorder.diagnostics.values import unknown_word as unknown_word
else:
    # Lazily, because commands that only read need no guard, whose patterns take 10 ms to compile.
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "SecretGuard": "secret_guard",
            "cut_text": "values",
            "did_you_mean": "values",
            "json_text": "values",
            "key_name": "values",
            "show_value": "values",
            "text_around": "values",
            "unknown_word": "values",
            "visible": "text",
            "visible_json": "text",
        },
    )
