"""The guard that no key, token or password enters a run: what is written is searched for known secrets.

It does not know where secrets come from; they are given to it, by the name under which people know them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from exprec.recorder.errors import SecretFound
from exprec.recorder.format import canonical_json, has_surrogate

SHORTEST_SECRET = 8
"""Characters; anything shorter would be found everywhere."""

_FEWEST_BYTES = 4
"""So much of a secret may be its beginning; less ends any text, such as a prompt that waits for an answer."""


class SecretGuard:
    """Knows the values of some secrets, by name, and refuses to let them through."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        """Values shorter than SHORTEST_SECRET are left out, and those that are no text: no record can hold them."""
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
        """Whether there is a secret to look for."""
        return bool(self._needles)

    def check(self, what: str, data: bytes, value: Any) -> None:
        """Let the canonical bytes of `value` pass. Raises SecretFound, naming `what` and the field in it."""
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
        """A new scan for these secrets in bytes that come in pieces."""
        return SecretScan({form.encode(): name for name, forms in self._secrets.items() for form in forms})

    def redacted(self, text: str) -> str:
        """The text with the name of a secret in place of its value."""
        for name, forms in self._secrets.items():
            for form in forms:
                text = text.replace(form, f"<{name}>")
        return text


def _forms(value: str) -> tuple[str, ...]:
    """Return a secret as it is, and as escaped in JSON inside a string, such as the answer of a model."""
    escaped = (canonical_json.encode(value).decode()[1:-2], json.dumps(value)[1:-1])
    return tuple(sorted({value, *escaped}, key=len, reverse=True))


def _strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a JSON value, keys included, with its place; a key comes before what stands under it."""
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
    """Looks for secrets in bytes that come in pieces, such as what a program writes."""

    def __init__(self, needles: Mapping[bytes, str]) -> None:
        """Look for the bytes that `SecretGuard.scan` gives."""
        self._needles = needles
        self._longest = max(map(len, needles), default=0)
        self._held = b""
        """What may be the beginning of a secret, and was not let through."""
        self._before = b""
        """The end of what was let through, in which a secret may have begun."""
        self.found: str | None = None
        """The name of the secret that was found; nothing is let through any more."""

    def passed(self, data: bytes) -> bytes:
        """What of the bytes so far may be kept now: all up to a secret, or up to what may become one."""
        if not self._needles:
            return data
        if self.found is not None:
            return b""
        window, start = self._before + self._held + data, len(self._before)
        end = self._end_of_harmless(window)
        # Of a beginning that was too short to be held, a few bytes are through already.
        end = max(end, start)
        self._held = window[end:] if self.found is None else b""
        self._before = window[max(0, end - self._longest) : end]
        return window[start:end]

    def rest(self) -> bytes:
        """What was held and has not become a secret, once there is no more."""
        held, self._held = self._held, b""
        return held

    def _end_of_harmless(self, window: bytes) -> int:
        places = ((place, name) for needle, name in self._needles.items() if (place := window.find(needle)) >= 0)
        first = min(places, default=None)
        if first is not None:
            self.found = first[1]
            return first[0]
        return min(map(partial(_begins_at, window), self._needles), default=len(window))


def _begins_at(window: bytes, needle: bytes) -> int:
    """Where at the end of a window a needle begins, or its end when it does not; a few bytes are no beginning."""
    beginning = needle[:_FEWEST_BYTES]
    place = window.find(beginning, max(0, len(window) - len(needle) + 1))
    while place >= 0:
        if needle.startswith(window[place:]):
            return place
        place = window.find(beginning, place + 1)
    return len(window)
