"""Event types that the author of a run declares by a JSON Schema of their fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from exprec.recorder.diagnostics import cut_text, key_name, show_value, unknown_word
from exprec.recorder.errors import NotEncodable
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.schema.display_template import DisplayTemplate
from exprec.recorder.schema.engine import Schema, Validator, resolve_reference

DISPLAY = "x-exprec-display"
"""The keyword with the display template of a declared type."""

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Failed runs record this message, so that another wording would change run ids.
_NOT_A_TYPE = "is no event type: a small letter, then small letters, digits and '_', 64 at most"
_SCHEMA_NAME = re.compile(rf"event\.(?P<type>{_TYPE.pattern})\.v1")
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_UNEVALUATED = "unevaluatedProperties"
_PATTERNS = "patterns with look-around or back-references are not supported: matching them may never end"
_LONGEST_REASON = 200
_NO_SCHEMAS = frozenset(("const", "default", "dependentRequired", "enum", "examples", "required"))
_MAPS_OF_SCHEMAS = frozenset(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"))
_FLOAT: Schema = {
    "type": "object",
    "properties": {"$float": {"enum": ["nan", "inf", "-inf"]}},
    "required": ["$float"],
    "additionalProperties": False,
}
"""What the schema float.v1 says, without its texts."""
_ENVELOPE: Schema = {
    "seq": {"description": "Position in the log, from 0.", "type": "integer", "minimum": 0},
    "iteration": {"description": "The iteration it belongs to, from 1; 0 for none.", "type": "integer", "minimum": 0},
}


def name_problem(event_type: Any) -> str | None:
    """Return what is wrong with the name of an event type, as a message that follows the name; None if it is valid."""
    return None if isinstance(event_type, str) and _TYPE.fullmatch(event_type) else _NOT_A_TYPE


def declared_types_in(embedded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas of declared types among those that a run embeds: by type, that of the fields of its events."""
    matches = ((_SCHEMA_NAME.fullmatch(name), schema) for name, schema in embedded.items())
    return {match["type"]: _without_envelope(schema) for match, schema in matches if match is not None}


def templates_in(embedded: Mapping[str, Any]) -> dict[str, DisplayTemplate]:
    """Return the display templates in the schemas that a run embeds, by event type. Invalid ones are left out."""
    templates = {name: _find_template(schema) for name, schema in declared_types_in(embedded).items()}
    return {name: template for name, template in templates.items() if template is not None}


