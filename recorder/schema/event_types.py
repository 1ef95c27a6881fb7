"""The event types that a run may have: exprec's own, and those that its author declared by a JSON Schema each.

It says which schema an event has to be valid by; when events are checked is the log's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from exprec import schemas
from exprec.recorder.diagnostics import key_name, show_value, unknown_word
from exprec.recorder.errors import InvalidInput, NotEncodable, Problem
from exprec.recorder.events import ENVELOPE, EVENT_SPECS
from exprec.recorder.format import canonical_json
from exprec.recorder.schema.display_template import Template
from exprec.recorder.schema.engine import DeclaredValidator, Schema, Validator, local_target, validator

DISPLAY = "x-exprec-display"
"""The keyword that holds the line by which events of a declared type are shown."""

ANY_EVENT = "event.v1"
"""The schema of an event whose type nobody declared."""

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NO_TYPE = "is no event type: a small letter, then small letters, digits and '_', 64 at most"
_DECLARED = re.compile(rf"event\.(?P<type>{_TYPE.pattern})\.v1")
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_UNEVALUATED = "unevaluatedProperties"
_PATTERNS = "patterns cannot look ahead or behind nor refer back: such can take for ever"
_LONGEST_REASON = 200
_OWN = "is a type of exprec's own; name yours otherwise"
_FILE = re.compile(r"(?P<type>[^.]+)\.schema\.json")
_ENVELOPE: Schema = {
    "seq": {"description": "Position in the log, from 0.", "type": "integer", "minimum": 0},
    "iteration": {"description": "The iteration it belongs to, from 1; 0 for none.", "type": "integer", "minimum": 0},
}


class EventTypes:
    """The types of events that one run takes, each with the name and the content of its schema."""

    def __init__(self, declared: Mapping[str, Schema] | None = None, *, strict: bool | None = True) -> None:
        """`declared` holds a schema of the fields beside the envelope for each type of the author's own.

        Events of undeclared types are refused if `strict`; if it is None, as soon as a type is declared. Else they
        need an envelope and nothing more. Raises InvalidInput for a schema that cannot be used, naming its type.
        """
        self.is_strict = bool(declared) if strict is None else strict
        self._declared: dict[str, tuple[str, Schema, Validator]] = {}
        problems: list[Problem] = []
        for kind, schema in (declared or {}).items():
            try:
                self._declared[kind] = (f"event.{kind}.v1", *_compiled(kind, schema))
            except ValueError as error:
                problems.append(Problem((kind,), f"the schema {error}", str(kind)))
        if problems:
            raise InvalidInput(problems)

    @classmethod
    def in_folder(cls, folder: Path, *, strict: bool | None = True) -> EventTypes:
        """The types declared by the files `<type>.schema.json` of a folder. Raises InvalidInput, naming the file."""
        # Imported here because it reads YAML too, for which a command that only shows a run shall not wait.
        from exprec.recorder.documents.loader import read_document

        paths: dict[str, Path] = {}
        problems: list[Problem] = []
        for path in sorted(folder.glob("*.schema.json")):
            match = _FILE.fullmatch(path.name)
            if match is None:
                message = "must be named <type>.schema.json, after the type of events that it describes"
                problems.append(Problem((), message, source=str(path)))
            elif match["type"] in paths:
                message = f"describes the type {match['type']}, and so does {paths[match['type']].name}; remove one"
                problems.append(Problem((), message, source=str(path)))
            else:
                paths[match["type"]] = path
        if not paths and not problems:
            message = "has no file <type>.schema.json" if folder.is_dir() else "is no folder with files of schemas"
            problems.append(Problem((), message, source=str(folder)))
        if problems:
            raise InvalidInput(problems)
        try:
            return cls({kind: read_document(path).value for kind, path in paths.items()}, strict=strict)
        except InvalidInput as error:
            raise InvalidInput([_located(each, paths) for each in error.problems]) from None

    @classmethod
    def recorded(cls, embedded: Mapping[str, Any], *, strict: bool) -> EventTypes:
        """Return the declared types of a run from its embedded schemas.

        Raises:
            InvalidInput: A schema is unusable; the error names its type.
        """
        declared = {}
        for name, schema in embedded.items():
            match = _DECLARED.fullmatch(name)
            if match is not None and is_declared(name):
                declared[match["type"]] = _without_envelope(schema)
        return cls(declared, strict=strict)

    @property
    def known(self) -> list[str]:
        """The types of events that may come: those that were declared, or else exprec's own."""
        return list(self._declared) or list(EVENT_SPECS)

    @property
    def schemas(self) -> dict[str, Schema]:
        """The schemas of the declared types, by their names."""
        return {name: schema for name, schema, _ in self._declared.values()}

    def check(self, event_type: str) -> tuple[str, Validator] | None:
        """The name of the schema that events of this type have to be valid by, and its validator; None: refused."""
        if event_type in self._declared:
            name, _, compiled = self._declared[event_type]
            return name, compiled
        if event_type in EVENT_SPECS:
            own = EVENT_SPECS[event_type].schema_name
            return own, validator(own)
        return None if self.is_strict or not _TYPE.fullmatch(event_type) else (ANY_EVENT, validator(ANY_EVENT))

    def why_refused(self, event_type: str) -> str:
        """What to say of an event of a type that `check` knows nothing of."""
        if not _TYPE.fullmatch(event_type):
            return f"{show_value(event_type)} {_NO_TYPE}"
        hint = "declare it by a schema, or record with strict=False"
        return f"{unknown_word('event type', event_type, self.known)}; {hint}"

    def schema(self, name: str) -> Schema:
        """The schema of a name that `check` gave."""
        for known, schema, _ in self._declared.values():
            if known == name:
                return schema
        return schemas.load(name)


