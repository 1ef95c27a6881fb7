"""The validator of a schema that anybody may have written, which hands the engine no value that may take it for ever.

It counts nothing itself; see `expansion`.
"""

from __future__ import annotations

from typing import Any

from exprec.recorder.errors import Problem
from exprec.recorder.schema.complexity import Growth
from exprec.recorder.schema.engine import DeclaredValidator, Schema, Validator

MOST_EXPLAINED = 10_000
"""Where a schema asks its parts more often, the engine gives no words: it keeps an error for each time, of 4 kB."""
_NO_WORDS = "is not valid by its schema, which has too many alternatives within each other to say why"


class BoundedValidator(DeclaredValidator):
    """A schema that asks the more the deeper a value is nested."""

    def __init__(self, schema: Schema, growth: Growth) -> None:
        """Raises ValueError when `schema` is not a valid JSON Schema."""
        super().__init__(schema)
        self._growth = growth

    def is_valid(self, value: Any) -> bool:
        """Return whether a value is valid and within the complexity bound."""
        return self.refusal(value) is None and super().is_valid(value)

    def refusal(self, value: Any) -> Problem | None:
        """Why the value is refused without asking the engine; None for any other."""
        return self._growth.refusal(value)

    def problems(self, value: Any) -> list[Problem]:
        """Return the problems of a value; empty if it is valid."""
        refusal = self.refusal(value)
        if refusal is not None:
            return [refusal]
        if self._growth.times(value) <= MOST_EXPLAINED:
            return super().problems(value)
        return [] if self.is_valid(value) else [self._unexplained(value)]

    def _unexplained(self, value: Any) -> Problem:
        """That a value is not valid, at the one of its fields that is not, if it shows by itself."""
        fields = Validator({key: part for key, part in self._schema.items() if key != "required"})
        if isinstance(value, dict) and fields.is_valid({}):
            for name, each in value.items():
                if not fields.is_valid({name: each}):
                    return Problem((name,), _NO_WORDS, name)
        return Problem((), _NO_WORDS)


def declared_validator(schema: Schema, growth: Growth | None) -> DeclaredValidator:
    """The validator of a schema, given what `growth_of` says of it. Raises ValueError when it is not a valid one."""
    return DeclaredValidator(schema) if growth is None else BoundedValidator(schema, growth)
