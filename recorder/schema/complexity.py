"""Bounds the cost of validation: how often a schema evaluates one subschema for the same value.

The count follows from the references of the schema alone; values above the bound are refused before validation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import mul
from typing import Any

from exprec.recorder.errors import Problem
from exprec.recorder.schema.engine import local_target

MOST_TIMES = 1000
"""So often may a part be asked about one value by itself: many times what a schema with hundreds of alternatives comes
to."""
MOST_BELOW = 100_000
"""So often may it be asked about one of the values in a value: ten alternatives of a tree, five levels down."""
MOST_IN_ALL = 100_000_000
"""So often may all parts together be asked about all the values in a value: half a second, at 5 ns each."""
LEAST_DEPTH = 3
"""A schema that cannot be asked about values as deep as that is of no use."""
_MOST_COUNTED = 1_000_000
_MOST_FOLLOWED = 10_000_000
"""Of what was counted, on all levels together: a second or two."""
_DEEPEST = 256
"""Values are nested no deeper; see `canonical`."""

_HERE = ("not", "if", "then", "else")
_EACH_HERE = ("allOf", "anyOf", "oneOf")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_IN_OBJECTS = ("additionalProperties", "propertyNames", "unevaluatedProperties")
_IN_LISTS = ("items", "additionalItems", "contains", "unevaluatedItems")

_ENDLESS = "refers to itself without going into the value, which never ends"
_TOO_OFTEN = f"asks a part of it more than {MOST_TIMES} times about one value, by references within references"
_TOO_SOON = (
    f"asks a part of it more than {MOST_BELOW} times about one of the values in a value that is nested {{}} deep, by "
    "references within references"
)
_MULTIPLY = "references within references multiply on each level"
_TOO_MUCH = "has more references within references than can be followed"


_Counts = dict[int, int]
"""How often each part is asked."""


class Unbounded(ValueError):
    """Why nobody can tell how long a schema takes, to be read after "the schema"."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How often a schema whose references multiply asks one of its parts, the more the deeper a value is nested."""

    asked: tuple[int, ...]
    """How often all parts together, at worst about one value on each level: the whole value, those in it, those in
    these."""
    greatest_depth: int | None
    """So many levels a value may have below it; None: any number, and the last ones are as bad as the worst."""

    def times(self, value: Any) -> int:
        """How often at worst all parts are asked about all values in a value."""
        return self._times(_counts(value))

    def refusal(self, value: Any) -> Problem | None:
        """Why nobody can tell how long the schema takes for this value; None for any other."""
        counts = _counts(value)
        depth = len(counts) - 1
        if self.greatest_depth is not None and depth > self.greatest_depth:
            fields = [name for name, each in _mapped(value) if len(_counts(each)) == depth]
            message = f"is nested {_levels(depth)} deep, and its schema can be asked about {self.greatest_depth}"
            return Problem(tuple(fields[:1]), f"{message}: {_MULTIPLY}", fields[0] if fields else "")
        times = self._times(counts)
        if times > MOST_IN_ALL:
            message = f"has too many values on {_levels(depth)}, about which its schema asks up to {times:,} times"
            return Problem((), f"{message} ({MOST_IN_ALL:,} is the limit): {_MULTIPLY}")
        return None

    def _times(self, counts: list[int]) -> int:
        return sum(map(mul, counts, chain(self.asked, repeat(max(self.asked)))))


@dataclass(slots=True)
class _Part:
    """What a part of a schema asks others: about the same value, or about those in it."""

    here: list[int] = field(default_factory=list)
    below: list[tuple[bool, str | None, int]] = field(default_factory=list)
    """Of each whether it is asked about items of a list, and about that of which name or place; None: about any."""
    times: int = 1
    """How often it asks those about the same value."""


def growth_of(schema: Any) -> Growth | None:
    """How often a schema asks one of its parts, if that can be much; None for any other, of which values need no look.

    With references, a few lines may ask one part a number of times that doubles with each of them, or with each level
    of a value. Raises Unbounded where it is too much for a value of any depth.
    """
    parts = _Parts(schema)
    asked = parts.here({id(schema): 1})
    before, until = asked, 1
    most, totals = _most(asked), [sum(asked.values())]
    for level in range(1, _DEEPEST):
        asked, total = parts.below(asked)
        if asked == before:
            # From here on it comes to the same again and again.
            totals.append(total)
            break
        if _most(asked) > MOST_BELOW:
            if level <= LEAST_DEPTH:
                raise Unbounded(_TOO_SOON.format(_levels(level)))
            return Growth(tuple(totals), level - 1)
        most = max(most, _most(asked))
        totals.append(total)
        if level == until:
            before, until = asked, 2 * until
    return Growth(tuple(totals), None) if most > MOST_TIMES else None


