"""The words for what is wrong with a value, from jsonschema's errors.

It gives no verdicts on the hot path: `validation` asks it only about values that already failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from exprec.recorder.diagnostics import did_you_mean, key_name, show_value, unknown_word
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.events import ENVELOPE
from exprec.recorder.schema.engine import Schema, local_target, part_at

# JSON Schema counts 1.0 as an integer; exprec does not (see `validation`).
_strict_types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)


def _put_off(_checker: Any, reference: str, instance: Any, _schema: Schema) -> Iterator[ValidationError]:
    """Instead of following a `$ref`, say that it stands here: `explain` follows it.

    jsonschema follows it by recursion, and a tree as deep as a policy may be has no room on Python's
    stack. Under `not`, `if`, `anyOf` or `oneOf` this would be taken for a failure; no schema has one there.
    """
    yield ValidationError("", validator="$ref", validator_value=reference, instance=instance)


_StrictValidator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, validators={"$ref": _put_off}, type_checker=_strict_types
)

_TYPE_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def explain(schema: Schema, value: Any) -> list[Problem]:
    """Every problem of `value`, each with the path it stands at, in the order of the paths' discovery."""
    found: dict[tuple[KeyPath, str], Problem] = {}
    pending: list[tuple[KeyPath, Any, Any]] = [((), schema, value)]
    while pending:
        place, part, instance = pending.pop()
        for error in _StrictValidator(part).iter_errors(instance):
            path: KeyPath = (*place, *error.absolute_path)
            if error.validator == "$ref":
                pending.append((path, local_target(str(error.validator_value), schema), error.instance))
                continue
            for where, message in _words(error, path):
                problem = Problem(path=where, message=message, key=key_name(where, value))
                found.setdefault((where, message), problem)
    return list(found.values())


def explain_found(errors: Iterable[Any], schema: Schema, value: Any) -> list[Problem]:
    """The same of the errors that jsonschema-rs found with any schema."""
    found: dict[tuple[KeyPath, str], Problem] = {}
    for error in errors:
        path: KeyPath = tuple(error.instance_path)
        for where, message in _words_found(error, path, schema, value):
            found.setdefault((where, message), Problem(where, message, key_name(where, value)))
    return list(found.values())


def _words_found(error: Any, path: KeyPath, schema: Schema, value: Any) -> Iterator[tuple[KeyPath, str]]:
    """The problems that one error of jsonschema-rs stands for. Its own message may hold all of a value."""
    *place, keyword = error.schema_path or [""]
    part, limit, shown = part_at(place, schema), part_at(error.schema_path, schema), show_value(error.instance)
    about = error.kind.as_dict()
    match error.kind.name:
        case "additionalProperties" | "unevaluatedProperties":
            named = part.get("properties", {}) if isinstance(part, dict) else {}
            for key in about["unexpected"]:
                yield (*path, key), unknown_word("key", key, sorted(named.keys() - set(ENVELOPE)))
        case "falseSchema" if keyword == "additionalProperties":
            # The error of a schema that names no field at all does not tell which one there is.
            for key in part_at(path, value):
                yield (*path, key), unknown_word("key", key, [])
        case "falseSchema":
            yield path, "may not be here, says the schema"
        case "required":
            yield (*path, about["property"]), "this key is required and missing"
        case "type":
            # From the error: that of an integer was found in a schema of `validation`, at no place in this one.
            yield path, _type_words(sorted(about["types"], key=[*_TYPE_WORDS].index), shown)
        case "enum":
            yield (
                path,
                f"must be one of {', '.join(map(show_value, limit))}, not {shown}{did_you_mean(error.instance, limit)}",
            )
        case "const":
            yield path, f"must be {show_value(limit)}, not {shown}"
        case _:
            yield path, _bound_words(str(keyword), limit, shown, f"{shown} is not valid by '{keyword}' of its schema")


def _words(error: ValidationError, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """The problems that one error of jsonschema, at a path, stands for: path and message of each."""
    keyword: str = str(error.validator)
    limit: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    shown = show_value(instance)
    if isinstance(schema, dict) and "x-exprec-refused" in schema:
        yield path, f"{shown} is refused: {schema['x-exprec-refused']}"
        return
    match keyword:
        case "additionalProperties" if limit is False:
            named = schema.get("properties", {})
            known = sorted(key for key, sub in named.items() if "x-exprec-refused" not in sub)
            for key in instance:
                if key not in named:
                    yield (*path, key), unknown_word("key", key, known)
        case "required":
            missing = next(key for key in limit if error.message.startswith(f"{key!r} is"))
            yield (*path, missing), "this key is required and missing"
        case "type":
            kinds = [limit] if isinstance(limit, str) else limit
            yield path, _type_words(kinds, shown)
        case "enum":
            yield (
                path,
                f"must be one of {', '.join(map(show_value, limit))}, not {shown}{did_you_mean(instance, limit)}",
            )
        case "anyOf" if all(set(choice) == {"required"} for choice in limit):
            yield path, f"must have one of the keys {', '.join(key for choice in limit for key in choice['required'])}"
        case "const":
            yield path, f"must be {show_value(limit)}, not {shown}"
        case _:
            yield path, _bound_words(keyword, limit, shown, error.message)


def _type_words(kinds: list[str], shown: str) -> str:
    return f"must be {' or '.join(_TYPE_WORDS[kind] for kind in kinds)}, not {shown}"


def _bound_words(keyword: str, limit: Any, shown: str, otherwise: str) -> str:
    words = {
        "minimum": f"must be at least {limit}, not {shown}",
        "maximum": f"must be at most {limit}, not {shown}",
        "exclusiveMinimum": f"must be more than {limit}, not {shown}",
        "exclusiveMaximum": f"must be less than {limit}, not {shown}",
        "minItems": f"must have at least {limit} item{'s' if limit != 1 else ''}",
        "maxItems": f"must have at most {limit} item{'s' if limit != 1 else ''}",
        "minLength": "must not be empty" if limit == 1 else f"must have at least {limit} characters",
        "minProperties": f"must have at least {limit} key{'s' if limit != 1 else ''}",
        "maxLength": f"must have at most {limit} character{'s' if limit != 1 else ''}",
        "maxProperties": f"must have at most {limit} key{'s' if limit != 1 else ''}",
        "multipleOf": f"must be a multiple of {limit}, not {shown}",
        "anyOf": f"{shown} is none of what its schema allows",
        "oneOf": f"{shown} is none, or more than one, of what its schema allows",
        "pattern": f"must match the pattern {limit}, not {shown}",
        "uniqueItems": "must not list the same item twice",
    }
    return words.get(keyword, otherwise)
