"""A value and a JSON Schema to the list of everything wrong with the value.

It knows no particular schema. Two engines give the verdict: jsonschema-rs on the hot path, jsonschema
for the explanation of a failure; a test holds the two to the same verdicts.

Two things are stricter here than in JSON Schema itself. `integer` means an integer, not 1.0: money is
integer cents, and 1.0 is other bytes than 1. And `x-exprec-refused` beside a schema that admits nothing
gives the reason why a key that others may know is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs

from exprec import schemas
from exprec.recorder.errors import KeyPath, Problem

Schema = dict[str, Any]
_Check = Callable[[Any], bool]
_LONGEST_VALUE = 60


class Validator:
    """One schema, compiled: a fast verdict and, for what fails, every problem in words."""

    def __init__(self, schema: Schema) -> None:
        """Raises ValueError when `schema` is not a valid JSON Schema. Nothing is ever fetched."""
        self._schema = schema
        self._verdict = jsonschema_rs.validator_for(schema, offline=True)
        self._integers = _integer_check(schema, schema)

    def is_valid(self, value: Any) -> bool:
        """The verdict alone. `value` must be made of JSON types."""
        return self._verdict.is_valid(value) and (self._integers is None or self._integers(value))

    def problems(self, value: Any) -> list[Problem]:
        """Everything wrong with `value`, in the order of the document; empty when it is valid."""
        if self.is_valid(value):
            return []
        # Imported here because only a failure needs it and it takes longer than a short command.
        from exprec.recorder.explanation import explain

        return explain(self._schema, value)


@cache
def validator(name: str) -> Validator:
    """The validator of a schema of this package. Raises KeyError when there is none of that name."""
    return Validator(schemas.load(name))


def problems(value: Any, name: str) -> list[Problem]:
    """Everything wrong with `value` by the schema of that name; empty when it is valid."""
    return validator(name).problems(value)


def key_name(path: KeyPath, document: Any = None) -> str:
    """A path as a person reads it; with the document, list items go by their `id`: `agents[BANK_A].id`."""
    text, here = "", document
    for part in path:
        if isinstance(part, int):
            here = here[part] if isinstance(here, list) and part < len(here) else None
            label = here.get("id") if isinstance(here, dict) else None
            text += f"[{label if isinstance(label, str) and label.strip() else part}]"
        else:
            here = here.get(part) if isinstance(here, dict) else None
            text += f".{part}" if text else part
    return text


def show_value(value: Any) -> str:
    """A value as it appears in a message: JSON-like and cut to a readable length."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def unknown_word(kind: str, word: str, known: list[str]) -> str:
    """What to say of a word that is none of the known ones: the nearest, then all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown {kind}{hint} (known: {', '.join(known) or 'none'})"


def _integer_check(schema: Any, root: Schema, within: frozenset[str] = frozenset()) -> _Check | None:
    """A check that what the schema calls an integer is one, or None where it calls nothing so.

    It follows `properties`, `additionalProperties`, `items`, `allOf`, `if`/`then`/`else` and local `$ref`s
    that do not recurse: the places where the formats of this package have integers.
    """
    if not isinstance(schema, dict):
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = local_target(reference, root)
        return None if reference in within else _integer_check(target, root, within | {reference})
    checks: list[_Check] = list(_child_checks(schema, root, within))
    kinds = schema.get("type", [])
    if "integer" in kinds and "number" not in kinds:
        checks.insert(0, lambda value: type(value) is not float)
    if len(checks) <= 1:
        return checks[0] if checks else None
    return lambda value: all(check(value) for check in checks)


def _child_checks(schema: Schema, root: Schema, within: frozenset[str]) -> Iterator[_Check]:
    properties = schema.get("properties", {})
    fields = {key: check for key, sub in properties.items() if (check := _integer_check(sub, root, within))}
    if fields:
        pairs = tuple(fields.items())
        yield (
            lambda value: not isinstance(value, dict) or all(check(value[key]) for key, check in pairs if key in value)
        )
    rest = _integer_check(schema.get("additionalProperties"), root, within)
    if rest is not None:
        named = frozenset(properties)
        yield (
            lambda value: (
                not isinstance(value, dict) or all(rest(part) for key, part in value.items() if key not in named)
            )
        )
    items = _integer_check(schema.get("items"), root, within)
    if items is not None:
        yield lambda value: not isinstance(value, list) or all(map(items, value))
    for sub in schema.get("allOf", ()):
        check = _integer_check(sub, root, within)
        if check is not None:
            yield check
    yield from _branch_checks(schema, root, within)


def _branch_checks(schema: Schema, root: Schema, within: frozenset[str]) -> Iterator[_Check]:
    branches = {key: check for key in ("then", "else") if (check := _integer_check(schema.get(key), root, within))}
    if "if" in schema and branches:
        condition = jsonschema_rs.validator_for(schema["if"], offline=True)
        then, otherwise = branches.get("then"), branches.get("else")

        def check(value: Any) -> bool:
            branch = then if condition.is_valid(value) else otherwise
            return branch is None or branch(value)

        yield check


def local_target(reference: str, root: Schema) -> Any:
    """What a `$ref` within a schema stands for; None where it leads nowhere or out of the schema."""
    if not reference.startswith("#/"):
        return None
    target: Any = root
    for part in reference[2:].split("/"):
        target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
    return target