class _Parts:
    """All parts of a schema that are ever asked, by their identity."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._anchors = dict(_anchors(schema))
        self._parts: dict[int, _Part] = {}
        self._followed = 0
        pending = [schema]
        while pending:
            part = pending.pop()
            if isinstance(part, dict) and id(part) not in self._parts:
                pending += self._read(part)
        self._closures = self._closed()

    def here(self, counts: _Counts) -> _Counts:
        """How often each part is asked about a value, given how often by those that hold the value."""
        asked: _Counts = {}
        for each, times in counts.items():
            for other, more in self._closures[each].items():
                asked[other] = asked.get(other, 0) + times * more
            self._followed += len(self._closures[each])
        if self._followed > _MOST_FOLLOWED:
            raise Unbounded(_TOO_MUCH)
        return asked

    def below(self, asked: _Counts) -> tuple[_Counts, int]:
        """The most that each part is asked about one of the values in a value, and all of them together."""
        found: dict[tuple[bool, str | None], _Counts] = defaultdict(dict)
        for each, times in asked.items():
            for is_item, name, other in self._parts[each].below:
                counts = found[is_item, name]
                counts[other] = counts.get(other, 0) + times
        worst: _Counts = {}
        most = 0
        # A value stands in a list or in an object, and there at one place. Which is the worst may differ from part to
        # part, so that this is never too low.
        for kind in (False, True):
            in_one: _Counts = {}
            total = 0
            for counts in (counts for (is_item, name), counts in found.items() if is_item == kind and name is not None):
                here = self.here(counts)
                total = max(total, sum(here.values()))
                _raise_to(in_one, here)
            here = self.here(found.get((kind, None), {}))
            most = max(most, total + sum(here.values()))
            for each, times in here.items():
                in_one[each] = in_one.get(each, 0) + times
            _raise_to(worst, in_one)
        return worst, most

    def _closed(self) -> dict[int, _Counts]:
        """How often each part asks others, itself included, about the value that it is asked about."""
        closures: dict[int, _Counts] = {}
        counted = 0
        for each in reversed(self._in_order()):
            part = self._parts[each]
            closure = {each: 1}
            for other in part.here:
                for asked, times in closures[other].items():
                    closure[asked] = closure.get(asked, 0) + part.times * times
            counted += len(closure)
            if counted > _MOST_COUNTED:
                raise Unbounded(_TOO_MUCH)
            if max(closure.values()) > MOST_TIMES:
                raise Unbounded(_TOO_OFTEN)
            closures[each] = closure
        return closures

    def _in_order(self) -> list[int]:
        """Each part before those that it asks about the same value."""
        asked_by = Counter(each for part in self._parts.values() for each in part.here)
        order = [each for each in self._parts if not asked_by[each]]
        for each in order:
            for other in self._parts[each].here:
                asked_by[other] -= 1
                if not asked_by[other]:
                    order.append(other)
        if len(order) < len(self._parts):
            raise Unbounded(_ENDLESS)
        return order

    def _read(self, part: dict[str, Any]) -> Iterator[Any]:
        """Note what a part asks others; gives those."""
        if part is not self._schema and isinstance(part.get("$id"), str):
            raise Unbounded("has an $id within it, from which references would start")
        here = [part.get(keyword) for keyword in _HERE]
        here += [each for keyword in _EACH_HERE for each in _listed(part.get(keyword))]
        here += [each for keyword in ("dependentSchemas", "dependencies") for _, each in _mapped(part.get(keyword))]
        here += [self._target(part.get(keyword)) for keyword in _REFERENCES]
        below: list[tuple[bool, str | None, Any]] = [(False, None, part.get(keyword)) for keyword in _IN_OBJECTS]
        below += [(False, None, each) for _, each in _mapped(part.get("patternProperties"))]
        below += [(False, name, each) for name, each in _mapped(part.get("properties"))]
        below += [(True, None, part.get(keyword)) for keyword in _IN_LISTS]
        below += [(True, str(place), each) for place, each in enumerate(_listed(part.get("prefixItems")))]
        below += [(True, str(place), each) for place, each in enumerate(_listed(part.get("items")))]
        self._parts[id(part)] = _Part(
            [id(each) for each in here if isinstance(each, dict)],
            [(is_item, name, id(each)) for is_item, name, each in below if isinstance(each, dict)],
            # Who asks what nobody has evaluated may evaluate it all once more.
            times=2 if any(keyword in part for keyword in _UNEVALUATED) else 1,
        )
        yield from (*here, *(each for _, _, each in below))

    def _target(self, reference: Any) -> Any:
        """Return the target of a reference within the schema.

        References to other documents are refused by the compiler of the schema, or resolve to exprec's own schemas.
        """
        if not isinstance(reference, str):
            return None
        document, _, place = reference.partition("#")
        if document and document != self._schema.get("$id"):
            return None
        return self._schema if not place else self._anchors.get(place) or local_target(f"#{place}", self._schema)


def _anchors(schema: Any) -> Iterator[tuple[str, Any]]:
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield from ((part[key], part) for key in ("$anchor", "$dynamicAnchor") if isinstance(part.get(key), str))
        pending += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _counts(value: Any) -> list[int]:
    """How many values there are on each level of a value, itself included."""
    found, values = [], [value]
    while values:
        found.append(len(values))
        inner: list[Any] = []
        for each in values:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        values = inner
    return found


def _levels(count: int) -> str:
    return f"{count} level{'s' if count != 1 else ''}"


def _most(asked: _Counts) -> int:
    return max(asked.values(), default=0)


def _raise_to(worst: _Counts, counts: _Counts) -> None:
    for each, times in counts.items():
        worst[each] = max(worst.get(each, 0), times)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapped(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
