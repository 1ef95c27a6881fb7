"""Differences between policies: node by node, and for how many iterations they last.

Of a tree it knows that a node is an object with a `type` or an `op`; what policies mean is not told here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exprec.recorder.diff.collector import Kept, weight
from exprec.recorder.diff.json_values import Difference, differences
from exprec.recorder.diff.result import Listed, PolicyChange

_NODE_KINDS = ("type", "op")


def policy_differences(old: Any, new: Any) -> list[Difference]:
    """The differences of two policies, each at its deepest place; a node of another kind differs as a whole."""
    return differences(old, new, are_others=_are_other_nodes)


def parameter_of(difference: Difference) -> str | None:
    """The name of the parameter that differs, if it is one."""
    path = difference.path
    return str(path[1]) if len(path) == 2 and path[0] == "parameters" else None


def _are_other_nodes(old: Any, new: Any) -> bool:
    return any(key in old and key in new and old[key] != new[key] for key in _NODE_KINDS)


@dataclass(slots=True)
class _Span:
    agent: str
    difference: Difference
    first: int
    last: int


class PolicyChanges:
    """The differences of policies in force, each with the consecutive iterations in which it is there."""

    def __init__(self, limit: int) -> None:
        self._spans: Kept[_Span] = Kept(limit)
        self._open: dict[str, _Span] = {}
        self._iteration = 0

    def add(self, iteration: int, agent: str, difference: Difference) -> None:
        """Note a difference; iterations must not go down."""
        if iteration != self._iteration:
            self._open = {name: span for name, span in self._open.items() if span.last >= iteration - 1}
            self._iteration = iteration
        # Python calls 1 and 1.0 equal, but writes them differently.
        name = repr((agent, difference))
        span = self._open.get(name)
        if span is not None:
            span.last = iteration
            return
        span = self._open[name] = _Span(agent, difference, iteration, iteration)
        self._spans.add(span, weight(difference))

    def listed(self) -> Listed[PolicyChange]:
        spans = self._spans.items
        changes = (PolicyChange(span.agent, span.difference, span.first, span.last) for span in spans)
        return Listed(tuple(changes), self._spans.count)
