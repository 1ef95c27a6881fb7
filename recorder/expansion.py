"""How often a schema asks one of its parts about the same value, from its references alone.

It gives no verdict on values, and says nothing of how long a single question takes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from exprec.recorder.validation import local_target

MOST_TIMES = 1000
"""So often may a part be asked about one value: many times what a schema with hundreds of alternatives comes to."""
_MOST_COUNTED = 1_000_000
_DEEPEST = 256
"""Values are nested no deeper; see `canonical`."""

_HERE = ("not", "if", "then", "else")
_EACH_HERE = ("allOf", "anyOf", "oneOf")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_BELOW = ("additionalProperties", "items", "additionalItems", "contains", "propertyNames", *_UNEVALUATED)

_ENDLESS = "refers to itself without going into the value, which never ends"
_TOO_OFTEN = f"asks a part of it more than {MOST_TIMES} times about one value, by references within references"
_TOO_MUCH = "has more references within references than can be followed"


_Counts = dict[int, int]
"""How often each part is asked."""


class _Unbounded(Exception):
    """Why nobody can tell how long a schema takes."""


@dataclass(slots=True)
class _Part:
    """What a part of a schema asks others: about the same value, about any value in it, or about one of a name."""

    here: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    named: list[tuple[str, int]] = field(default_factory=list)
    times: int = 1
    """How often it asks those about the same value."""


def problem_of_expansion(schema: Any) -> str | None:
    """Why nobody can tell how long this schema takes for a value, to be read after "the schema"; None for any other.

    With references, a few lines may ask one part a number of times that doubles with each of them, or with each level
    of a value.
    """
    try:
        parts = _Parts(schema)
        asked = parts.here({id(schema): 1})
        before, until = asked, 1
        for level in range(1, _DEEPEST):
            asked = parts.below(asked)
            if asked == before:
                # From here on it comes to the same again and again.
                break
            if level == until:
                before, until = asked, 2 * until
    except _Unbounded as error:
        return str(error)
    return None


class _Parts:
    """All parts of a schema that are ever asked, by their identity."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._anchors = dict(_anchors(schema))
        self._parts: dict[int, _Part] = {}
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
        if max(asked.values(), default=0) > MOST_TIMES:
            raise _Unbounded(_TOO_OFTEN)
        return asked

    def below(self, asked: _Counts) -> _Counts:
        """The most that each part is asked about one of the values in a value."""
        named: dict[str, _Counts] = defaultdict(dict)
        any_name: _Counts = {}
        for each, times in asked.items():
            part = self._parts[each]
            for other in part.below:
                any_name[other] = any_name.get(other, 0) + times
            for name, other in part.named:
                named[name][other] = named[name].get(other, 0) + times
        # A value has one name. Which is the worst may differ from part to part, so that this is never too low.
        worst: _Counts = {}
        for counts in named.values():
            for each, times in self.here(counts).items():
                worst[each] = max(worst.get(each, 0), times)
        for each, times in self.here(any_name).items():
            worst[each] = worst.get(each, 0) + times
        return worst

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
                raise _Unbounded(_TOO_MUCH)
            if max(closure.values()) > MOST_TIMES:
                raise _Unbounded(_TOO_OFTEN)
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
            raise _Unbounded(_ENDLESS)
        return order

    def _read(self, part: dict[str, Any]) -> Iterator[Any]:
        """Note what a part asks others; gives those."""
        if part is not self._schema and isinstance(part.get("$id"), str):
            raise _Unbounded("has an $id within it, from which references would start")
        here = [part.get(keyword) for keyword in _HERE]
        here += [each for keyword in _EACH_HERE for each in _listed(part.get(keyword))]
        here += [each for keyword in ("dependentSchemas", "dependencies") for _, each in _mapped(part.get(keyword))]
        here += [self._target(part.get(keyword)) for keyword in _REFERENCES]
        below = [each for keyword in _BELOW for each in (part.get(keyword), *_listed(part.get(keyword)))]
        below += [each for _, each in _mapped(part.get("patternProperties"))]
        named = [*_mapped(part.get("properties"))]
        named += [(str(place), each) for place, each in enumerate(_listed(part.get("prefixItems")))]
        self._parts[id(part)] = _Part(
            [id(each) for each in here if isinstance(each, dict)],
            [id(each) for each in below if isinstance(each, dict)],
            [(name, id(each)) for name, each in named if isinstance(each, dict)],
            # Who asks what nobody has evaluated may evaluate it all once more.
            times=2 if any(keyword in part for keyword in _UNEVALUATED) else 1,
        )
        yield from (*here, *below, *(each for _, each in named))

    def _target(self, reference: Any) -> Any:
        """What a reference within the schema stands for. One that leads elsewhere is refused by whoever compiles it, or
        leads to what exprec gives."""
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


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapped(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
