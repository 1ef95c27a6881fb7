"""The JSON Schemas (2020-12) of every format exprec writes or reads, loaded from the files beside this one.

It only finds and parses them; what they are checked against is `recorder.validation`'s business.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

_SUFFIX = ".schema.json"
_FOLDER = Path(__file__).parent
"""Not by importlib.resources, which takes as long to import as a store takes to be read."""


@cache
def names() -> tuple[str, ...]:
    """The names of all schemas with their versions (`event.llm_call.v1`), sorted."""
    found = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


@cache
def load(name: str) -> dict[str, Any]:
    """The schema of that name. Treat it as read-only. Raises KeyError when there is none."""
    if name not in names():
        raise KeyError(name)
    schema: dict[str, Any] = orjson.loads(text(name))
    return schema


def text(name: str) -> bytes:
    """The file of a schema, as it stands. Raises KeyError when there is none."""
    if name not in names():
        raise KeyError(name)
    return (_FOLDER / f"{name}{_SUFFIX}").read_bytes()
