"""Validators of schemas from untrusted authors: the cost of every verdict and explanation is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exprec.recorder.errors import Problem
from exprec.recorder.schema.complexity import ComplexityBound, bound_complexity
from exprec.recorder.schema.engine import Schema, Validator

MAX_EXPLAINED = 30_000
"""Maximum evaluations for an explanation, which jsonschema makes in Python: at 20 µs each, under a second."""
# Failed runs record this message, so that another wording would change run ids.
_UNEXPLAINED = "is not valid by its schema, which has too many alternatives within each other to say why"


class UntrustedValidator(Validator):
    """A schema of which every value can be checked."""

    def __init__(self, schema: Schema, bound: ComplexityBound) -> None:
        super().__init__(schema)
        self._bound = bound
        # jsonschema evaluates these together with Python's patterns, which may never end.
        self._is_explainable = not {"patternProperties", "unevaluatedProperties"} <= {*_keywords(schema)}

    def _explain(self, value: Any) -> list[Problem]:
        if self._is_explainable and self._bound.evaluations_for(value) <= MAX_EXPLAINED:
            return super()._explain(value)
        return [self._find_field(value)]

    def _find_field(self, value: Any) -> Problem:
        """The problem of an invalid value, at the one of its fields that is invalid by itself, if there is one."""
        fields = Validator({key: part for key, part in self._schema.items() if key != "required"})
        if isinstance(value, dict) and fields.is_valid({}):
            for name, field in value.items():
                if not fields.is_valid({name: field}):
                    return Problem((name,), _UNEXPLAINED, name)
        return Problem((), _UNEXPLAINED)


class BoundedValidator(UntrustedValidator):
    """A schema that costs more with each level of a value: values that cost too much are invalid."""

    def is_valid(self, value: Any) -> bool:
        """Return the verdict; False, too, for a value that costs too much."""
        return self.find_excess(value) is None and super().is_valid(value)

    def problems(self, value: Any) -> list[Problem]:
        """Return everything wrong with a value; for one that costs too much, that alone."""
        excess = self.find_excess(value)
        return [excess] if excess is not None else super().problems(value)

    def find_excess(self, value: Any) -> Problem | None:
        """Return why a value costs too much; None for one that does not."""
        return self._bound.find_excess(value)


def compile_untrusted(schema: Schema, bound: ComplexityBound | None = None) -> UntrustedValidator:
    """Compile a schema from an untrusted author. Raises ValueError for an invalid or too complex one.

    `bound` is the bound of a schema with the same references, if that is known.
    """
    bound = bound or bound_complexity(schema)
    return UntrustedValidator(schema, bound) if bound.is_constant else BoundedValidator(schema, bound)


def _keywords(schema: Any) -> Iterator[str]:
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield from part
            pending += part.values()
        elif isinstance(part, list):
            pending += part
