"""A value and a JSON Schema to the list of everything wrong with the value.

It knows no particular schema. Two engines give the verdict: jsonschema-rs on the hot path, jsonschema
for the explanation of a failure; a test holds the two to the same verdicts.

Two things are stricter here than in JSON Schema itself. `integer` means an integer, not 1.0: money is
integer cents, and 1.0 is other bytes than 1. And `x-exprec-refused` beside a schema that admits nothing
gives the reason why a key that others may know is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from itertools import combinations
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from exprec import schemas
from exprec.recorder.errors import Problem

Schema = dict[str, Any]
_DRAFT_4 = "http://json-schema.org/draft-04/schema#"
_EXACT = ("array", "boolean", "integer", "null", "object", "string")
"""The types without `number`."""
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
            registry=_exact_types(),
            pattern_options=jsonschema_rs.RegexOptions(),
        )

    def is_valid(self, value: Any) -> bool:
        """The verdict alone. `value` must be made of JSON types."""
        return self._verdict.is_valid(value)

    def problems(self, value: Any) -> list[Problem]:
        """Everything wrong with `value`, in the order of the document; empty when it is valid."""
        if self.is_valid(value):
            return []
        # Imported here because only a failure needs it and it takes longer than a short command.
        from exprec.recorder.schema.messages import explain

        try:
            return explain(self._schema, value)
        except RecursionError:
            return [Problem((), "is not valid, and is nested too deeply to say why")]


class DeclaredValidator(Validator):
    """A schema written by a user.

    Its problems come from the engine that gives the verdict: the other engine could hang on a pattern, and does not
    follow `$ref` within `anyOf`.
    """

    def problems(self, value: Any) -> list[Problem]:
        """Return the problems of a value; empty if it is valid."""
        if self.is_valid(value):
            return []
        from exprec.recorder.schema.messages import explain_found

        return explain_found(self._verdict.iter_errors(value), self._schema, value)


@cache
def validator(name: str) -> Validator:
    """The validator of a schema of this package. Raises KeyError when there is none of that name."""
    return Validator(schemas.load(name))


def problems(value: Any, name: str) -> list[Problem]:
    """Everything wrong with `value` by the schema of that name; empty when it is valid."""
    return validator(name).problems(value)


@cache
def _exact_types() -> jsonschema_rs.Registry:
    """A schema for each type that may be an integer and no other number.

    Draft 4 is the last one for which 1.0 is no integer, and a schema may refer to one of another draft. A keyword of
    exprec's own could tell too, but the engine would call Python for every integer: three times the time.
    """
    kinds = [list(each) for count in range(1, 7) for each in combinations(_EXACT, count)]
    addresses = {_exact_type(each): each for each in kinds}
    return jsonschema_rs.Registry(
        [(address, {"$schema": _DRAFT_4, "type": each}) for address, each in addresses.items() if address is not None]
    )


def _with_exact_integers(part: Any, *, is_map: bool = False) -> Any:
    """A schema, or a mapping of names to schemas, in which each type with `integer` is one of `_exact_types`."""
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
    kinds, beside = part.get("type"), made.get("allOf", [])
    address = _exact_type([kinds] if isinstance(kinds, str) else kinds)
    if address is not None and isinstance(beside, list):
        del made["type"]
        made["allOf"] = [*beside, {"$ref": address}]
    return made


def _exact_type(kinds: Any) -> str | None:
    """Return the address of the schema for a list of types.

    None if the list lacks `integer` or also has `number`, or is not a list of types, which the engine refuses.
    """
    if not isinstance(kinds, list) or "integer" not in kinds or len({*map(str, kinds)}) < len(kinds):
        return None
    return f"exprec:type:{'-'.join(sorted(kinds))}" if all(kind in _EXACT for kind in kinds) else None


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
