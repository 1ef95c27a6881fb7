"""Differences between policies, and the iterations through which each of them lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exprec.recorder.diff.collector import Collector, difference_size
from exprec.recorder.diff.json_values import Difference, differences
from exprec.recorder.diff.result import PolicyChange, Truncated

_NODE_KINDS = ("type", "op")
"""The keys of a node in the tree of a policy; a node of another kind is another node."""


def policy_differences(old: Any, new: Any) -> list[Difference]:
    """Return the differences between two policies; a node of another kind differs as a whole."""
    return differences(old, new, are_others=_are_other_nodes)


def parameter_name(difference: Difference) -> str | None:
    """Return the name of the policy parameter that differs; None if it is something else."""
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


class PolicyChangeCollector:
    """Differences between the current policies, each with the consecutive iterations in which it is present."""

    def __init__(self, limit: int) -> None:
        self._spans: Collector[_Span] = Collector(limit)
        self._open: dict[str, _Span] = {}
        self._iteration = 0

    def add(self, iteration: int, agent: str, difference: Difference) -> None:
        """Add a difference at the end of an iteration, which must not be lower than the last one."""
        if iteration != self._iteration:
            self._open = {name: span for name, span in self._open.items() if span.last >= iteration - 1}
            self._iteration = iteration
        # Not the values themselves: 1 and 1.0 are equal in Python, and different in JSON.
        name = repr((agent, difference))
        span = self._open.get(name)
        if span is not None:
            span.last = iteration
            return
        span = self._open[name] = _Span(agent, difference, iteration, iteration)
        self._spans.add(span, difference_size(difference))

    def truncated(self) -> Truncated[PolicyChange]:
        """Return what was collected, and the count of all of it."""
        spans = self._spans.items
        changes = (PolicyChange(span.agent, span.difference, span.first, span.last) for span in spans)
        return Truncated(tuple(changes), self._spans.count)
