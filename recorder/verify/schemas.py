"""The schemas that the records of a run must match: those that it embeds, or those of this package.

Embedded schemas may be hostile: no reference is fetched, and their failures are not explained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from exprec import schemas
from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Problem
from exprec.recorder.events import EVENT_SPECS, common
from exprec.recorder.exchanges import EXCHANGE_SCHEMA
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.schema import Validator, compile_untrusted, load_validator
from exprec.recorder.verify.documents import JsonDocument, read_run_document
from exprec.recorder.verify.files import RunFiles
from exprec.recorder.verify.messages import RESTORE, value_problem, with_advice

EXCHANGE = "exchange"

_SCHEMA_NAME = re.compile(r"(?:event(?:\.(?P<type>.+))?|exchange)\.v(?P<version>[1-9][0-9]{0,8})", re.DOTALL)
_DIFFERS = "differs from the released schema of that name, which never changes"
_ANY_EVENT = (True, "")
"""The key of the schema for events of types that are not declared."""


class Schema(NamedTuple):
    """A schema of records; `is_known` if it is one of this package."""

    name: str
    validator: Validator
    is_known: bool

    def is_valid(self, value: Any) -> bool:
        """Return whether a value is valid; False too if the engine gives no verdict."""
        try:
            return self.validator.is_valid(value)
        except Exception:
            # The engine raises an exception of its own for values that are nested too deeply.
            return False


class EmbeddedSchemas:
    """The schemas of one run."""

    def __init__(self, *, is_expected: bool, document: JsonDocument | None = None) -> None:
        """`is_expected` is whether the run must embed schemas; otherwise those of this package apply."""
        self.document = document
        """schemas.json, None if it could not be read."""
        self._is_expected = is_expected
        self._embedded: dict[str, Any] | None = None
        self._newest: dict[tuple[bool, str], tuple[int, str]] = {}
        """Version and name of the newest embedded schema, by whether it is of events, and their type."""
        self._usable: dict[str, Schema | None] = {}
        self._by_type: dict[tuple[bool, str], Schema | None] = {}
        """What `schema` returned so far."""
        self._is_missing: set[tuple[bool, str]] = set()

    def embed(self, value: Any) -> list[Problem]:
        """Take the value of schemas.json, and return what is wrong with it."""
        if not isinstance(value, dict):
            return [Problem((), f"must be a JSON object; {RESTORE}")]
        self._embedded = value
        return [with_advice(problem) for name, schema in value.items() for problem in self._add(name, schema)]

    @property
    def has_floats(self) -> bool:
        """Whether the run says that it has floats that JSON cannot hold."""
        return canonical_json.FLOAT_SCHEMA in (self._embedded or {})

    def _add(self, name: str, schema: Any) -> Iterator[Problem]:
        if name == canonical_json.FLOAT_SCHEMA:
            if not is_released(name, schema):
                yield value_problem((name,), _DIFFERS)
            return
        match = _SCHEMA_NAME.fullmatch(name)
        if match is None:
            yield value_problem((name,), "is not the name of a schema of an event or an exchange")
            return
        key = (False, EXCHANGE) if name.startswith(EXCHANGE) else (True, match["type"] or "")
        self._newest[key] = max(self._newest.get(key, (0, "")), (int(match["version"]), name))
        is_known = name in schemas.names() and is_released(name, schema)
        if name in schemas.names() and not is_known:
            yield value_problem((name,), _DIFFERS)
        try:
            validator = load_validator(name) if is_known else _compile_schema(schema)
            self._usable[name] = Schema(name, validator, is_known)
        except Exception as error:
            # The schema may be anything, and so may be what its compiler raises.
            self._usable[name] = None
            reason = " ".join(str(error).split())[:200]
            yield value_problem((name,), f"is not a usable schema ({reason})")

    def schema(self, kind: str, *, is_event: bool) -> Schema | None:
        """Return the schema of records of a type, or None without a usable one."""
        key = (is_event, kind)
        try:
            return self._by_type[key]
        except KeyError:
            used = self._key_of(key)
            schema = self._usable.get(self._newest[used][1]) if used is not None else self._released(key)
            self._by_type[key] = schema
            return schema

    def report_missing(self, kind: str, line: int, *, is_event: bool) -> list[Problem]:
        """Return the problem of a type without a schema, once for each type: at its first line."""
        key = (is_event, kind)
        if self._embedded is None or key in self._is_missing or self._key_of(key) is not None:
            return []
        self._is_missing.add(key)
        message = f"has no schema for {show_value(kind)}, the type of the record in line {line}; {RESTORE}"
        return [Problem((), message, source=layout.SCHEMAS_FILE)]

    def find_unused(self, *, has_exchanges: bool, has_floats: bool) -> list[Problem]:
        """Return the problems of embedded schemas that match no record; every type has been looked up before."""
        is_unused = self.has_floats and not has_floats
        floats = [value_problem((canonical_json.FLOAT_SCHEMA,), f"is unused: the run has no such number; {RESTORE}")]
        keys = [key for key in self._by_type if key[0]] + ([(False, EXCHANGE)] if has_exchanges else [])
        used = {self._newest[key][1] for key in map(self._key_of, keys) if key is not None}
        return (floats if is_unused else []) + [
            value_problem((name,), f"is unused: the run has no such record; {RESTORE}")
            for name in sorted((self._embedded or {}).keys() - used)
            if _SCHEMA_NAME.fullmatch(name)
        ]

    def _key_of(self, key: tuple[bool, str]) -> tuple[bool, str] | None:
        """Return the key of the embedded schema for a type: its own, or that of events that are not declared."""
        if key in self._newest:
            return key
        return _ANY_EVENT if key[0] and _ANY_EVENT in self._newest and key[1] not in EVENT_SPECS else None

    def _released(self, key: tuple[bool, str]) -> Schema | None:
        """Return the schema of this package, for a run that embeds none yet."""
        is_event, kind = key
        spec = EVENT_SPECS.get(kind)
        name = (spec.schema_name if spec is not None else common.ANY_EVENT_SCHEMA) if is_event else EXCHANGE_SCHEMA
        return None if self._is_expected else released_schema(name)


def read_schemas(files: RunFiles) -> EmbeddedSchemas:
    """Read the schemas that a run embeds."""
    document = read_run_document(layout.SCHEMAS_FILE, files) if files.location.is_sealed else None
    schemas = EmbeddedSchemas(is_expected=files.location.is_sealed, document=document)
    if document is not None:
        files.problems.extend(document.located(schemas.embed(document.value)))
    return schemas


def explain_failure(schema: Schema, value: Any) -> list[Problem]:
    """Return what is wrong with a value, [] if it is valid.

    A schema that this version does not know is never evaluated for an explanation: the problem is one sentence.
    """
    if schema.is_valid(value):
        return []
    refusal = schema.validator.find_excess(value)
    if refusal is not None:
        return [refusal]
    try:
        problems = schema.validator.problems(value) if schema.is_known else []
    except Exception as error:
        # The engine of explanations gives up on deep values too.
        return [Problem((), f"cannot be checked against its schema ({type(error).__name__})")]
    return problems or [Problem((), f"does not match its schema {schema.name}")]


def released_schema(name: str) -> Schema:
    """Return a schema of this package."""
    return Schema(name, load_validator(name), True)


def is_released(name: str, schema: Any) -> bool:
    """Return whether this is the released schema of that name."""
    # By its bytes, because 0, 0.0 and False are equal in Python.
    return canonical_json.is_canonical(canonical_json.encode(schemas.load(name)), schema)


def _compile_schema(schema: Any) -> Validator:
    if not isinstance(schema, dict):
        raise ValueError("a schema must be a JSON object")
    return compile_untrusted(schema)
