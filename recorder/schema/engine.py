"""JSON Schemas as validators: a fast verdict from jsonschema-rs, and an explanation from jsonschema where it fails.

Two rules are stricter than JSON Schema. `integer` excludes 1.0: money is integer cents, and 1.0 is other bytes than 1.
And `x-exprec-refused` in a schema that allows nothing gives the reason why a known key is refused.
"""

from __future__ import annotations

from functools import cache
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
    """One compiled schema."""

    def __init__(self, schema: Schema) -> None:
        """Compile a schema. Nothing is fetched, and no pattern can hang.

        Patterns are matched in a time that grows with the text alone; a schema whose patterns look ahead or refer
        back is refused. Raises ValueError for an invalid schema.
        """
        self._schema = schema
        try:
            self._verdict = jsonschema_rs.validator_for(
                _with_exact_integers(schema),
                offline=True,
                registry=_exact_types(),
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except TypeError as error:
            # Before 0.52 nothing could be forbidden to fetch, and some verdicts on nested references were wrong.
            from exprec.recorder.requirements import unmet_dependency

            raise unmet_dependency("jsonschema-rs") from error

    def is_valid(self, value: Any) -> bool:
        """The verdict alone. `value` must consist of JSON types."""
        return self._verdict.is_valid(value)

    def problems(self, value: Any) -> list[Problem]:
        """Everything wrong with a value, in the order of the document; empty when it is valid."""
        return [] if self.is_valid(value) else self._explain(value)

    def find_excess(self, value: Any) -> Problem | None:
        """Return why a value is invalid without being checked, because that costs too much; None for any other."""
        return None

    def _explain(self, value: Any) -> list[Problem]:
        # Imported here because jsonschema takes longer to import than a short command runs.
        from exprec.recorder.schema.messages import explain

        try:
            problems = explain(self._schema, value)
        except RecursionError:
            return [Problem((), "is not valid, and is nested too deeply to say why")]
        return problems or [Problem((), "is not valid by its schema")]


@cache
def load_validator(name: str) -> Validator:
    """The validator of a schema of this package, such as `run.v1`. Raises KeyError for an unknown name."""
    return Validator(schemas.load(name))


def find_problems(value: Any, name: str) -> list[Problem]:
    """Everything wrong with a value by a schema of this package; empty when it is valid."""
    return load_validator(name).problems(value)


def resolve_reference(reference: str, schema: Schema) -> Any:
    """The target of a `$ref` such as `#/$defs/node` in a schema; None if it has no target within the schema."""
    if not reference.startswith("#/"):
        return None
    target: Any = schema
    for step in unquote(reference[2:]).split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list):
            target = target[int(key)] if key.isdecimal() and int(key) < len(target) else None
        else:
            target = target.get(key) if isinstance(target, dict) else None
    return target


@cache
def _exact_types() -> jsonschema_rs.Registry:
    """A schema for each set of types that includes `integer` and not `number`.

    Draft 4 is the last one in which 1.0 is not an integer, and a schema may refer to one of another draft. A custom
    keyword could exclude it too, but the engine would call Python for every integer: three times the time.
    """
    type_sets = [list(types) for count in range(1, 7) for types in combinations(_EXACT, count)]
    uris = {_exact_type_uri(types): types for types in type_sets}
    return jsonschema_rs.Registry(
        [(uri, {"$schema": _DRAFT_4, "type": types}) for uri, types in uris.items() if uri is not None]
    )


def _with_exact_integers(part: Any, *, is_map: bool = False) -> Any:
    """A schema, or a mapping of names to schemas, in which each type with `integer` is one of `_exact_types`."""
    if isinstance(part, list):
        return [_with_exact_integers(each) for each in part]
    if not isinstance(part, dict):
        return part
    if is_map:
        return {name: _with_exact_integers(each) for name, each in part.items()}
    exact = {
        key: each if key in _NO_SCHEMAS else _with_exact_integers(each, is_map=key in _MAPS_OF_SCHEMAS)
        for key, each in part.items()
    }
    types, all_of = part.get("type"), exact.get("allOf", [])
    uri = _exact_type_uri([types] if isinstance(types, str) else types)
    if uri is not None and isinstance(all_of, list):
        del exact["type"]
        exact["allOf"] = [*all_of, {"$ref": uri}]
    return exact


def _exact_type_uri(types: Any) -> str | None:
    """The URI of the schema for a list of types; None for one without `integer`, with `number`, or invalid."""
    if not isinstance(types, list) or "integer" not in types or len({*map(str, types)}) < len(types):
        return None
    return f"exprec:type:{'-'.join(sorted(types))}" if all(each in _EXACT for each in types) else None
