"""The guard that no key, token or password enters a run: what is written is searched for known secrets and shapes.

It does not know where secrets come from; they are given to it, by the name under which people know them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from exprec.recorder.diagnostics import secret_forms, secret_shapes
from exprec.recorder.diagnostics.redaction import NotReplaceable, Numbers, has_placeholder, redact_text, redact_value
from exprec.recorder.diagnostics.secret_filter import SHORT_TEXT
from exprec.recorder.diagnostics.secret_scan import Edit, LineScan, Needles, RedactingScan, SecretScan
from exprec.recorder.diagnostics.secret_spans import Secret, Span
from exprec.recorder.diagnostics.values import cut_text
from exprec.recorder.errors import SecretFound
from exprec.recorder.format import canonical_json, has_surrogate

SHORTEST_SECRET = 8
"""Characters; anything shorter would be found everywhere."""

_PASSWORD_IN_URL = "the password in "
"""Begins the name of a password in a URL; after a comma, that of its encoded form."""

_LONGEST_KEY = 200
"""Characters of a key in the name of a field."""
_NAMES = re.compile(r"(?:password in|part \d+ of) (\w+)")
"""The variable in the name of what is a part of its value."""
_TOKEN = re.compile(r"\S+")

Renew = Callable[[], "Mapping[str, str] | None"]
"""Returns the secrets anew when they have changed since the last call, else None."""


class SecretGuard:
    """Knows the values of some secrets, by name, and refuses to let them through."""

    def __init__(
        self,
        secrets: Mapping[str, str] | None = None,
        *,
        has_shapes: bool = False,
        allowed: Iterable[str] = (),
        renew: Renew | None = None,
        redacts: bool = False,
    ) -> None:
        """Look for the values of `secrets` and, with `has_shapes`, for whatever has the shape of a secret.

        Values shorter than SHORTEST_SECRET are left out, and those that are no text: no record can hold them.
        `allowed` are names of secrets and shapes, and SHA-256 digests of values, that may be written. `renew` is
        called for each record. A guard that `redacts` numbers the secrets of one run, and puts placeholders in their
        place where the caller can record these.
        """
        self._numbers = Numbers() if redacts else None
        self._hits: dict[tuple[str, str], None] = {}
        self._has_shapes = has_shapes
        self._allowed = frozenset(allowed)
        self._renew = renew
        self._know(secrets or {})

    def _know(self, secrets: Mapping[str, str]) -> None:
        """Look for these secrets from now on."""
        # Of two with one value the name that comes first, whatever the order of the environment is.
        known = sorted(secrets.items(), reverse=True)
        self._known = [(name, value) for name, value in known if not self._allows_name(name)]
        self._needles = Needles(
            {
                form: self._secret(name, value, secrets)._replace(is_base64=form in base64_forms)
                for name, value in self._known
                if not has_surrogate(value)
                for line in secret_forms.split_lines(value)
                if len(line) >= SHORTEST_SECRET and not self._is_allowed(line)
                for base64_forms in [secret_forms.base64_forms(line)]
                for form in secret_forms.encoded_forms(line)
            },
            self._shapes if self._has_shapes else None,
        )
        self._suspects, self._suspects_short = self._needles.filter.suspects, self._needles.filter.suspects_short

    def _secret(self, name: str, value: str, secrets: Mapping[str, str]) -> Secret:
        """The secret that a value is: with placeholders, the encoded form of a password for the password."""
        plain = name.partition(",")[0] if name.startswith(_PASSWORD_IN_URL) else name
        return Secret(plain, secrets.get(plain, value)) if self._numbers is not None else Secret(name, value)

    @property
    def has_any(self) -> bool:
        """Whether there is, or may come, anything to look for."""
        return bool(self._needles.names) or self._has_shapes or self._renew is not None

    def check(self, what: str, data: bytes, value: Any, consequence: str = "it was not written") -> None:
        """Let the canonical bytes of `value` pass. Raises SecretFound, naming `what` and each field in it."""
        if self._renew is not None and (secrets := self._renew()) is not None:
            self._know(secrets)
        record = data.decode()
        if self._suspects_short(record) if len(record) < SHORT_TEXT else self._suspects(record):
            self._search(what, record, value, consequence)

    @property
    def redacts(self) -> bool:
        """Whether secrets are replaced by placeholders where this is possible."""
        return self._numbers is not None

    @property
    def hits(self) -> tuple[tuple[str, str], ...]:
        """What was replaced by placeholders: each field or file that contained a secret, with its source."""
        return tuple(self._hits)

    def replace(self, found: SecretFound, value: Any, is_valid: Callable[[Any], bool] | None = None) -> Any:
        """Return the value in which `check` found secrets with placeholders for them.

        Raises `found` if the guard does not redact, if there cannot be placeholders, or if `is_valid` refuses them.
        """
        if self._numbers is None:
            raise found
        try:
            replaced = redact_value(value, self._spans, self._numbers, _number_text)
            self.check(found.field, canonical_json.encode(replaced), replaced)
        except (NotReplaceable, SecretFound):
            raise found from None
        if is_valid is not None and not is_valid(replaced):
            raise found
        self._hits.update(dict.fromkeys(found.hits))
        return replaced

    def admit(self, what: str, value: Any) -> Any:
        """Return the value, with placeholders if the guard redacts.

        Raises NotEncodable, and SecretFound as `check` does.
        """
        try:
            self.check(what, *canonical_json.encode_checked(value))
        except SecretFound as found:
            return self.replace(found, value)
        return value

    def reserve(self, text: str) -> None:
        """Number secrets as the placeholders do in the recorded text of a run that is resumed."""
        if self._numbers is not None:
            self._numbers.reserve(text, self._known)

    @staticmethod
    def has_placeholder(text: str) -> bool:
        """Return whether a recorded text contains what looks like a placeholder."""
        return has_placeholder(text)

    def scan(self) -> SecretScan:
        """A new scan for these secrets in bytes that come in pieces."""
        return SecretScan(self._needles)

    def scan_lines(self) -> LineScan:
        """A new scan for these secrets in output, which lets whole lines through.

        If the guard redacts, it numbers what is new to the run by itself, since streams come in any order; see
        `settle`.
        """
        return LineScan(self._needles) if self._numbers is None else RedactingScan(self._needles, self._numbers.copy())

    def scan_file(self) -> SecretScan:
        """A new scan for these secrets in a file."""
        return SecretScan(self._needles) if self._numbers is None else RedactingScan(self._needles, self._numbers)

    def settle(self, what: str, scan: SecretScan) -> Iterator[Edit]:
        """Keep what a scan has replaced among the hits, and return how to change its placeholders to the run's numbers.

        `what` is the file that was searched.
        """
        if not isinstance(scan, RedactingScan) or self._numbers is None:
            return iter(())
        for name, (line, count) in scan.lines.items():
            others = f" and {count - 1} other place{'s' if count > 2 else ''}" if count > 1 else ""
            self._hits[f"{what} line {line}{others}", name] = None
        return scan.edits(self._numbers)

    def sources(self, text: str) -> list[str]:
        """Return the names of the secrets that a text contains, each once."""
        return list(dict.fromkeys(self._needles.sources(text)))

    def redacted(self, text: str) -> str:
        """The text with the name of a secret, or its placeholder if the guard redacts, in place of its value."""
        if self._numbers is not None:
            text = redact_text(text, self._spans(text), self._numbers)
        return self._without_secrets(text)

    def _without_secrets(self, text: str) -> str:
        """The text with the name of a secret in place of its value."""
        for form, name in self._needles.by_length:
            text = text.replace(form, f"<{name}>")
        if self._has_shapes:
            # In pieces from the end: a copy of the text for each secret takes quadratic time.
            pieces: list[str] = []
            limit = len(text)
            for shape, start, end in sorted(self._shapes(text), key=lambda match: -match[1]):
                pieces += (text[end:limit], f"<{shape}>")
                limit = start
            text = "".join((text[:limit], *reversed(pieces)))
        if self._is_harmless(text):
            return text
        # In an escaped form: the words that contain one, or else all of it.
        text = _TOKEN.sub(lambda token: self._named(token[0]), text)
        return self._named(text)

    def _named(self, text: str) -> str:
        """The text, or the name of the first secret in it."""
        found = next(self._needles.sources(text), None)
        return text if found is None else f"<{found}>"

    def _spans(self, text: str) -> list[Span]:
        is_harmless = "\0" not in text and not has_surrogate(text) and not self._needles.filter.suspects(text)
        return [] if is_harmless else self._needles.spans(text)

    def _is_harmless(self, text: str) -> bool:
        return next(self._needles.sources(text), None) is None

    def _search(self, what: str, record: str, value: Any, consequence: str) -> None:
        """Raise SecretFound for a secret in a record."""
        if not any(map(self._needles.filter.suspects_plain, (record, *secret_forms.decoded_texts(record)))):
            return
        number = next((name for needle, name in self._needles.lines.items() if needle in record), None)
        if number is None and self._is_harmless(record):
            return
        hits = [
            (f"{what}: {self._without_secrets(field)}" if field else what, name)
            for field, text in _strings(value)
            for name in self.sources(text)
        ]
        # In no string: the secret is a number.
        if not hits and number is not None:
            hits = [(what, number)]
        if hits:
            raise SecretFound(*hits[0], more=tuple(dict.fromkeys(hits[1:])), consequence=consequence)

    def _shapes(self, text: str) -> Iterator[secret_shapes.Match]:
        return (
            match
            for match in secret_shapes.find_shapes(text)
            if match.shape not in self._allowed and not self._is_allowed(text[match.start : match.end])
        )

    def _allows_name(self, name: str) -> bool:
        return not self._allowed.isdisjoint((name, *_NAMES.findall(name)))

    def _is_allowed(self, value: str) -> bool:
        if not self._allowed:
            return False
        # Imported here because few projects allow any.
        import hashlib

        return hashlib.sha256(value.encode()).hexdigest() in self._allowed


def _number_text(number: Any) -> str:
    return canonical_json.encode(number)[:-1].decode()


def _strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a JSON value, keys included, with its path; a key comes before the strings below it."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield f"a key of {field}" if field else "a key", key
            # Cut, because a long key may be around any number of values.
            name = cut_text(key, _LONGEST_KEY)
            yield from _strings(part, f"{field}.{name}" if field else name)
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from _strings(part, f"{field}[{position}]")
