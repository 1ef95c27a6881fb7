"""Changes to an input that keep most of its grammar: of its bytes, of its lines, and of the JSON values in it.

All of them follow from the numbers that a generator gives, so that a failure can be had again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    1.0,
    -0.0,
    0.5,
    1e308,
    -(2**63),
    2**63,
    2**64 - 1,
    2**64,
    10**40,
    float("nan"),
    float("inf"),
    "",
    "0",
    "é決\U0001f600",
    "\x00\x1b[2J\u202e\u2028\ud7ff",
    "a" * 300,
    "a.b[0]",
    "../../x",
    "{x}",
    "__proto__",
    [],
    {},
    [[]],
    [1, "1", None],
    {"": None},
    {"type": "condition"},
    {"value": 1},
    {"$ref": "#"},
)
"""Replacement values."""

_KEYS = ("", "seq", "event_type", "iteration", "type", "id", "name", "$ref", "format", "é", "\x1b", "a" * 200)
_TOKENS = (
    *(b"\n", b"\r\n", b"\0", b"{", b"}", b"[", b"]", b'"', b"'", b"\\", b",", b":", b"#", b"-", b"null", b"NaN", b"0x"),
    *(b"&a ", b"*a", b"<<: ", b"!!", b"---\n", b"? ", b"- ", b"|\n", b"%YAML 1.1\n"),
    *(b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"1e999"),
    b'{"seq":0,"event_type":"x","iteration":0}\n',
)

_DEEP = b'"-deep-"'
"""A placeholder for arrays nested as deeply as a reader allows."""

Mutation = Callable[[bytes, Random], bytes]


def mutated(data: bytes, random: Random, *, others: list[bytes] | None = None, prefix: int = 0) -> bytes:
    """The input after one to four changes; its first `prefix` bytes, which mostly choose, seldom change.

    `others` are inputs to take parts from.
    """
    head, rest = data[:prefix], data[prefix:]
    for _ in range(random.choice((1, 1, 2, 4))):
        change = random.choice(_MUTATIONS)
        rest = (
            _crossed(rest, random, others)
            if change is _bytes and others and random.random() < 0.2
            else change(rest, random)
        )
    if head and random.random() < 0.1:
        head = bytes(random.randrange(256) for _ in head)
    return head + rest


def _bytes(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    length = random.choice((0, 1, 1, 2, 8, 64))
    put = random.choice((b"", bytes([random.randrange(256)]), random.choice(_TOKENS), data[start : start + 32] * 2))
    return data[:start] + put + data[start + length :]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _crossed(data: bytes, random: Random, others: list[bytes]) -> bytes:
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _lines(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    what = random.randrange(4)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(to, lines[at])
    elif what == 2:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        indent = random.choice((b" ", b"  ", b"\t", b"- ", b""))
        lines[at] = indent + lines[at].lstrip()
    return b"\n".join(lines)


def _json_line(data: bytes, random: Random) -> bytes:
    """Return one line that is JSON, or else the whole input."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    for number, part in ((at, lines[at]), (None, data)):
        try:
            made = _dumped(_changed(json.loads(part), random), indent=number is None and data[:2] == b"{\n")
        except (ValueError, RecursionError):
            # No JSON, or nested too deeply already.
            continue
        if number is None:
            return made + data[len(data.rstrip(b"\n")) :]
        lines[number] = made
        return b"\n".join(lines)
    return _bytes(data, random)


def _dumped(value: Any, *, indent: bool) -> bytes:
    compact = None if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2 if indent else None, separators=compact)
    data = text.encode("utf-8", "surrogatepass")
    # Python's own writer goes no deeper than its stack.
    return data.replace(_DEEP, b'{"a":' * 50 + b"[" * 920 + b"]" * 920 + b"}" * 50)


def _changed(value: Any, random: Random) -> Any:
    """Change one part of a value: replace, remove, repeat, rename, move or nest it."""
    places = _places(value)
    if not places:
        return copy.deepcopy(random.choice(VALUES))
    parent, key = random.choice(places)
    what = random.randrange(8)
    if what <= 2:
        parent[key] = copy.deepcopy(random.choice(VALUES))
    elif what == 3:
        del parent[key]
    elif what == 4:
        if isinstance(parent, dict):
            parent[random.choice(_KEYS)] = parent.pop(key)
        else:
            parent.insert(key, copy.deepcopy(parent[key]))
    elif what == 5:
        other, place = random.choice(places)
        parent[key] = copy.deepcopy(other[place])
    elif what == 6:
        part = parent[key] if random.random() < 0.7 else json.loads(_DEEP)
        for _ in range(random.choice((1, 3, 30, 210, 260))):
            part = [part] if random.random() < 0.5 else {"a": part}
        parent[key] = part
    elif isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
        parent[key] = random.choice(
            (parent[key] + 1, -parent[key], float(parent[key]) if abs(parent[key]) < 1e300 else 0, str(parent[key]))
        )
    elif isinstance(parent[key], str):
        parent[key] = random.choice(
            (parent[key][:-1], parent[key] * 2, parent[key].upper(), parent[key] + "\x1b", "é" + parent[key])
        )
    else:
        parent[key] = random.choice(([parent[key]], {"": parent[key]}, json.dumps(parent[key])))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return each part of a value as its container and its key."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending and len(found) < 2000:
        part = pending.pop()
        keys: Any = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            found.append((part, key))
            pending.append(part[key])
    return found


_MUTATIONS: tuple[Mutation, ...] = (_bytes, _cut, _lines, _json_line, _json_line, _json_line)
