"""Where the secrets in a text are: each occurrence as a whole, also of an encoded one."""

from __future__ import annotations

import re
import string
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exprec.recorder.diagnostics import secret_shapes
from exprec.recorder.diagnostics.secret_forms import decode_with_places

_BASE64 = f"{string.ascii_letters}{string.digits}+/_-"
_BASE64_AFTER = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_END_OF_KEY = re.compile(r"-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_BLANK = re.compile(r"(?:\s|\\[nrt])*")
_PRIVATE_KEY = "private-key"


class Secret(NamedTuple):
    """The secret that a form belongs to."""

    name: str
    value: str
    """The whole value; the form may be that of one of its lines."""
    is_base64: bool = False
    """Whether characters around the form belong to it, because they depend on the secret, too."""


class Span(NamedTuple):
    """An occurrence of a secret in a text."""

    start: int
    end: int
    name: str
    """The source of a known secret, or the shape."""
    value: str
    """What tells one secret from another: the whole value, whatever the form of the occurrence."""
    is_known: bool


def find_spans(
    text: str,
    secrets: Mapping[str, Secret],
    shapes: secret_shapes.ShapeSearch | None,
    *,
    undoes_escapes: bool = True,
) -> list[Span]:
    """Return where the secrets in a text are, in order and without overlaps.

    `secrets` are by their forms; `shapes` finds secrets without a known value. An occurrence is as long as its escapes
    and its encoding are; of lines of one secret that follow each other there is one occurrence. Without
    `undoes_escapes`, only those that are not escaped are found.
    """
    spans = [*_spans_of(text, secrets, shapes)]
    for decoded, places in decode_with_places(text) if undoes_escapes else ():
        for span in _spans_of(decoded, secrets, shapes):
            last = places[span.end - 1]
            after = places[bisect_right(places, last, span.end)]
            spans.append(span._replace(start=places[span.start], end=after))
    return _joined(text, sorted(spans))


def open_key(text: str) -> int:
    """Return where a private key begins that does not end in the text; else the length of the text."""
    begin = text.rfind("-----BEGIN ")
    if begin >= 0 and "PRIVATE KEY" in text[begin : begin + 64] and not _END_OF_KEY.search(text, begin):
        return begin
    return len(text)


def _spans_of(text: str, secrets: Mapping[str, Secret], shapes: secret_shapes.ShapeSearch | None) -> Iterator[Span]:
    for form, secret in secrets.items():
        last = 0
        while (start := text.find(form, last)) >= 0:
            end = start + len(form)
            first, last = _base64_run(text, last, start, end) if secret.is_base64 else (start, end)
            yield Span(first, last, secret.name, secret.value, is_known=True)
    for shape, start, end in shapes(text) if shapes is not None else ():
        if shape == _PRIVATE_KEY:
            # Its pattern is the first line alone.
            after = _END_OF_KEY.search(text, end)
            end = after.end() if after else len(text)
        yield Span(start, end, shape, text[start:end], is_known=False)


def _base64_run(text: str, lowest: int, start: int, end: int) -> tuple[int, int]:
    """Return the start, not below `lowest`, and the end of the base64 text around a form."""
    after = _BASE64_AFTER.match(text, end)
    assert after is not None
    # Not a pattern with an end, which is tried from each character on.
    return lowest + len(text[lowest:start].rstrip(_BASE64)), after.end()


def _joined(text: str, spans: list[Span]) -> list[Span]:
    """Join what overlaps, under the name of a known secret if there is one, and lines of one secret."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last is not None and span.start < last.end:
            best = max(last, span, key=lambda each: (each.is_known, len(each.value), each.name))
            joined[-1] = best._replace(start=last.start, end=max(last.end, span.end))
        elif last is not None and _is_next_line(text, last, span):
            joined[-1] = last._replace(end=span.end)
        else:
            joined.append(span)
    return joined


def _is_next_line(text: str, last: Span, span: Span) -> bool:
    is_one = span.value == last.value and ("\n" in span.value or "\\n" in span.value)
    return is_one and _BLANK.fullmatch(text, last.end, span.start) is not None
