"""Matching of requests with recorded exchanges, which are read again when they answer: they may be large."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from exprec.recorder.exchanges.exchange import Exchange, request_fields

_END = -1
"""The index after the last exchange with a hash."""


class ExchangeSource(Protocol):
    """The exchanges of a run in their order, and each by its index: a list, or what reads them from a file."""

    def __iter__(self) -> Iterator[Exchange]:
        """Yield every exchange."""
        ...

    def __getitem__(self, index: int, /) -> Exchange:
        """Return an exchange that was yielded before."""
        ...


class RecordedExchanges:
    """The exchanges of a recorded run, each of which answers one request for a policy; others answer none.

    Only a hash of each request is held in memory.
    """

    def __init__(self, exchanges: ExchangeSource) -> None:
        """Read all exchanges. Raises what reading them raises."""
        self._source = exchanges
        self._unused: dict[int, None] = {}
        self._first: dict[int, int] = {}
        """The first unused exchange with each hash."""
        self._next = array("q")
        """For each exchange the next unused one with the same hash."""
        last: dict[int, int] = {}
        for index, exchange in enumerate(exchanges):
            if exchange["origin"] is None:
                self._next.append(_END)
                continue
            request_hash = _hash(request_fields(exchange))
            self._unused[index] = None
            self._next.append(_END)
            if self._first.setdefault(request_hash, index) != index:
                self._next[last[request_hash]] = index
            last[request_hash] = index

    def __len__(self) -> int:
        """The number of exchanges that have not been taken."""
        return len(self._unused)

    def take(self, request: Mapping[str, Any]) -> Exchange | None:
        """Return the first exchange of this request that is not taken yet, or None."""
        request_hash = _hash(request)
        before, index = _END, self._first.get(request_hash, _END)
        while index != _END:
            exchange = self._source[index]
            # Other requests may have the same hash.
            if request_fields(exchange) == request:
                self._remove(request_hash, before, index)
                return exchange
            before, index = index, self._next[index]
        return None

    def _remove(self, request_hash: int, before: int, index: int) -> None:
        del self._unused[index]
        after = self._next[index]
        if before != _END:
            self._next[before] = after
        elif after != _END:
            self._first[request_hash] = after
        else:
            del self._first[request_hash]

    def find_nearest(
        self, request: Mapping[str, Any], count_differences: Callable[[Mapping[str, Any], Mapping[str, Any]], int]
    ) -> Exchange | None:
        """Return the exchange whose request is most like this one; None if all have been taken.

        An exchange of the same agent comes first, then one of a near iteration, then one of the same attempt, then
        one with few differences.
        """

        def distance(exchange: Exchange) -> tuple[bool, int, bool, int]:
            recorded = request_fields(exchange)
            return (
                recorded["agent_id"] != request["agent_id"],
                abs(recorded["iteration"] - request["iteration"]),
                recorded["attempt"] != request["attempt"],
                count_differences(recorded, request),
            )

        return min((self._source[index] for index in self._unused), key=distance, default=None)


def _hash(value: Any) -> int:
    """Return a hash that equal JSON values share, also 1 and 1.0."""
    if isinstance(value, Mapping):
        return hash(frozenset((key, _hash(part)) for key, part in value.items()))
    if isinstance(value, list | tuple):
        return hash(tuple(map(_hash, value)))
    return hash(value)
