"""A value and a JSON Schema to the list of everything wrong with the value.

It knows no particular schema. Two engines give the verdict: jsonschema-rs on the hot path, jsonschema
for the explanation of a failure; a test holds the two to the same verdicts.

Two things are stricter here than in JSON Schema itself. `integer` means an integer, not 1.0: money is
integer cents, and 1.0 is other bytes than 1. And `x-exprec-refused` beside a schema that admits nothing
gives the reason why a key that others may know is refused.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Sequence
from functools import cache, reduce
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from exprec import schemas
from exprec.recorder.errors import KeyPath, Problem

Schema = dict[str, Any]
_LONGEST_VALUE = 60
EXACT_INTEGER = "x-exprec-exact-integer"
_MAPS_OF_SCHEMAS = frozenset(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"))
_NO_SCHEMAS = frozenset(("const", "enum", "default", "examples"))


class Validator:
    """One schema, compiled: a fast verdict and, for what fails, every problem in words."""

    def __init__(self, schema: Schema) -> None:
        """Raises ValueError when `schema` is not a valid JSON Schema. Nothing is ever fetched.

        No pattern can hang: the engine matches in a time that grows with the text alone, and refuses a schema whose
        patterns look ahead or refer back.
        """
        self._schema = schema
        self._verdict = jsonschema_rs.validator_for(
            _with_exact_integers(schema),
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            keywords={EXACT_INTEGER: _ExactInteger},  # type: ignore[dict-item] # for it, `validate` is a method
        )

    def is_valid(self, value: Any) -> bool:
        """The verdict alone. `value` must be made of JSON types."""
        return self._verdict.is_valid(value)

    def problems(self, value: Any) -> list[Problem]:
        """Everything wrong with `value`, in the order of the document; empty when it is valid."""
        if self.is_valid(value):
            return []
        # Imported here because only a failure needs it and it takes longer than a short command.
        from exprec.recorder.explanation import explain

        return explain(self._schema, value)


class DeclaredValidator(Validator):
    """A schema that anybody may have written. Its problems are those of the engine that gives the verdict: the other
    one could hang on a pattern, and follows no `$ref` within `anyOf`."""

    def problems(self, value: Any) -> list[Problem]:
        if self.is_valid(value):
            return []
        from exprec.recorder.explanation import explain_found

        return explain_found(self._verdict.iter_errors(value), self._schema, value)


class _ExactInteger(Exception):
    """The keyword that stands beside a type `integer` in what is compiled; it is never in a schema that is kept.

    The engine makes one for each place and asks it about each value there; it takes whatever is raised for a no.
    Therefore nothing in it is Python that a signal could interrupt: Ctrl-C would be lost in the verdict. An exception
    takes any arguments, and `operator.index` raises TypeError for a float.
    """

    validate = operator.index


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


def _with_exact_integers(part: Any, *, is_map: bool = False) -> Any:
    """A schema, or a mapping of names to schemas, in which each type `integer` has EXACT_INTEGER beside it."""
    if isinstance(part, list):
        return [_with_exact_integers(each) for each in part]
    if not isinstance(part, dict):
        return part
    if is_map:
        return {name: _with_exact_integers(each) for name, each in part.items()}
    made = {
        key: each if key in _NO_SCHEMAS else _with_exact_integers(each, is_map=key in _MAPS_OF_SCHEMAS)
        for key, each in part.items()
    }
    kinds = part.get("type")
    if kinds in ("integer", ["integer"]):
        made[EXACT_INTEGER] = True
    elif isinstance(kinds, list) and "integer" in kinds and "number" not in kinds:
        exact = {"if": {"type": "integer"}, "then": {EXACT_INTEGER: True}}
        beside = made.get("allOf", [])
        # What is no list is for the engine to refuse.
        made["allOf"] = [*beside, exact] if isinstance(beside, list) else beside
    return made


def local_target(reference: str, root: Schema) -> Any:
    """What a `$ref` within a schema stands for; None where it leads nowhere or out of the schema."""
    if not reference.startswith("#/"):
        return None
    target: Any = root
    for part in unquote(reference[2:]).split("/"):
        target = _below(target, part.replace("~1", "/").replace("~0", "~"))
    return target


def _below(part: Any, key: str | int) -> Any:
    if isinstance(part, list):
        return part[int(key)] if str(key).isdecimal() and int(key) < len(part) else None
    return part.get(key) if isinstance(part, dict) else None


def part_at(path: Sequence[str | int], value: Any) -> Any:
    """What stands at a path in a JSON value; None when there is nothing."""
    return reduce(_below, path, value)
