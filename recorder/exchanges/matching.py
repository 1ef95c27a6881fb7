"""Matching of requests with recorded exchanges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from exprec.recorder.exchanges.exchange import Exchange, request_fields


class RecordedExchanges:
    """The exchanges of a recorded run, each of which answers one request."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._unused = {exchange["index"]: exchange for exchange in exchanges}

    def __len__(self) -> int:
        """The number of exchanges that have not been taken."""
        return len(self._unused)

    def take(self, request: Mapping[str, Any]) -> Exchange | None:
        """Return the first exchange of this request that is not taken yet, or None."""
        for index, exchange in self._unused.items():
            if request_fields(exchange) == request:
                return self._unused.pop(index)
        return None

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

        return min(self._unused.values(), key=distance, default=None)
