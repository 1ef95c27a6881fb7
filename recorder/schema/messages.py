"""Explanations: everything that is wrong with a value by a schema, from the errors of the package jsonschema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from exprec.recorder.diagnostics import did_you_mean, key_name, show_value, unknown_word
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.format import layout
from exprec.recorder.schema.engine import Schema, resolve_reference

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]
"""The check of one keyword: validator, value of the keyword, instance, schema."""

_REFUSED = "x-exprec-refused"
_MOST_PROBLEMS = 1000
"""Problems of one value that are reported: each may list what its schema allows."""
_MOST_LISTS = 100
"""Problems that list what is allowed, and suggest the nearest: that takes a hundred times as long as the rest."""
_MOST_ALLOWED = 200
"""Allowed values that a message lists."""
_DEFAULT: dict[str, Keyword] = dict(Draft202012Validator.VALIDATORS)
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
    """Every problem of a value, each with its path in the value. Empty for a value that is valid by this engine.

    Raises RecursionError for a value whose nesting is too deep for alternatives within each other.
    """
    problems: dict[tuple[KeyPath, str], Problem] = {}
    # A part of the schema with a "$schema" of its own would be checked by another validator than ours.
    root = _Validator({key: part for key, part in schema.items() if key != "$schema"})
    pending: list[tuple[KeyPath, Any, Any]] = [((), root.schema, value)]
    while pending:
        start, part, instance = pending.pop()
        for error in root.evolve(schema=part).iter_errors(instance):
            if len(problems) >= _MOST_PROBLEMS:
                message = f"has more than {_MOST_PROBLEMS} problems; the others are not listed"
                return [*problems.values(), Problem((), message)]
            path: KeyPath = (*start, *error.absolute_path)
            if error.validator == "$ref":
                pending.append((path, resolve_reference(str(error.validator_value), schema), error.instance))
                continue
            for at, message in _error_messages(error, path, lists=len(problems) < _MOST_LISTS):
                problems.setdefault((at, message), Problem(at, message, key_name(at, value)))
    return list(problems.values())


# --- Keywords ----------------------------------------------------------------------------------------------

_is_nested: ContextVar[bool] = ContextVar("_is_nested", default=False)
"""Whether the errors of a part of a schema decide about another part, and are no problems by themselves."""


@contextmanager
def _nested() -> Iterator[None]:
    token = _is_nested.set(True)
    try:
        yield
    finally:
        _is_nested.reset(token)


def _check_reference(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Postpone a `$ref`: its error tells `explain` to follow it.

    jsonschema follows it by recursion, and a tree as deep as a policy may be has no room on Python's stack. Where the
    errors decide about alternatives, this cannot be avoided.
    """
    if _is_nested.get() or not reference.startswith("#/"):
        yield from _DEFAULT["$ref"](validator, reference, instance, schema)
    else:
        yield ValidationError("", validator="$ref", validator_value=reference, instance=instance)


