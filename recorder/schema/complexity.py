"""Bounds on the cost of evaluating a schema: how often its references lead to the same subschema."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import mul
from typing import Any, NamedTuple

from exprec.recorder.errors import Problem
from exprec.recorder.schema.engine import resolve_reference

MAX_PER_VALUE = 1000
"""Maximum evaluations of one subschema for one value. A schema with hundreds of alternatives needs far fewer."""
MAX_PER_INNER_VALUE = 100_000
"""Maximum evaluations of one subschema for one value inside a value: a tree of ten alternatives, five levels deep."""
MAX_EVALUATIONS = 100_000_000
"""Maximum evaluations of all subschemas for all values inside a value: half a second at 5 ns each."""
MIN_DEPTH = 3
"""A schema that cannot be evaluated for values nested this deeply is refused."""
_MAX_COUNTS = 1_000_000
"""Maximum numbers that the analysis of a schema keeps."""
_MAX_STEPS = 10_000_000
"""Maximum steps of the analysis over all levels: a second or two."""
_MAX_LEVELS = 256
"""Levels that are analysed: no value that exprec writes is nested more deeply."""

_HERE = ("not", "if", "then", "else")
_EACH_HERE = ("allOf", "anyOf", "oneOf")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_IN_OBJECTS = ("additionalProperties", "propertyNames", "unevaluatedProperties")
_IN_LISTS = ("items", "additionalItems", "contains", "unevaluatedItems")

_ENDLESS = "refers to itself for the same value, without end"
_TOO_OFTEN = f"is too complex: nested references evaluate a subschema more than {MAX_PER_VALUE} times for one value"
_TOO_SOON = (
    f"is too complex: nested references evaluate a subschema more than {MAX_PER_INNER_VALUE} times for a value inside "
    "one that is nested {} deep"
)
# Failed runs record the messages with this end, so that another wording would change run ids.
_MULTIPLY = "references within references multiply on each level"
_TOO_MUCH = "is too complex: it has too many nested references to be analysed"


_Counts = dict[int, int]
"""The number of evaluations of each subschema, by its identity."""


class TooComplex(ValueError):
    """The cost of evaluating a schema has no acceptable bound; the message continues "the schema ..."."""


class ComplexityBound(NamedTuple):
    """An upper bound on the evaluations that a schema costs, by the nesting of the value."""

    evaluations: tuple[int, ...]
    """Of all subschemas for one value on each level: the whole value, the values in it, those in these ..."""
    max_depth: int | None
    """The levels that a value may have below it; None for any number, where the last entry holds for all others."""
    is_constant: bool
    """Whether no nesting of a value makes a subschema cost more than MAX_PER_VALUE: values need no check then."""

    def evaluations_for(self, value: Any) -> int:
        """The upper bound for a value and everything in it."""
        return self._total(_values_per_level(value))

    def find_excess(self, value: Any) -> Problem | None:
        """Why a value costs more than is accepted; None for one that does not."""
        counts = _values_per_level(value)
        depth = len(counts) - 1
        if self.max_depth is not None and depth > self.max_depth:
            fields = [name for name, each in _items(value) if len(_values_per_level(each)) == depth]
            message = f"is nested {_levels(depth)} deep, and its schema can be asked about {self.max_depth}"
            return Problem(tuple(fields[:1]), f"{message}: {_MULTIPLY}", fields[0] if fields else "")
        total = self._total(counts)
        if total > MAX_EVALUATIONS:
            message = f"has too many values on {_levels(depth)}, about which its schema asks up to {total:,} times"
            return Problem((), f"{message} ({MAX_EVALUATIONS:,} is the limit): {_MULTIPLY}")
        return None

    def _total(self, counts: list[int]) -> int:
        return sum(map(mul, counts, chain(self.evaluations, repeat(max(self.evaluations)))))


class _Inner(NamedTuple):
    """A subschema that is evaluated for values inside the current one."""

    is_item: bool
    """Whether these are items of a list; else they are fields of an object."""
    position: str | None
    """The name of the field or the index of the item; None for any."""
    subschema: int


@dataclass(slots=True)
class _Node:
    """A subschema and the subschemas that it leads to."""

    same_value: list[int] = field(default_factory=list)
    """Evaluated for the same value."""
    inner_values: list[_Inner] = field(default_factory=list)
    factor: int = 1
    """How often each of `same_value` is evaluated."""


def bound_complexity(schema: Any) -> ComplexityBound:
    """The bound on the evaluations of a schema.

    With references, a few lines can evaluate a subschema a number of times that doubles with each line, or with each
    level of a value. Raises TooComplex where there are too many for values of any useful depth.
    """
    graph = _Graph(schema)
    counts = graph.expand({id(schema): 1})
    # Once the counts repeat, with any period (found by Brent's algorithm), all further levels cost the same.
    reference, next_reference = counts, 1
    highest, totals = _highest(counts), [sum(counts.values())]
    for level in range(1, _MAX_LEVELS):
        counts, total = graph.descend(counts)
        if counts == reference:
            totals.append(total)
            break
        if _highest(counts) > MAX_PER_INNER_VALUE:
            if level <= MIN_DEPTH:
                raise TooComplex(_TOO_SOON.format(_levels(level)))
            return ComplexityBound(tuple(totals), level - 1, is_constant=False)
        highest = max(highest, _highest(counts))
        totals.append(total)
        if level == next_reference:
            reference, next_reference = counts, 2 * next_reference
    return ComplexityBound(tuple(totals), None, is_constant=highest <= MAX_PER_VALUE)


class _Graph:
    """All subschemas that can be evaluated, by their identity."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._anchors = dict(_find_anchors(schema))
        self._nodes: dict[int, _Node] = {}
        self._steps = 0
        pending = [schema]
        while pending:
            subschema = pending.pop()
            if isinstance(subschema, dict) and id(subschema) not in self._nodes:
                pending += self._add_node(subschema)
        self._closures = self._close()

    def expand(self, counts: _Counts) -> _Counts:
        """The evaluations of each subschema for one value, given those of the subschemas it is first subject to."""
        expanded: _Counts = {}
        for subschema, count in counts.items():
            for other, factor in self._closures[subschema].items():
                expanded[other] = expanded.get(other, 0) + count * factor
            self._steps += len(self._closures[subschema])
        if self._steps > _MAX_STEPS:
            raise TooComplex(_TOO_MUCH)
        return expanded

    def descend(self, counts: _Counts) -> tuple[_Counts, int]:
        """The most evaluations of each subschema for one value inside the current one, and of all of them together."""
        by_position: dict[tuple[bool, str | None], _Counts] = defaultdict(dict)
        for subschema, count in counts.items():
            for is_item, position, inner in self._nodes[subschema].inner_values:
                inner_counts = by_position[is_item, position]
                inner_counts[inner] = inner_counts.get(inner, 0) + count
        worst: _Counts = {}
        highest_total = 0
        # A value is in a list or in an object, and there at one position. Which of them costs most may differ between
        # subschemas, so that this is never too low.
        for is_item in (False, True):
            named = [part for key, part in by_position.items() if key[0] is is_item and key[1] is not None]
            in_container: _Counts = {}
            total = 0
            for part in map(self.expand, named):
                total = max(total, sum(part.values()))
                _raise_to(in_container, part)
            anywhere = self.expand(by_position.get((is_item, None), {}))
            highest_total = max(highest_total, total + sum(anywhere.values()))
            for subschema, count in anywhere.items():
                in_container[subschema] = in_container.get(subschema, 0) + count
            _raise_to(worst, in_container)
        return worst, highest_total

    def _close(self) -> dict[int, _Counts]:
        """For each subschema the evaluations of all that it leads to for the same value, itself included."""
        closures: dict[int, _Counts] = {}
        size = 0
        for subschema in reversed(self._sort()):
            node = self._nodes[subschema]
            closure = {subschema: 1}
            for other in node.same_value:
                for reached, count in closures[other].items():
                    closure[reached] = closure.get(reached, 0) + node.factor * count
            size += len(closure)
            if size > _MAX_COUNTS:
                raise TooComplex(_TOO_MUCH)
            if _highest(closure) > MAX_PER_VALUE:
                raise TooComplex(_TOO_OFTEN)
            closures[subschema] = closure
        return closures

    def _sort(self) -> list[int]:
        """The subschemas in topological order: each before those that it leads to for the same value."""
        references = Counter(other for node in self._nodes.values() for other in node.same_value)
        order = [subschema for subschema in self._nodes if not references[subschema]]
        for subschema in order:
            for other in self._nodes[subschema].same_value:
                references[other] -= 1
                if not references[other]:
                    order.append(other)
        if len(order) < len(self._nodes):
            raise TooComplex(_ENDLESS)
        return order

    def _add_node(self, schema: dict[str, Any]) -> Iterator[Any]:
        """Add a subschema; returns those that it leads to."""
        if schema is not self._schema and isinstance(schema.get("$id"), str):
            raise TooComplex("has an $id within it, which changes what references mean")
        same = [schema.get(keyword) for keyword in _HERE]
        same += [each for keyword in _EACH_HERE for each in _list(schema.get(keyword))]
        same += [each for keyword in ("dependentSchemas", "dependencies") for _, each in _items(schema.get(keyword))]
        same += [self._resolve(schema.get(keyword)) for keyword in _REFERENCES]
        inner: list[tuple[bool, str | None, Any]] = [(False, None, schema.get(keyword)) for keyword in _IN_OBJECTS]
        inner += [(False, None, each) for _, each in _items(schema.get("patternProperties"))]
        inner += [(False, name, each) for name, each in _items(schema.get("properties"))]
        inner += [(True, None, schema.get(keyword)) for keyword in _IN_LISTS]
        for keyword in ("prefixItems", "items"):
            inner += [(True, str(index), each) for index, each in enumerate(_list(schema.get(keyword)))]
        self._nodes[id(schema)] = _Node(
            [id(each) for each in same if isinstance(each, dict)],
            [_Inner(is_item, name, id(each)) for is_item, name, each in inner if isinstance(each, dict)],
            # To find unevaluated properties or items, an engine may evaluate everything once more.
            factor=2 if any(keyword in schema for keyword in _UNEVALUATED) else 1,
        )
        yield from (*same, *(each for _, _, each in inner))

    def _resolve(self, reference: Any) -> Any:
        """The target of a reference within the schema; None for any other, which the engine refuses or knows."""
        if not isinstance(reference, str):
            return None
        document, _, fragment = reference.partition("#")
        if document and document != self._schema.get("$id"):
            return None
        if not fragment:
            return self._schema
        return self._anchors.get(fragment) or resolve_reference(f"#{fragment}", self._schema)


def _find_anchors(schema: Any) -> Iterator[tuple[str, Any]]:
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield from ((part[key], part) for key in ("$anchor", "$dynamicAnchor") if isinstance(part.get(key), str))
        pending += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _values_per_level(value: Any) -> list[int]:
    """The number of values on each level of a value; the first level is the value itself."""
    counts, values = [], [value]
    while values:
        counts.append(len(values))
        inner: list[Any] = []
        for each in values:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        values = inner
    return counts


def _levels(count: int) -> str:
    return f"{count} level{'s' if count != 1 else ''}"


def _highest(counts: _Counts) -> int:
    return max(counts.values(), default=0)


def _raise_to(worst: _Counts, counts: _Counts) -> None:
    for subschema, count in counts.items():
        worst[subschema] = max(worst.get(subschema, 0), count)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