def _find_template(schema: Any) -> DisplayTemplate | None:
    text = schema.get(DISPLAY) if isinstance(schema, dict) else None
    try:
        return DisplayTemplate(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _without_envelope(schema: Any) -> Any:
    """Return the schema of the fields of a type, given that of its whole events."""
    properties, required = (schema.get(key) if isinstance(schema, dict) else None for key in ("properties", "required"))
    if not isinstance(properties, dict) or not isinstance(required, list):
        return schema
    properties = {name: part for name, part in properties.items() if name not in layout.ENVELOPE}
    required = [name for name in required if name not in layout.ENVELOPE]
    return {**schema, "properties": properties, "required": required}


class DeclaredType(NamedTuple):
    """An event type with the schema of its whole events, compiled."""

    schema_name: str
    schema: Schema
    validator: Validator
    template: DisplayTemplate | None

    @classmethod
    def compile(cls, event_type: str, schema: Any) -> DeclaredType:
        """Compile the schema of the fields of an event type.

        Raises ValueError with what is wrong with the schema; the message continues "the schema ...".
        """
        # Imported here because a command that only shows a run compiles no schema.
        from exprec.recorder.schema.complexity import TooComplex, bound_complexity
        from exprec.recorder.schema.untrusted import compile_untrusted

        fields = _copy_schema(schema)
        _check_references(fields, fields)
        try:
            bound = bound_complexity(fields)
        except TooComplex as error:
            raise ValueError(f"{error}; expand the references, or check such values in your program") from None
        _check_json_schema(fields)
        _check_fields(fields)
        template = _check_template(fields)
        whole = {
            **fields,
            "type": "object",
            "properties": {**fields.get("properties", {}), **_ENVELOPE, "event_type": {"const": event_type}},
            "required": sorted({*fields.get("required", ()), *layout.ENVELOPE}),
        }
        return cls(f"event.{event_type}.v1", whole, compile_untrusted(whole, bound), template)

    def with_floats(self) -> DeclaredType:
        """Return the type with a schema that takes, wherever a number is, a float that JSON cannot hold.

        Other events have the same verdict by both schemas.
        """
        from exprec.recorder.schema.complexity import bound_complexity
        from exprec.recorder.schema.untrusted import compile_untrusted

        wide = _widen(self.schema)
        return self._replace(schema=wide, validator=compile_untrusted(wide, bound_complexity(wide)))


def _widen(part: Any, *, is_map: bool = False) -> Any:
    """Return a schema in which each `"type": "number"` is an `anyOf` of that and of the form of such floats.

    The rest stays in its place, so that references have the same targets. A schema that is widened already is not
    changed: a recorded one is declared again by `exprec rerun`.
    """
    if isinstance(part, list):
        return [_widen(each) for each in part]
    if not isinstance(part, dict):
        return part
    if is_map:
        return {name: _widen(each) for name, each in part.items()}
    wide = {
        key: each if key in _NO_SCHEMAS or _is_choice(key, each) else _widen(each, is_map=key in _MAPS_OF_SCHEMAS)
        for key, each in part.items()
    }
    types = wide.get("type")
    if types == "number" or (isinstance(types, list) and "number" in types):
        del wide["type"]
        choice = [{"type": types}, _FLOAT]
        if "anyOf" in wide:
            wide["allOf"] = [*wide.get("allOf", []), {"anyOf": choice}]
        else:
            wide["anyOf"] = choice
    return wide


def _is_choice(key: str, part: Any) -> bool:
    """Return whether this is an `anyOf` that `_widen` wrote."""
    return key == "anyOf" and isinstance(part, list) and len(part) == 2 and part[1] == _FLOAT


def _copy_schema(schema: Any) -> Schema:
    """Return a copy as it is recorded, so that later changes by its author have no effect."""
    if not isinstance(schema, dict):
        raise ValueError(f"must be a JSON object, not {show_value(schema)}")
    try:
        copy: Schema = canonical_json.decode(canonical_json.encode(schema))
    except NotEncodable as error:
        raise ValueError(f"cannot be recorded: {error}") from None
    return copy


def _check_json_schema(fields: Schema) -> None:
    if fields.get("$schema", _DRAFT) not in (_DRAFT, f"{_DRAFT}#"):
        raise ValueError(f"is written in {show_value(fields['$schema'])}; only {_DRAFT} is supported")
    try:
        Validator(fields)
    except ValueError as error:
        path = key_name(tuple(getattr(error, "instance_path", ())))
        reason = cut_text(" ".join(str(getattr(error, "message", error)).split()), _LONGEST_REASON)
        hint = f" ({_PATTERNS})" if 'is not a "regex"' in reason else ""
        raise ValueError(f"is not a valid JSON Schema: {f'{path}: ' if path else ''}{reason}{hint}") from None


def _check_fields(fields: Schema) -> None:
    """Check that a schema describes an object, with room for the envelope."""
    types = fields.get("type", "object")
    if types != "object" and "object" not in types:
        raise ValueError(f"describes the fields of an event: type must be object, not {show_value(types)}")
    for name in layout.ENVELOPE:
        if name in fields.get("properties", {}):
            raise ValueError(f"has the field {name}, which exprec gives every event; remove it")
    open_top = {key: part for key, part in fields.items() if key not in ("additionalProperties", _UNEVALUATED)}
    closing = next(_find_closing(open_top, fields, set()), None)
    if closing is not None:
        raise ValueError(
            f"forbids, by {closing}, the fields that exprec gives every event ({', '.join(layout.ENVELOPE)}); list "
            "fields in properties, and forbid others by additionalProperties at the top level only"
        )


def _find_closing(part: Any, root: Schema, seen: set[str]) -> Iterator[str]:
    """Yield the keywords by which a schema may forbid fields that it does not name, or a number of fields.

    Schemas that apply to the same object are followed.
    """
    if not isinstance(part, dict):
        return
    for keyword in ("additionalProperties", _UNEVALUATED, "propertyNames"):
        if part.get(keyword, True) not in (True, {}):
            yield keyword
    yield from (keyword for keyword in ("maxProperties", "minProperties") if keyword in part)
    for pattern in part.get("patternProperties", {}):
        if any(map(Validator({"pattern": pattern}).is_valid, layout.ENVELOPE)):
            yield f"patternProperties {show_value(pattern)}"
    reference = part.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)
        yield from _find_closing(resolve_reference(reference, root), root, seen)
    same = [part.get(keyword) for keyword in ("if", "then", "else", "not")]
    for keyword in ("allOf", "anyOf", "oneOf"):
        same += part.get(keyword, [])
    same += part.get("dependentSchemas", {}).values()
    for each in same:
        yield from _find_closing(each, root, seen)


def _check_template(fields: Schema) -> DisplayTemplate | None:
    text = fields.get(DISPLAY)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"has {DISPLAY}, which must be a string, not {show_value(text)}")
    try:
        template = DisplayTemplate(text)
    except ValueError as error:
        raise ValueError(f"has {DISPLAY}, which {error}") from None
    known = [*fields.get("properties", {}), *layout.ENVELOPE]
    is_closed = fields.get("additionalProperties") is False and "patternProperties" not in fields
    for field in (name.partition(".")[0] for name in template.fields):
        if is_closed and field not in known:
            raise ValueError(f"has {DISPLAY}, which names {field}: {unknown_word('field', field, known)}")
    return template


def _check_references(part: Any, root: Schema) -> None:
    """Check that every reference has a target in the schema itself."""
    if isinstance(part, list):
        for each in part:
            _check_references(each, root)
    if not isinstance(part, dict):
        return
    for key, each in part.items():
        if key in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(each, str):
            if not isinstance(resolve_reference(each, root), dict | bool):
                raise ValueError(
                    f"has the $ref {show_value(each)}, which has no target in it; nothing is ever fetched: copy the "
                    "target into $defs, and refer to it as #/$defs/NAME"
                )
        elif key == "$id" and isinstance(each, str) and part is not root:
            raise ValueError(f"has an $id within it, {show_value(each)}, which changes what references mean; remove it")
        else:
            _check_references(each, root)
