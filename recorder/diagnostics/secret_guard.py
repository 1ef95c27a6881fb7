"""The guard that keeps keys, tokens and passwords out of a run: all that is written is searched for known secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from exprec.recorder.errors import SecretFound
from exprec.recorder.format import canonical_json, has_surrogate

SHORTEST_SECRET = 8
"""Minimum characters of a secret; anything shorter occurs by chance."""

_MIN_HELD_BYTES = 4
"""The bytes of a secret that a scan holds back as its possible beginning. Fewer occur at the end of any text, such as a
prompt that waits for input."""


class SecretGuard:
    """Refuses values that contain one of some secrets."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        """Guard against the values of these secrets, given by name.

        Values shorter than SHORTEST_SECRET are ignored, and those that are not text, which no record can contain.
        """
        self._secrets = {
            name: _forms(value)
            for name, value in (secrets or {}).items()
            if len(value) >= SHORTEST_SECRET and not has_surrogate(value)
        }
        self._needles = {
            canonical_json.encode(form)[1:-2]: name for name, forms in self._secrets.items() for form in forms
        }

    @property
    def has_any(self) -> bool:
        """Whether there are secrets to search for."""
        return bool(self._needles)

    def check(self, what: str, data: bytes, value: Any) -> None:
        """Check a value and its canonical bytes. Raises SecretFound, naming `what` and the field in it."""
        found = None
        for needle, name in self._needles.items():
            if needle in data:
                found = name
        if found is None:
            return
        for field, text in _strings(value):
            for name, forms in self._secrets.items():
                if any(form in text for form in forms):
                    raise SecretFound(f"{what}: {field}" if field else what, name)
        # In no string: the secret is a number.
        raise SecretFound(what, found)

    def scan(self) -> SecretScan:
        """Return a new scan for these secrets in bytes that arrive in pieces."""
        return SecretScan({form.encode(): name for name, forms in self._secrets.items() for form in forms})

    def redacted(self, text: str) -> str:
        """Return the text with the names of secrets in place of their values."""
        for name, forms in self._secrets.items():
            for form in forms:
                text = text.replace(form, f"<{name}>")
        return text


def _forms(value: str) -> tuple[str, ...]:
    """Return a secret as it is, and as escaped in JSON inside a string, such as the answer of a model."""
    escaped = (canonical_json.encode(value).decode()[1:-2], json.dumps(value)[1:-1])
    return tuple(sorted({value, *escaped}, key=len, reverse=True))


def _strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield the field and the text of every string in a JSON value; of each key before its value."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield f"a key of {field}" if field else "a key", key
            yield from _strings(part, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from _strings(part, f"{field}[{position}]")


class SecretScan:
    """Searches bytes that arrive in pieces, such as the output of a program, for secrets."""

    def __init__(self, needles: Mapping[bytes, str]) -> None:
        """Search for these bytes; each has the name of a secret."""
        self._needles = needles
        self._longest = max(map(len, needles), default=0)
        self._held = b""
        """The possible beginning of a secret, which was not passed on."""
        self._before = b""
        """The end of what was passed on, in which a secret may have begun."""
        self.found: str | None = None
        """The name of the secret that was found; nothing is passed on after it."""

    def passed(self, data: bytes) -> bytes:
        """Return the bytes that may be kept now: up to a secret, or up to the possible beginning of one."""
        if not self._needles:
            return data
        if self.found is not None:
            return b""
        window, start = self._before + self._held + data, len(self._before)
        end = self._find_harmless_end(window)
        # The first bytes of a beginning that was too short to be held were passed on already.
        end = max(end, start)
        self._held = window[end:] if self.found is None else b""
        self._before = window[max(0, end - self._longest) : end]
        return window[start:end]

    def rest(self) -> bytes:
        """Return the bytes that were held back, once no more arrive."""
        held, self._held = self._held, b""
        return held

    def _find_harmless_end(self, window: bytes) -> int:
        places = ((place, name) for needle, name in self._needles.items() if (place := window.find(needle)) >= 0)
        first = min(places, default=None)
        if first is not None:
            self.found = first[1]
            return first[0]
        return min(map(partial(_find_beginning, window), self._needles), default=len(window))


def _find_beginning(window: bytes, needle: bytes) -> int:
    """Return where a needle begins at the end of a window; the end of the window if it does not."""
    beginning = needle[:_MIN_HELD_BYTES]
    place = window.find(beginning, max(0, len(window) - len(needle) + 1))
    while place >= 0:
        if needle.startswith(window[place:]):
            return place
        place = window.find(beginning, place + 1)
    return len(window)
