"""The quick test of whether a text may contain a secret: one search, after which most records need no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from exprec.recorder.diagnostics import secret_shapes
from exprec.recorder.diagnostics.secret_forms import ESCAPES

_META = re.compile(r"([\\.+*?()|\[\]{}^$])")
SHORT_TEXT = 1000
"""Characters up to which one search for everything takes less time than three, each of which the engine does faster."""
_PREFIX = 32
"""Characters of a form that are looked for: a secret may be a file of many kilobytes."""

_Verdict = Callable[[str], bool]


class SecretFilter:
    """Tells quickly which texts may contain one of some secrets."""

    def __init__(self, forms: Iterable[str], *, has_shapes: bool) -> None:
        """Look for the `forms` of secrets, and with `has_shapes` for the beginnings of shapes."""
        known = [_META.sub(r"\\\1", form) for form in dict.fromkeys(form[:_PREFIX] for form in forms)]
        shapes = list(secret_shapes.QUICK_PATTERNS) if has_shapes else []
        self._plain = [_matcher(patterns) for patterns in (known, shapes) if patterns]
        self.suspects_short = _matcher([*known, *shapes, ESCAPES]) if self._plain else _never
        """As `suspects`, for texts of fewer than SHORT_TEXT characters."""
        self._in_long = [*self._plain, _matcher([ESCAPES])] if self._plain else []

    def suspects(self, text: str) -> bool:
        """Return whether a text may contain a secret, also in an escaped form."""
        if len(text) < SHORT_TEXT:
            return self.suspects_short(text)
        return any(matches(text) for matches in self._in_long)

    def suspects_plain(self, text: str) -> bool:
        """Return whether a text may contain a secret that is not escaped."""
        return any(matches(text) for matches in self._plain)


def _matcher(patterns: list[str]) -> _Verdict:
    """Return the search for any of these patterns.

    The engine of jsonschema-rs takes 0.3 µs for a record of 150 bytes with the forms of four secrets and all shapes,
    `re` 20 µs, and a search for each form and each shape by itself 5 µs.
    """
    # Imported here because commands that only read have no guard.
    import jsonschema_rs

    options = jsonschema_rs.RegexOptions()
    try:
        verdict: _Verdict = jsonschema_rs.validator_for(
            {"pattern": "|".join(patterns)}, pattern_options=options
        ).is_valid
    except ValueError:
        # Thousands of secrets: more than the engine compiles.
        return _always
    return verdict


def _never(_: str) -> bool:
    return False


def _always(_: str) -> bool:
    return True
