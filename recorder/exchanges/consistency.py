"""What exchanges must have beside the form of their schema: an order of requests, and what a request continues."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from exprec.recorder.exchanges.exchange import Exchange


class Inconsistency(NamedTuple):
    """A field of an exchange that contradicts another one, or an earlier exchange."""

    field: str
    message: str


class ConsistencyChecker:
    """Checks the exchanges of a run, which are valid by `EXCHANGE_SCHEMA`, one by one and in their order."""

    def __init__(self) -> None:
        self._arrivals = array("Q")
        self._next = 0
        """Every lower rank has been seen."""
        self._later: set[int] = set()
        """The ranks that have been seen beyond it."""

    def check(self, exchange: Exchange, exchange_at: Callable[[int], Exchange | None]) -> Iterator[Inconsistency]:
        """Yield what is wrong with the next exchange.

        `exchange_at` returns an earlier one, None for one that is invalid.
        """
        origin = exchange["origin"]
        if origin is not None and (exchange["answer"] is None) == (origin["error"] is None):
            yield Inconsistency("answer", "and origin.error: exactly one of the two must be null")
        if exchange["after"] > exchange["index"]:
            yield Inconsistency("after", f"must be at most {exchange['index']}, the index")
        if not self._add(exchange["arrival"]):
            line = self._arrivals.index(exchange["arrival"]) + 1
            yield Inconsistency("arrival", f"is {exchange['arrival']}, as that of line {line} is")
        self._arrivals.append(exchange["arrival"])
        if exchange["continues"] is not None:
            number = exchange["continues"]["exchange"]
            before = exchange_at(number) if number < exchange["index"] else None
            message = _find_continuation_fault(exchange, before)
            if message is not None:
                yield Inconsistency("continues", message)

    def find_gap(self) -> str | None:
        """Return which rank no exchange has, although there are as many of them; None if each has one."""
        if not self._later:
            return None
        highest = max(self._arrivals)
        line = self._arrivals.index(highest) + 1
        return f"line {line} has the arrival {highest}, but no line has the arrival {self._next}"

    def _add(self, arrival: int) -> bool:
        """Add a rank; returns whether it is new."""
        if arrival < self._next or arrival in self._later:
            return False
        self._later.add(arrival)
        while self._next in self._later:
            self._later.remove(self._next)
            self._next += 1
        return True


def _find_continuation_fault(exchange: Exchange, before: Exchange | None) -> str | None:
    """Return why an exchange cannot continue the request of another one, None if it can."""
    if before is None:
        return f"exchange {exchange['continues']['exchange']} is not an earlier one"
    continues, own, shared = exchange["continues"], _json_object(exchange), _json_object(before)
    if own is None or shared is None:
        return "the requests of both exchanges must be JSON objects"
    earlier = before["continues"] or {"same": [], "first": {}}
    for key in continues["same"]:
        if key in own or (key not in shared and key not in earlier["same"]):
            return f"the member {key!a} must be one of the earlier request alone"
    for key, count in continues["first"].items():
        if not isinstance(own.get(key), list) or not isinstance(shared.get(key), list):
            return f"the member {key!a} must be an array in both requests"
        if count > len(shared[key]) + earlier["first"].get(key, 0):
            return f"the array {key!a} of the earlier request has fewer than {count} elements"
    return None


def _json_object(exchange: Exchange) -> dict[str, Any] | None:
    value = (exchange["request"] or {}).get("json")
    return value if isinstance(value, dict) else None
