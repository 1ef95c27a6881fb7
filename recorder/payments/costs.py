"""What liquidity, delay and lateness cost, in whole cents.

Rates are held as scaled integers, as the reference engine (SimCash, MIT) does, so that every cost is
exact integer arithmetic rounded half up once. Whom a cost is charged to, and when, is the engine's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exprec.recorder.payments.rng import round_half_away

Penalty = Callable[[int], int]
"""The penalty for a payment, in cents, from its amount in cents."""

_PRIORITIES = range(11)
_WHOLE = 1000
_BASIS_POINTS = 10_000


class CostRates:
    """The cost rates of a scenario.

    `on_time` and `late` hold, for each priority, the factor by which a waiting payment's amount counts in
    the delay cost, in thousandths.
    """

    __slots__ = (
        "_delay",
        "_opportunity",
        "_overdraft",
        "deadline_penalty",
        "delay_per_cent",
        "end_of_day_penalty",
        "late",
        "on_time",
        "overdraft_bps",
        "split_friction",
    )

    def __init__(self, rates: Mapping[str, Any], multipliers: Mapping[str, float]) -> None:
        """`rates` are valid `cost_rates` with every default filled in, `multipliers` those of priorities."""
        self.delay_per_cent = float(rates["delay_cost_per_tick_per_cent"])
        self.overdraft_bps = float(rates["overdraft_bps_per_tick"])
        self.split_friction: int = rates["split_friction_cost"]
        self.deadline_penalty = _penalty(rates["deadline_penalty"])
        self.end_of_day_penalty = _penalty(rates.get("eod_penalty", rates["eod_penalty_per_transaction"]))
        self._delay = round_half_away(self.delay_per_cent * 1e6)
        self._overdraft = round_half_away(self.overdraft_bps * 1e3)
        self._opportunity = round_half_away(float(rates["liquidity_cost_per_tick_bps"]) * 1e6)
        overdue = round_half_away(float(rates["overdue_delay_multiplier"]) * _WHOLE)
        by_priority = [round_half_away(float(multipliers[_band(priority)]) * _WHOLE) for priority in _PRIORITIES]
        self.on_time = tuple(by_priority)
        self.late = tuple(overdue * factor // _WHOLE for factor in by_priority)

    def delay(self, weight: int) -> int:
        """The delay cost of a tick; `weight` is the sum of the waiting amounts times their factors."""
        return (weight * self._delay + 500_000_000) // 10**9

    def overdraft(self, balance: int) -> int:
        """The cost of a negative balance in a tick."""
        return (max(-balance, 0) * self._overdraft + 5_000_000) // 10**7

    def opportunity(self, allocated: int) -> int:
        """The cost of allocated liquidity in a tick, whatever became of it."""
        return (allocated * self._opportunity + 5 * 10**9) // 10**10

    def overdraft_of(self, amount: int) -> float:
        """What an overdraft of this amount costs in a tick, unrounded, as policies see it."""
        return self.overdraft_bps / _BASIS_POINTS * amount


def _penalty(given: int | Mapping[str, Any]) -> Penalty:
    if isinstance(given, int):
        return lambda _: given
    if given["mode"] == "fixed":
        fixed: int = given["amount"]
        return lambda _: fixed
    # Truncated, unlike all other rates.
    rate = int(float(given["bps_per_event"]) * 1e6)
    return lambda amount: amount * rate // 10**10


def _band(priority: int) -> str:
    if priority >= 8:
        return "urgent_multiplier"
    return "normal_multiplier" if priority >= 4 else "low_multiplier"
