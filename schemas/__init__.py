"""The JSON Schemas (2020-12) of every format that exprec reads or writes, and FORMAT.md, which explains them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

_SUFFIX = ".schema.json"
# Not importlib.resources: importing it takes as long as listing a small store.
_FOLDER = Path(__file__).parent


@cache
def names() -> tuple[str, ...]:
    """Return the names of all schemas with their versions (`event.llm_call.v1`), sorted."""
    files = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX)))


@cache
def load(name: str) -> dict[str, Any]:
    """Return a schema, which callers must not modify; raise KeyError for an unknown name."""
    if name not in names():
        raise KeyError(name)
    schema: dict[str, Any] = orjson.loads(text(name))
    return schema


def text(name: str) -> bytes:
    """Return the bytes of a schema file; raise KeyError for an unknown name."""
    if name not in names():
        raise KeyError(name)
    return (_FOLDER / f"{name}{_SUFFIX}").read_bytes()