def _decided_at_once(keyword: str) -> Keyword:
    """The check of a keyword for which the errors of the parts below it are not problems by themselves."""

    def check(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        with _nested():
            errors = list(_DEFAULT[keyword](validator, limit, instance, schema))
        yield from errors

    return check


def _check_condition(validator: Any, condition: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    with _nested():
        branch = "then" if validator.evolve(schema=condition).is_valid(instance) else "else"
    if branch in schema:
        yield from validator.descend(instance, schema[branch], schema_path=branch)


def _descend(validator: Any, value: Any, part: Any, key: str) -> Iterator[ValidationError]:
    """Check a field of an object. jsonschema loses the path of one whose schema is `false`."""
    if part is False:
        yield ValidationError("", validator="false", path=[key])
    else:
        yield from validator.descend(value, part, path=key)


def _check_properties(validator: Any, parts: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    for key, part in parts.items() if isinstance(instance, dict) else ():
        if key in instance:
            yield from _descend(validator, instance[key], part, key)


def _check_required(_: Any, names: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    # That of jsonschema names the key in its message only.
    for name in names if isinstance(instance, dict) else ():
        if name not in instance:
            yield ValidationError("", path=[name])


# Patterns are matched by the engine of the verdict, in a time that grows with the text alone; Python's may never end.


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[str], bool]:
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=options).is_valid


def _check_pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matcher(pattern)(instance):
        yield ValidationError("")


def _check_pattern_properties(validator: Any, parts: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    for pattern, part in parts.items() if isinstance(instance, dict) else ():
        for key in filter(_matcher(pattern), instance):
            yield from _descend(validator, instance[key], part, key)


def _check_additional_properties(validator: Any, part: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    named, matchers = schema.get("properties", {}), list(map(_matcher, schema.get("patternProperties", {})))
    for key in instance if isinstance(instance, dict) else ():
        if key in named or any(matches(key) for matches in matchers):
            continue
        if part is False:
            yield ValidationError("", path=[key])
        else:
            yield from validator.descend(instance[key], part, path=key)


_UNIQUE = jsonschema_rs.validator_for({"uniqueItems": True})


def _check_unique_items(_: Any, is_asked: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    # jsonschema compares each item with each other one if they cannot be sorted.
    if is_asked is True and not _UNIQUE.is_valid(instance):
        yield ValidationError("")


_DECIDING = ("anyOf", "oneOf", "not", "contains", "unevaluatedProperties", "unevaluatedItems")

# JSON Schema counts 1.0 as an integer; exprec does not (see `engine`).
_TYPE_CHECKER = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)

_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={
        "$ref": _check_reference,
        "if": _check_condition,
        "properties": _check_properties,
        "required": _check_required,
        "pattern": _check_pattern,
        "patternProperties": _check_pattern_properties,
        "additionalProperties": _check_additional_properties,
        "uniqueItems": _check_unique_items,
        **{keyword: _decided_at_once(keyword) for keyword in _DECIDING},
    },
    type_checker=_TYPE_CHECKER,
)


# --- Messages ----------------------------------------------------------------------------------------------
# Runs record them: as reasons why policies were rejected, and as the failure of a run with an invalid event. Another
# wording would change run ids.


def _error_messages(error: ValidationError, path: KeyPath, *, lists: bool) -> Iterator[tuple[KeyPath, str]]:
    """Yield the path and the message of each problem that an error of jsonschema represents.

    Without `lists` the message does not list what is allowed instead.
    """
    keyword = str(error.validator)
    limit: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    shown = show_value(instance)
    if keyword in ("false", "None"):
        yield path, "may not be here, says the schema"
    elif isinstance(schema, dict) and _REFUSED in schema:
        yield path, f"{shown} is refused: {schema[_REFUSED]}"
    elif keyword == "additionalProperties":
        yield path, unknown_word("key", str(path[-1]), _known_keys(schema)) if lists else "unknown key"
    elif keyword == "unevaluatedProperties":
        # jsonschema names the keys in its message only.
        for key in (key for key in instance if repr(key) in error.message):
            yield (*path, key), unknown_word("key", key, _known_keys(schema)) if lists else "unknown key"
    elif keyword == "required":
        yield path, "this key is required and missing"
    else:
        yield path, _limit_message(keyword, limit, instance, shown, lists=lists)


def _known_keys(schema: Any) -> list[str]:
    """The keys that a schema names and does not refuse, without those that exprec gives every event."""
    named = schema.get("properties", {})
    is_refused = {key: isinstance(part, dict) and _REFUSED in part for key, part in named.items()}
    return sorted(key for key in named if not is_refused[key] and key not in layout.ENVELOPE)


def _list_allowed(values: Sequence[Any]) -> str:
    listed = ", ".join(map(show_value, values[:_MOST_ALLOWED]))
    return f"{listed} and {len(values) - _MOST_ALLOWED} more" if len(values) > _MOST_ALLOWED else listed


def _limit_message(keyword: str, limit: Any, instance: Any, shown: str, *, lists: bool) -> str:
    """The message about a value that breaks one keyword of its schema."""
    if keyword == "type":
        kinds = [limit] if isinstance(limit, str) else limit
        return f"must be {' or '.join(_TYPE_WORDS[kind] for kind in kinds)}, not {shown}"
    if keyword == "enum" and lists:
        return f"must be one of {_list_allowed(limit)}, not {shown}{did_you_mean(instance, limit)}"
    if keyword == "anyOf" and all(isinstance(choice, dict) and set(choice) == {"required"} for choice in limit):
        return f"must have one of the keys {', '.join(key for choice in limit for key in choice['required'])}"
    plural = "" if limit == 1 else "s"
    messages = {
        "const": f"must be {show_value(limit)}, not {shown}",
        "minimum": f"must be at least {limit}, not {shown}",
        "maximum": f"must be at most {limit}, not {shown}",
        "exclusiveMinimum": f"must be more than {limit}, not {shown}",
        "exclusiveMaximum": f"must be less than {limit}, not {shown}",
        "multipleOf": f"must be a multiple of {limit}, not {shown}",
        "minItems": f"must have at least {limit} item{plural}",
        "maxItems": f"must have at most {limit} item{plural}",
        "minLength": "must not be empty" if limit == 1 else f"must have at least {limit} characters",
        "maxLength": f"must have at most {limit} character{plural}",
        "minProperties": f"must have at least {limit} key{plural}",
        "maxProperties": f"must have at most {limit} key{plural}",
        "pattern": f"must match the pattern {limit}, not {shown}",
        "uniqueItems": "must not list the same item twice",
        "anyOf": f"{shown} is none of what its schema allows",
        "oneOf": f"{shown} is none, or more than one, of what its schema allows",
    }
    return messages.get(keyword, f"{shown} is not valid by '{keyword}' of its schema")
