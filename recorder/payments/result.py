"""The result of a simulation: counts, balances and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class AgentResult:
    """The final balance and the costs of one agent, all in cents.

    Attributes:
        balance: Balance at the end of the day, after the allocated liquidity was returned; may be negative.
        liquidity: Cost of overdrafts.
        delay: Cost of waiting payments.
        collateral: Always 0: collateral is not modelled.
        penalty: Penalties for missed deadlines and at the end of the day.
        split: Cost of splitting payments.
        opportunity: Cost of allocated liquidity.
        total: Sum of the costs.
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
        """Return the fields by name."""
        return {name: getattr(self, name) for name in _FIELD_NAMES}


# Not `asdict`: it inspects the fields and copies each integer on every call, and every evaluation calls this.
_FIELD_NAMES = tuple(field.name for field in fields(AgentResult))


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """The result of one simulated day.

    Attributes:
        arrivals: Number of payments that arrived.
        settled: Number of those that settled in full.
        total: Number of all payments, parts of split payments included.
        agents: Results by agent id, in the order of the scenario file.
    """

    arrivals: int
    settled: int
    total: int
    agents: Mapping[str, AgentResult]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON types."""
        return {
            "arrivals": self.arrivals,
            "settled": self.settled,
            "total": self.total,
            "agents": {agent: result.as_dict() for agent, result in self.agents.items()},
        }
