"""The schemas by which the lines of a run are checked: those that it embeds, or those of this package.

Embedded schemas may have been made to harm: none is fetched from elsewhere, and none is explained in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from exprec import schemas
from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Problem
from exprec.recorder.events import EVENT_SPECS
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.schema import engine
from exprec.recorder.schema.bounded import BoundedValidator, declared_validator
from exprec.recorder.schema.complexity import Unbounded, growth_of
from exprec.recorder.schema.event_types import ANY_EVENT
from exprec.recorder.verify.messages import RESTORE, at

EXCHANGE = "exchange"

_SCHEMA_NAME = re.compile(r"(?:event(?:\.(?P<type>.+))?|exchange)\.v(?P<version>[1-9][0-9]{0,8})", re.DOTALL)
_ANY = (True, "")
"""What stands for the types of events that nobody declared."""


class Schema(NamedTuple):
    """A schema by which records are checked; `is_known` when it is that of this package."""

    name: str
    validator: engine.Validator
    is_known: bool

    def is_valid(self, value: Any) -> bool:
        """The verdict; false too where the schema gives none."""
        try:
            return self.validator.is_valid(value)
        except Exception:
            # The engine gives up on values that are nested too deeply, with an exception of its own.
            return False


class EmbeddedSchemas:
    """The schemas of one run."""

    def __init__(self, *, is_expected: bool) -> None:
        """`is_expected` says whether the run must embed them, else its lines are checked by those of this package."""
        self._is_expected = is_expected
        self._embedded: dict[str, Any] | None = None
        self._newest: dict[tuple[bool, str], tuple[int, str]] = {}
        self._usable: dict[str, Schema | None] = {}
        self._found: dict[tuple[bool, str], Schema | None] = {}

    def embed(self, value: Any) -> Iterator[Problem]:
        """Take the value of schemas.json; tells what is wrong with it."""
        if not isinstance(value, dict):
            yield Problem((), f"must be a JSON object; {RESTORE}")
            return
        self._embedded = value
        for name, schema in value.items():
            match = _SCHEMA_NAME.fullmatch(name)
            if match is None:
                yield at((name,), f"is not the name of a schema of an event or an exchange; {RESTORE}")
                continue
            key = (False, EXCHANGE) if name.startswith(EXCHANGE) else (True, match["type"] or "")
            self._newest[key] = max(self._newest.get(key, (0, "")), (int(match["version"]), name))
            is_known = name in schemas.names() and is_released(name, schema)
            if name in schemas.names() and not is_known:
                yield at((name,), f"is not the schema of that name, which never changes; {RESTORE}")
            try:
                validator = engine.validator(name) if is_known else _compiled(schema)
                self._usable[name] = Schema(name, validator, is_known)
            except Exception as error:
                # Anybody may have written it, and what a compiler of schemas raises is its own affair.
                self._usable[name] = None
                reason = " ".join(str(error).split())[:200]
                yield at((name,), f"is not a schema that can be used ({reason}); {RESTORE}")

    def schema(self, kind: str, *, is_event: bool) -> Schema | None:
        """The schema by which records of a kind are checked, if there is one that can be used."""
        key = (is_event, kind)
        try:
            return self._found[key]
        except KeyError:
            used = self._key_of(key)
            found = self._usable.get(self._newest[used][1]) if used is not None else self._own(key)
            self._found[key] = found
            return found

    def problems_without(self, kind: str, line: int, *, is_event: bool) -> Iterator[Problem]:
        """What to say of a kind that has no schema; each kind once, at the first line that is of it."""
        if self._key_of((is_event, kind)) is None and self._embedded is not None:
            self._newest[is_event, kind] = (0, "")
            shown = show_value(kind)
            message = f"has no schema of {shown}, which line {line} of the records is; {RESTORE}"
            yield Problem((), message, source=layout.SCHEMAS_FILE)

    def unneeded(self, types: Iterable[str], *, has_exchanges: bool) -> Iterator[Problem]:
        """The embedded schemas that no line needs."""
        keys = {(True, kind) for kind in types} | ({(False, EXCHANGE)} if has_exchanges else set())
        needed = {self._newest[used][1] for used in map(self._key_of, keys) if used is not None}
        for name in sorted((self._embedded or {}).keys() - needed):
            if _SCHEMA_NAME.fullmatch(name):
                yield at((name,), f"is needed by no line of the run; {RESTORE}")

    def _key_of(self, key: tuple[bool, str]) -> tuple[bool, str] | None:
        """Under which key the schema of a kind is embedded: its own, or that of events that nobody declared."""
        if key in self._newest:
            return key
        return _ANY if key[0] and _ANY in self._newest and key[1] not in EVENT_SPECS else None

    def _own(self, key: tuple[bool, str]) -> Schema | None:
        """The schema of this package, for a run that embeds none yet."""
        is_event, kind = key
        spec = EVENT_SPECS.get(kind)
        name = (spec.schema_name if spec is not None else ANY_EVENT) if is_event else f"{EXCHANGE}.v1"
        return None if self._is_expected else Schema(name, engine.validator(name), True)


def explained(schema: Schema, value: Any) -> list[Problem]:
    """Return the problems of a value; empty if it is valid.

    For a schema that this version does not know there is one problem, which says if the value is refused unseen.
    """
    if schema.is_valid(value):
        return []
    refusal = schema.validator.refusal(value) if isinstance(schema.validator, BoundedValidator) else None
    if refusal is not None:
        return [refusal]
    try:
        found = schema.validator.problems(value) if schema.is_known else []
    except Exception as error:
        # So does the engine that explains; see `Schema.is_valid`.
        return [Problem((), f"cannot be checked by its schema ({type(error).__name__})")]
    return found or [Problem((), f"is not valid by its schema {schema.name}")]


def released(name: str) -> Schema:
    """A schema of this package."""
    return Schema(name, engine.validator(name), True)


def is_released(name: str, schema: Any) -> bool:
    """Whether this is the schema of that name; by its bytes, because Python holds 0, 0.0 and false for equal."""
    return canonical_json.is_canonical(canonical_json.encode(schemas.load(name)), schema)


def _compiled(schema: Any) -> engine.Validator:
    if not isinstance(schema, dict):
        raise ValueError("a schema must be a JSON object")
    try:
        return declared_validator(schema, growth_of(schema))
    except Unbounded as error:
        raise ValueError(f"it {error}") from None
