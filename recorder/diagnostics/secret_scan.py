"""The search for secrets in texts, and in bytes that come in pieces."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from exprec.recorder.diagnostics import secret_shapes
from exprec.recorder.diagnostics.redaction import Numbers, placeholder
from exprec.recorder.diagnostics.secret_filter import SecretFilter
from exprec.recorder.diagnostics.secret_forms import decoded_texts
from exprec.recorder.diagnostics.secret_spans import Secret, Span, find_spans, open_key
from exprec.recorder.format import canonical_json

_FEWEST_BYTES = 4
"""So much of a secret may be its beginning; less ends any text, such as a prompt that waits for an answer."""
_LONGEST_TOKEN = 4096
"""Bytes of an escaped word that is held back because it may become a secret."""
_LONGEST_LINE = 64 * 1024
"""Bytes of an unfinished line that are held back: a longer one is let through up to what may begin a secret."""
_LAST_TOKEN = re.compile(r"[^\s]*\Z")
_ESCAPED_TOKEN = re.compile(r"[^\s]+")
_CUT_ESCAPE = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,3})?|%[0-9a-fA-F]?|&#?[0-9a-zA-Z]*)\Z")
"""An escape that is cut at the end of a piece."""

_START = Span(0, 0, "", "", is_known=False)


class Needles:
    """What to look for: the forms of secrets, with the name of each, and shapes."""

    def __init__(self, secrets: Mapping[str, Secret], shapes: secret_shapes.ShapeSearch | None) -> None:
        """Look for the texts that are the keys of `secrets`, and for what `shapes` finds."""
        self.secrets = secrets
        self.names = names = {form: secret.name for form, secret in secrets.items()}
        self.by_length = sorted(names.items(), key=lambda item: -len(item[0]))
        """The forms with their names, the longest first."""
        self.shapes = shapes
        self.data = {form.encode(): name for form, name in names.items()}
        """The forms as bytes, with their names."""
        # In bytes that are decoded as Latin-1, so that characters are bytes.
        self._latin = {form.encode().decode("latin-1"): name for form, name in names.items()}
        self.lines = {canonical_json.encode(form)[1:-2].decode(): name for form, name in names.items()}
        """The forms as they are in a record."""
        self.filter = SecretFilter((*self.lines, *names, *self._latin), has_shapes=shapes is not None)
        """The quick test of texts, of records, and of bytes that were decoded as Latin-1."""

    def __bool__(self) -> bool:
        return bool(self.names) or self.shapes is not None

    def may_be_in(self, data: bytes) -> bool:
        """Return whether bytes may contain a secret: the quick test.

        Bytes with zeros are binary data, or text in UTF-16: of the escapes in them none but the zeros are undone.
        """
        text = data.decode("latin-1")
        if "\0" not in text:
            return self.filter.suspects(text) and any(map(self.filter.suspects_plain, (text, *decoded_texts(text))))
        return self.filter.suspects_plain(text) or self.filter.suspects_plain(text.replace("\0", ""))

    def spans(self, text: str) -> list[Span]:
        """Return where the secrets in a text are; see `find_spans`."""
        plain = find_spans(text, self.secrets, self.shapes, undoes_escapes=False)
        # Keeping the places of a text while its escapes are undone takes long: only if there is something in them.
        parts = [
            text[last.end : span.start] for last, span in pairwise([_START, *plain, _START._replace(start=len(text))])
        ]
        rest = " ".join(parts)
        if any(next(self._plain_sources(decoded), None) for decoded in decoded_texts(rest)):
            return find_spans(text, self.secrets, self.shapes)
        return plain

    def sources(self, text: str) -> Iterator[str]:
        """Yield the names of the secrets in a text, which may be escaped; a name may come several times."""
        yield from self._plain_sources(text)
        for decoded in decoded_texts(text):
            yield from self._plain_sources(decoded)

    def decoded_sources(self, text: str) -> Iterator[str]:
        """Yield the names of the secrets in the escaped parts of bytes that were decoded as Latin-1."""
        # Binary data has zero bytes; undoing its chance escapes would take most of the time.
        texts = [text.replace("\0", "")] if "\0" in text else decoded_texts(text)
        for decoded in texts:
            yield from (name for forms in (self._latin, self.names) for form, name in forms.items() if form in decoded)
            if self.shapes is not None:
                yield from (match.shape for match in self.shapes(decoded))

    def _plain_sources(self, text: str) -> Iterator[str]:
        yield from (name for form, name in self.names.items() if form in text)
        if self.shapes is not None:
            yield from (match.shape for match in self.shapes(text))


class SecretScan:
    """Looks for secrets in bytes that come in pieces, such as what a program writes."""

    def __init__(self, needles: Needles) -> None:
        """Look for what `SecretGuard.scan` gives."""
        self._needles = needles
        self._longest = max(map(len, needles.data), default=64)
        self._held = b""
        """What may be the beginning of a secret, and was not let through."""
        self._before = b""
        """The end of what was let through, in which a secret may have begun."""
        self.found: str | None = None
        """The name of the secret that was found; nothing is let through any more."""
        self.replaced: str | None = None
        """The name of the first secret for which a placeholder was let through."""

    def passed(self, data: bytes) -> bytes:
        """What of the bytes so far may be kept now: all up to a secret, or up to what may become one."""
        if not self._needles or not data:
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
        """Return what was held back and is part of no secret, at the end of the data."""
        held, self._held = self._held, b""
        return held

    def _end_of_harmless(self, window: bytes) -> int:
        first = min(self._places(window), default=None)
        if first is not None:
            self.found = first[1]
            return first[0]
        return self._beginning(window)

    def _places(self, window: bytes) -> Iterator[tuple[int, str]]:
        """Yield where secrets begin in a window, and their names."""
        if not self._needles.may_be_in(window):
            return
        text = window.decode("latin-1")
        places = [(place, name) for needle, name in self._needles.data.items() if (place := window.find(needle)) >= 0]
        if self._needles.shapes is not None:
            places += ((match.start, match.shape) for match in self._needles.shapes(text))
        yield from places
        # Before the first of these alone: undoing the escapes leaves a secret that has none as it is.
        before = text[: min(places)[0]] if places else text
        decoded = next(self._needles.decoded_sources(before), None)
        if decoded is not None:
            yield self._escaped_place(before), decoded

    def _escaped_place(self, text: str) -> int:
        """Where the first word begins that contains a secret in an escaped form; 0 if it spans several words."""
        for token in _ESCAPED_TOKEN.finditer(text):
            if next(self._needles.decoded_sources(token[0]), None) is not None:
                return token.start()
        return 0

    def _beginning(self, window: bytes) -> int:
        """Where at the end of a window a secret may begin, or its end."""
        places = [_begins_at(window, needle) for needle in self._needles.data]
        if self._needles.shapes is not None:
            places.append(secret_shapes.find_beginning(window.decode("latin-1")))
        tail = window[-_LONGEST_TOKEN:].decode("latin-1")
        token = _LAST_TOKEN.search(tail)
        if token is not None and any(mark in token[0] for mark in "\\%&\0"):
            for decoded in decoded_texts(token[0]):
                data = _CUT_ESCAPE.sub("", decoded).encode("latin-1", "replace")
                if any(_begins_at(data, needle) < len(data) for needle in self._needles.data):
                    places.append(len(window) - len(token[0]))
        return min(places, default=len(window))


class LineScan(SecretScan):
    """Looks for secrets in output, whole lines of which are let through: none from the first on that contains one.

    A line that is not finished is held back up to 64 KiB of it, and so is one with which a secret of several lines may
    begin.
    """

    def __init__(self, needles: Needles) -> None:
        """Look for what `SecretGuard.scan_lines` gives."""
        super().__init__(needles)
        self.line = 1
        """The number of the line that is held back; once a secret was found, of the first line that contains one."""
        self._of_several_lines = [needle for needle in needles.data if b"\n" in needle]

    def passed(self, data: bytes) -> bytes:
        """Return what may be recorded now."""
        if not self._needles or not data:
            return data
        if self.found is not None:
            return b""
        if b"\n" not in data and len(self._held) + len(data) <= _LONGEST_LINE:
            self._held += data
            return b""
        return self._let_through(super().passed(data))

    def rest(self) -> bytes:
        """Return what was held back, up to a line with a secret, at the end of the data."""
        held, self._held = self._held, b""
        window, start = self._before + held, len(self._before)
        first = min(self._places(window), default=None)
        if first is None:
            return self._let_through(held)
        self.found = first[1]
        return self._let_through(window[start : max(start, _line_start(window, first[0]))])

    def _let_through(self, data: bytes) -> bytes:
        self.line += data.count(b"\n")
        return data

    def _end_of_harmless(self, window: bytes) -> int:
        end = super()._end_of_harmless(window)
        return _line_start(window, end) if self.found is not None else end

    def _beginning(self, window: bytes) -> int:
        end = window.rfind(b"\n", len(self._before)) + 1
        if not end:
            # A line that is longer than what is held back.
            return super()._beginning(window)
        # In an unfinished line, which is held back anyway, at least its first line is to come.
        places = [_begins_at(window, needle, needle.index(b"\n") + 1) for needle in self._of_several_lines]
        return min([end, *(_line_start(window, place) for place in places if place < len(window))])


class Edit(NamedTuple):
    """Bytes to write in place of others in a file."""

    start: int
    old: bytes
    new: bytes


class RedactingScan(LineScan):
    """Lets whole lines through, with placeholders for the secrets in them.

    A secret for which there cannot be one is found as by a `LineScan`.
    """

    def __init__(self, needles: Needles, numbers: Numbers) -> None:
        """Look for what `SecretGuard.scan_lines` gives; `numbers` are those of the placeholders."""
        super().__init__(needles)
        self._numbers = numbers
        self._size = 0
        """Bytes that were let through."""
        self._marks: dict[bytes, int] = {}
        self._spans: list[Span] = []
        self._offsets, self._kinds = array("Q"), array("L")
        """Where placeholders are in what was let through, and which: a file may have millions."""
        self.lines: dict[str, list[int]] = {}
        """The name of each secret that was replaced, with the number of the first line and of all occurrences."""

    def passed(self, data: bytes) -> bytes:
        """Return what may be recorded now, with placeholders."""
        if not self._needles or not data:
            return data
        if self.found is not None:
            return b""
        self._held += data
        if b"\n" not in data and len(self._held) <= _LONGEST_LINE:
            return b""
        return self._redacted(self._end_of_whole())

    def rest(self) -> bytes:
        """Return what was held back, with placeholders, at the end of the data."""
        return self._redacted(len(self._held)) if self.found is None else b""

    def edits(self, numbers: Numbers) -> Iterator[Edit]:
        """Yield how to change what was let through so that its placeholders have other `numbers`."""
        marks = list(self._marks)
        renamed = [
            placeholder(span, numbers.number(span.value), mark.decode("ascii")).encode()
            for mark, span in zip(marks, self._spans, strict=True)
        ]
        if renamed != marks:
            for place, kind in zip(self._offsets, self._kinds, strict=True):
                yield Edit(place, marks[kind], renamed[kind])

    def _end_of_whole(self) -> int:
        """Where the lines end that are whole, and with which no secret of several lines begins."""
        end = self._beginning(self._held)
        key = open_key(self._held[:end].decode("latin-1"))
        if key == end:
            return end
        if len(self._held) - key > _LONGEST_LINE:
            self.found = "private-key"
        return _line_start(self._held, key)

    def _redacted(self, end: int) -> bytes:
        block, self._held = self._held[:end], self._held[end:]
        if self._needles.may_be_in(block):
            text = block.decode("utf-8", "surrogateescape")
            spans = self._needles.spans(text)
            kept = len(self._offsets)
            block = self._replaced(text, spans)
            rest = next(self._needles.sources(block.decode("utf-8", "surrogateescape")), None)
            if rest is not None:
                self.found = rest
                del self._offsets[kept:], self._kinds[kept:]
                return b""
            self._count(text, spans)
        else:
            self.line += block.count(b"\n")
        self._size += len(block)
        return block

    def _replaced(self, text: str, spans: list[Span]) -> bytes:
        data, end = bytearray(), 0
        for span in spans:
            data += text[end : span.start].encode("utf-8", "surrogateescape")
            number = self._numbers.number(span.value)
            mark = placeholder(span, number, text[span.start : span.end]).encode()
            if mark not in self._marks:
                self._marks[mark] = len(self._marks)
                self._spans.append(span)
            self._offsets.append(self._size + len(data))
            self._kinds.append(self._marks[mark])
            data += mark
            end = span.end
        return bytes(data + text[end:].encode("utf-8", "surrogateescape"))

    def _count(self, text: str, spans: list[Span]) -> None:
        end = 0
        for span in spans:
            self.line += text.count("\n", end, span.start)
            self.replaced = self.replaced or span.name
            self.lines.setdefault(span.name, [self.line, 0])[1] += 1
            end = span.start
        self.line += text.count("\n", end)


def _line_start(data: bytes, place: int) -> int:
    """Where the line begins in which a place is."""
    return data.rfind(b"\n", 0, place) + 1


def _begins_at(window: bytes, needle: bytes, fewest: int = _FEWEST_BYTES) -> int:
    """Where at the end of a window a needle begins, or its end when it does not; a few bytes are no beginning."""
    beginning = needle[:fewest]
    place = window.find(beginning, max(0, len(window) - len(needle) + 1))
    while place >= 0:
        if needle.startswith(window[place:]):
            return place
        place = window.find(beginning, place + 1)
    return len(window)
