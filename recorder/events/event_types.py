"""The event types of one run: exprec's own, and those that its author declared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from exprec import schemas
from exprec.recorder.diagnostics import show_value, unknown_word
from exprec.recorder.errors import InvalidInput, Problem
from exprec.recorder.events.common import ANY_EVENT_SCHEMA
from exprec.recorder.events.registry import EVENT_SPECS
from exprec.recorder.format import layout
from exprec.recorder.schema import (
    DeclaredType,
    DisplayTemplate,
    Schema,
    Validator,
    declared_types_in,
    load_validator,
    name_problem,
    templates_in,
)

# Failed runs record this message and that about reserved fields, so that another wording would change run ids.
_RESERVED = "is a type of exprec's own; name yours otherwise"
_FILE = re.compile(r"(?P<type>[^.]+)\.schema\.json")


class EventTypes:
    """The event types that a run may contain, each with its schema."""

    def __init__(self, declared: Mapping[str, Schema] | None = None, *, strict: bool | None = True) -> None:
        """Compile the declared types.

        Args:
            declared: By event type, the JSON Schema of the fields of its events, without `seq`, `event_type` and
                `iteration`.
            strict: Whether events of undeclared types are refused; None for "if a type is declared". Otherwise such
                events may have any fields.

        Raises:
            InvalidInput: A schema cannot be used; the problem names its type.
        """
        self.is_strict = bool(declared) if strict is None else strict
        self._declared: dict[str, DeclaredType] = {}
        self._with_floats: dict[str, DeclaredType] = {}
        """The declared types again, compiled for events with floats that JSON cannot hold."""
        problems: list[Problem] = []
        for event_type, schema in (declared or {}).items():
            try:
                _check_name(event_type)
                self._declared[event_type] = DeclaredType.compile(event_type, schema)
            except ValueError as error:
                problems.append(Problem((event_type,), f"the schema {error}", str(event_type)))
        if problems:
            raise InvalidInput(problems)

    @classmethod
    def in_folder(cls, folder: Path, *, strict: bool | None = True) -> EventTypes:
        """Read the types declared by the files `<type>.schema.json` of a folder.

        Raises:
            InvalidInput: The folder has no such files, or one cannot be used; the problem names the file.
        """
        # Imported here because it reads YAML too, which a command that only shows a run does not need.
        from exprec.recorder.documents import read_document

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
            message = "has no file <type>.schema.json" if folder.is_dir() else "is not a folder with schema files"
            problems.append(Problem((), message, source=str(folder)))
        if problems:
            raise InvalidInput(problems)
        try:
            return cls({name: read_document(path).value for name, path in paths.items()}, strict=strict)
        except InvalidInput as error:
            raise InvalidInput([_locate(each, paths) for each in error.problems]) from None

    @classmethod
    def recorded(cls, embedded: Mapping[str, Any], *, strict: bool) -> EventTypes:
        """Return the types that were declared for a recorded run, given the schemas that it embeds.

        Raises:
            InvalidInput: A schema cannot be used; the problem names its type.
        """
        declared = declared_types_in(embedded)
        return cls({name: each for name, each in declared.items() if name not in EVENT_SPECS}, strict=strict)

    @property
    def known(self) -> list[str]:
        """The declared types; without any, exprec's own."""
        return list(self._declared) or list(EVENT_SPECS)

    @property
    def schemas(self) -> dict[str, Schema]:
        """The schemas of the declared types, by their names."""
        return {each.schema_name: each.schema for each in self._declared.values()}

    @property
    def templates(self) -> dict[str, DisplayTemplate]:
        """The display templates of the declared types that have one, by type."""
        return {name: each.template for name, each in self._declared.items() if each.template is not None}

    def check(self, event_type: str) -> tuple[str, Validator] | None:
        """Return the name of the schema for events of a type, and its validator; None if the type is refused."""
        if event_type in self._declared:
            declared = self._declared[event_type]
            return declared.schema_name, declared.validator
        if event_type in EVENT_SPECS:
            name = EVENT_SPECS[event_type].schema_name
        elif self.is_strict or name_problem(event_type) is not None:
            return None
        else:
            name = ANY_EVENT_SCHEMA
        return name, load_validator(name)

    def float_check(self, event_type: str) -> tuple[str, Validator] | None:
        """Return what `check` returns, for an event with floats that JSON cannot hold."""
        if event_type not in self._declared:
            return self.check(event_type)
        wide = self._wide(event_type)
        return wide.schema_name, wide.validator

    def _wide(self, event_type: str) -> DeclaredType:
        if event_type not in self._with_floats:
            self._with_floats[event_type] = self._declared[event_type].with_floats()
        return self._with_floats[event_type]

    def why_refused(self, event_type: str) -> str:
        """Return the message about an event of a type that `check` refuses."""
        if (problem := name_problem(event_type)) is not None:
            return f"{show_value(event_type)} {problem}"
        hint = "declare it by a schema, or record with strict=False"
        return f"{unknown_word('event type', event_type, self.known)}; {hint}"

    def schema(self, name: str, *, has_floats: bool = False) -> Schema:
        """Return the schema of a name that `check` returned, as a run embeds it.

        `has_floats`: whether the run has floats that JSON cannot hold.
        """
        for event_type, declared in self._declared.items():
            if declared.schema_name == name:
                return self._wide(event_type).schema if has_floats else declared.schema
        return schemas.load(name)

    @staticmethod
    def recorded_templates(embedded: Mapping[str, Any]) -> dict[str, DisplayTemplate]:
        """Return the display templates of the types that were declared for a recorded run, by type."""
        return {name: each for name, each in templates_in(embedded).items() if name not in EVENT_SPECS}

    @staticmethod
    def find_sent_problems(event_type: Any, fields: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with an event that a program sends, apart from its schema: a reserved type or field."""
        if not isinstance(event_type, str):
            return [Problem(("event_type",), f"must be a string, not {show_value(event_type)}", "event_type")]
        if event_type in EVENT_SPECS:
            return [Problem(("event_type",), f"{show_value(event_type)} {_RESERVED}", "event_type")]
        return EventTypes.find_reserved_fields(fields)

    @staticmethod
    def find_reserved_fields(fields: Mapping[str, Any]) -> list[Problem]:
        """Return a problem for each field that has the name of one that exprec gives every event."""
        message = "is a field that exprec gives every event; name yours otherwise"
        return [Problem((name,), message, name) for name in layout.ENVELOPE if name in fields]


def _check_name(event_type: Any) -> None:
    problem = name_problem(event_type) or (_RESERVED if event_type in EVENT_SPECS else None)
    if problem is not None:
        raise ValueError(f"declares {show_value(event_type)}, which {problem}")


def _locate(problem: Problem, paths: Mapping[str, Path]) -> Problem:
    """Return the problem of a declared type as that of the file that declares it."""
    if problem.source is not None or not problem.path:
        return problem
    return replace(problem, source=str(paths[str(problem.path[0])]), key="")