def is_declared(name: str) -> bool:
    """Whether a schema of this name in a run is that of a declared type, and none of exprec's own."""
    match = _DECLARED.fullmatch(name)
    return match is not None and match["type"] not in EVENT_SPECS


def problems_of_sent(event_type: Any, fields: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of a program's event that do not depend on its schema.

    Reserved are the types that only exprec records, and the names of the envelope.
    """
    if not isinstance(event_type, str):
        return [Problem(("event_type",), f"must be a string, not {show_value(event_type)}", "event_type")]
    if event_type in EVENT_SPECS:
        return [Problem(("event_type",), f"{show_value(event_type)} {_OWN}", "event_type")]
    return problems_of_names(fields)


def problems_of_names(fields: Mapping[str, Any]) -> list[Problem]:
    """The fields that are named like those that exprec gives every event."""
    taken = [name for name in ENVELOPE if name in fields]
    return [Problem((name,), "is a field that exprec gives every event; name yours otherwise", name) for name in taken]


def template_of(schema: Any) -> Template | None:
    """How events of a schema are shown, or None where it does not say so in a way that can be used."""
    text = schema.get(DISPLAY) if isinstance(schema, dict) else None
    try:
        return Template(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _located(problem: Problem, paths: Mapping[str, Path]) -> Problem:
    """The problem with a type, at the file that declares it."""
    if problem.source is not None or not problem.path:
        return problem
    return replace(problem, source=str(paths[str(problem.path[0])]), key="")


def _without_envelope(whole: Any) -> Any:
    """The schema of the fields of a type, from that of its whole events."""
    properties, required = (whole.get(key) if isinstance(whole, dict) else None for key in ("properties", "required"))
    if not isinstance(properties, dict) or not isinstance(required, list):
        return whole
    properties = {name: part for name, part in properties.items() if name not in ENVELOPE}
    required = [name for name in required if name not in ENVELOPE]
    return {**whole, "properties": properties, "required": required}


def _compiled(kind: Any, schema: Any) -> tuple[Schema, Validator]:
    """Return the schema of complete events of a type, from the schema of their fields.

    Raises:
        ValueError: The schema is unusable; the message continues "the schema".
    """
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise ValueError(f"is of {show_value(kind)}, which {_NO_TYPE}")
    if kind in EVENT_SPECS:
        raise ValueError(f"is of {show_value(kind)}, which {_OWN}")
    if not isinstance(schema, dict):
        raise ValueError(f"must be a JSON object, not {show_value(schema)}")
    try:
        fields: Schema = canonical_json.decode(canonical_json.encode(schema))
    except NotEncodable as error:
        raise ValueError(f"cannot be kept: {error}") from None
    _check_references(fields, fields)
    # Imported here because a command that only shows a run compiles no schema.
    from exprec.recorder.schema.bounded import declared_validator
    from exprec.recorder.schema.complexity import Unbounded, growth_of

    try:
        growth = growth_of(fields)
    except Unbounded as error:
        raise ValueError(f"{error}; write it out, or leave it to your program to check") from None
    _check_fields(fields)
    _check_display(fields)
    whole = {
        **fields,
        "type": "object",
        "properties": {**fields.get("properties", {}), **_ENVELOPE, "event_type": {"const": kind}},
        "required": sorted({*fields.get("required", ()), *ENVELOPE}),
    }
    return whole, declared_validator(whole, growth)


def _check_fields(fields: Schema) -> None:
    """That it is a JSON Schema, of an object that has room for the fields that exprec adds."""
    if fields.get("$schema", _DRAFT) not in (_DRAFT, f"{_DRAFT}#"):
        raise ValueError(f"is of {show_value(fields['$schema'])}; exprec knows {_DRAFT} only")
    try:
        DeclaredValidator(fields)
    except ValueError as error:
        place = key_name(tuple(getattr(error, "instance_path", ())))
        reason = " ".join(str(getattr(error, "message", error)).split())[:_LONGEST_REASON]
        hint = f" ({_PATTERNS})" if 'is not a "regex"' in reason else ""
        raise ValueError(f"is no valid JSON Schema: {f'{place}: ' if place else ''}{reason}{hint}") from None
    kinds = fields.get("type", "object")
    if kinds != "object" and "object" not in kinds:
        raise ValueError(f"describes the fields of an event: type must be object, not {show_value(kinds)}")
    for name in ENVELOPE:
        if name in fields.get("properties", {}):
            raise ValueError(f"has the field {name}, which exprec gives every event; leave it out")
    open_top = {key: part for key, part in fields.items() if key not in ("additionalProperties", _UNEVALUATED)}
    closing = next(_closed(open_top, fields, set()), None)
    if closing is not None:
        raise ValueError(
            f"refuses, by {closing}, the fields that exprec gives every event ({', '.join(ENVELOPE)}); name the "
            "fields under properties, and close it with additionalProperties at the top only"
        )


def _closed(part: Any, root: Schema, seen: set[str]) -> Iterator[str]:
    """Return the keywords by which a schema may refuse unnamed fields or a number of fields of the same object."""
    if not isinstance(part, dict):
        return
    for keyword in ("additionalProperties", _UNEVALUATED, "propertyNames"):
        if part.get(keyword, True) not in (True, {}):
            yield keyword
    yield from (keyword for keyword in ("maxProperties", "minProperties") if keyword in part)
    for pattern in part.get("patternProperties", {}):
        if any(map(DeclaredValidator({"pattern": pattern}).is_valid, ENVELOPE)):
            yield f"patternProperties {show_value(pattern)}"
    reference = part.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)
        yield from _closed(local_target(reference, root), root, seen)
    same = [part.get(keyword) for keyword in ("if", "then", "else", "not")]
    for keyword in ("allOf", "anyOf", "oneOf"):
        same += part.get(keyword, [])
    same += part.get("dependentSchemas", {}).values()
    for each in same:
        yield from _closed(each, root, seen)


def _check_display(fields: Schema) -> None:
    text = fields.get(DISPLAY, "")
    if not isinstance(text, str):
        raise ValueError(f"has {DISPLAY}, which must be a string, not {show_value(text)}")
    try:
        named = Template(text).fields
    except ValueError as error:
        raise ValueError(f"has {DISPLAY}, which {error}") from None
    known = [*fields.get("properties", {}), *ENVELOPE]
    is_closed = fields.get("additionalProperties") is False and "patternProperties" not in fields
    for field in (name.partition(".")[0] for name in named):
        if is_closed and field not in known:
            raise ValueError(f"has {DISPLAY}, which names {field}: {unknown_word('field', field, known)}")


def _check_references(part: Any, root: Schema) -> None:
    """That every reference leads to a place in the schema itself."""
    if isinstance(part, list):
        for each in part:
            _check_references(each, root)
    if not isinstance(part, dict):
        return
    for key, each in part.items():
        if key in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(each, str):
            if not isinstance(local_target(each, root), dict | bool):
                raise ValueError(
                    f"has the $ref {show_value(each)}, which leads to no place in it; nothing is ever fetched: copy "
                    "what it stands for under $defs, and write #/$defs/NAME"
                )
        elif key == "$id" and isinstance(each, str) and part is not root:
            raise ValueError(f"has an $id within it, {show_value(each)}; references would start from there: remove it")
        else:
            _check_references(each, root)
