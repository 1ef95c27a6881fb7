"""The forms that a secret may have in a text: as it is, encoded, or escaped."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from itertools import accumulate

from exprec.recorder.format import canonical_json

_MOST_ROUNDS = 4
"""Encodings around one another that are undone."""
_SHORTEST_LINE = 16
"""Characters of a line of a value with several lines, such as a private key."""

_ESCAPE = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(["\\/'nrtbf]))""")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_SINGLE_ESCAPES = tuple((f"\\{name}", char) for name, char in [*_CONTROLS.items(), *zip("\"/'", "\"/'", strict=True)])
ESCAPES = r"\\[\\ux/]|%[0-9a-fA-F]{2}|&(?:#|amp;|lt;|gt;|quot;|apos;)"
"""The escapes in a record that may hide a secret; the others, such as `\\n`, are in the forms themselves."""
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_LARGEST_CODE = 0x10FFFF


def split_lines(value: str) -> list[str]:
    """Return a secret, and its lines if there are several; those that begin or end a block of PEM are no secret."""
    lines = [line.strip() for line in value.replace("\\n", "\n").splitlines()]
    if len(lines) < 2:
        return [value]
    return [value, *(line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----"))]


def encoded_forms(value: str) -> set[str]:
    """Return what a text with a secret contains: itself, also in JSON, in hexadecimal, in base64 at each offset."""
    data = value.encode()
    return {
        value,
        canonical_json.encode(value).decode()[1:-2],
        json.dumps(value)[1:-1],
        data.hex(),
        data.hex().upper(),
        *base64_forms(value),
    }


def base64_forms(value: str) -> set[str]:
    """Return what the base64 of anything that contains a secret contains, whatever is before and after the secret."""
    data, forms = value.encode(), set()
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        # Without the characters that also depend on what is before and after the secret.
        last = (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(bytes(offset) + data)[first:last].decode())
    return forms


def decoded_texts(text: str) -> Iterator[str]:
    r"""Yield a text with its escapes undone (`\u`, `\/`, percent, HTML, UTF-16), once for each that surrounds another.

    Nothing is yielded for a text without escapes.
    """
    for _ in range(_MOST_ROUNDS):
        decoded = text
        for mark, decode in _DECODERS:
            if mark in decoded:
                decoded = decode(decoded)
        if decoded == text:
            return
        yield decoded
        text = decoded


def decode_with_places(text: str) -> Iterator[tuple[str, list[int]]]:
    """Yield what `decoded_texts` does, with the place in `text` of each character, and of the end."""
    places = list(range(len(text) + 1))
    for _ in range(_MOST_ROUNDS):
        before = text
        for mark, pattern, decode in _UNITS:
            if mark in text:
                text, places = _decode_units(text, places, pattern, decode)
        if text == before:
            return
        yield text, places


def _decode_units(text: str, places: list[int], pattern: re.Pattern[str], decode: _Decode) -> tuple[str, list[int]]:
    parts: list[str] = []
    kept: list[int] = []
    end = 0
    for match in pattern.finditer(text):
        decoded = decode(match[0])
        parts += [text[end : match.start()], *(char for char, _ in decoded)]
        kept += [*places[end : match.start()], *(places[match.start() + offset] for _, offset in decoded)]
        end = match.end()
    return "".join([*parts, text[end:]]), [*kept, *places[end:]]


def _decode_escapes(text: str) -> list[tuple[str, int]]:
    r"""The characters of a sequence of escapes, some of which are pairs (`\ud83d\ude00`), and their offsets."""
    decoded: list[tuple[str, int]] = []
    for match in _ESCAPE.finditer(text):
        char = _unescape(match)
        if "\udc00" <= char <= "\udfff" and decoded and "\ud800" <= decoded[-1][0] <= "\udbff":
            first = decoded.pop()
            decoded.append((_join_surrogates(first[0] + char), first[1]))
        else:
            decoded.append((char, match.start()))
    return [(char.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), offset) for char, offset in decoded]


def _decode_percent(text: str) -> list[tuple[str, int]]:
    decoded = _undo_percent(text)
    sizes = [len(char.encode()) * 3 for char in decoded]
    if sum(sizes) != len(text) or "\ufffd" in decoded:
        # Not UTF-8: all of it belongs together.
        return [(char, 0) for char in decoded]
    return list(zip(decoded, accumulate([0, *sizes]), strict=False))


def _undo_escapes(text: str) -> str:
    if "\\u" in text or "\\x" in text:
        return _ESCAPE.sub(_unescape, text)
    # Without a call for each escape: most of them are line ends and quotes in JSON.
    parts = text.split("\\\\")
    for escaped, char in _SINGLE_ESCAPES:
        parts = [part.replace(escaped, char) for part in parts]
    return "\\".join(parts)


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _CONTROLS.get(match[3], match[3])


def _undo_percent(text: str) -> str:
    return _PERCENT.sub(lambda match: bytes.fromhex(match[0].replace("%", "")).decode(errors="replace"), text)


def _undo_entities(text: str) -> str:
    return _ENTITY.sub(_entity, text)


def _entity(match: re.Match[str]) -> str:
    if match[3]:
        return _ENTITIES[match[3]]
    code = int(match[1]) if match[1] else int(match[2], 16)
    return chr(code) if code <= _LARGEST_CODE else match[0]


def _join_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_DECODERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("\\", lambda text: _join_surrogates(_undo_escapes(text))),
    ("%", _undo_percent),
    ("&", _undo_entities),
    ("\0", lambda text: text.replace("\0", "")),
)

_Decode = Callable[[str], list[tuple[str, int]]]
"""Returns the characters of an encoded part of a text, with their offsets in it."""

_UNITS: tuple[tuple[str, re.Pattern[str], _Decode], ...] = (
    ("\\", re.compile(f"(?:{_ESCAPE.pattern})+"), _decode_escapes),
    ("%", _PERCENT, _decode_percent),
    ("&", _ENTITY, lambda text: [(char, 0) for char in _undo_entities(text)]),
    ("\0", re.compile("\0+"), lambda _: []),
)
"""As _DECODERS, for parts of a text."""
