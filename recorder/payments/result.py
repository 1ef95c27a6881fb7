"""What a simulation comes to: counts, balances and costs.

It computes nothing but totals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class AgentOutcome:
    """One agent's balance at the end and its costs, all in cents.

    `liquidity` is the cost of overdrafts and `opportunity` that of allocated liquidity; `penalty` is for
    passed deadlines and the end of the day; `collateral` is 0, as none is modelled; `total` adds up the costs.
    """

    balance: int
    liquidity: int
    delay: int
    collateral: int
    penalty: int
    split: int
    opportunity: int
    total: int

    def as_dict(self) -> dict[str, int]:
        """The same by name."""
        return {name: getattr(self, name) for name in _COSTS}


# asdict looks the fields up each time and copies every integer; this is asked for in every evaluation.
_COSTS = tuple(field.name for field in fields(AgentOutcome))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a whole run; `agents` by id, in the order of the scenario file.

    `arrivals` counts the payments that arrived, `settled` those of them that settled in full, and `total`
    all payments, the parts of split ones included.
    """

    arrivals: int
    settled: int
    total: int
    agents: Mapping[str, AgentOutcome]

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain JSON types."""
        return {
            "arrivals": self.arrivals,
            "settled": self.settled,
            "total": self.total,
            "agents": {agent: outcome.as_dict() for agent, outcome in self.agents.items()},
        }
