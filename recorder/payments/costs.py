"""Cost rates: overdraft, delay, opportunity cost of liquidity, penalties. All results are whole cents.

Rates are kept as scaled integers, so that every cost is exact integer arithmetic, rounded half up once per agent and
tick. The scaling factors and the rounding are those of SimCash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exprec.recorder.payments.rng import round_half_away

Penalty = Callable[[int], int]
"""Computes the penalty for a payment in cents from its amount in cents."""

_PRIORITIES = range(11)
_THOUSANDTHS = 1000
_BASIS_POINTS = 10_000


class CostRates:
    """The cost rates of a scenario.

    Attributes:
        delay_per_cent: Delay cost in cents per cent of a waiting payment and tick.
        overdraft_bps: Overdraft rate in basis points per tick.
        split_friction: Cost in cents of every part of a split payment after the first.
        deadline_penalty: Penalty for a payment that becomes overdue.
        end_of_day_penalty: Penalty for an overdue payment that is unsettled at the end of the day.
        on_time: For each priority (0 to 10) the weight of a waiting payment in the delay cost, in thousandths.
        late: The same for an overdue payment.
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
        """Scale the rates.

        Args:
            rates: A valid `cost_rates` mapping in which every default is filled in.
            multipliers: Its `priority_delay_multipliers`, likewise.
        """
        self.delay_per_cent = float(rates["delay_cost_per_tick_per_cent"])
        self.overdraft_bps = float(rates["overdraft_bps_per_tick"])
        self.split_friction: int = rates["split_friction_cost"]
        self.deadline_penalty = _compile_penalty(rates["deadline_penalty"])
        self.end_of_day_penalty = _compile_penalty(rates.get("eod_penalty", rates["eod_penalty_per_transaction"]))
        self._delay = round_half_away(self.delay_per_cent * 1e6)
        self._overdraft = round_half_away(self.overdraft_bps * 1e3)
        self._opportunity = round_half_away(float(rates["liquidity_cost_per_tick_bps"]) * 1e6)
        overdue = round_half_away(float(rates["overdue_delay_multiplier"]) * _THOUSANDTHS)
        factors = [round_half_away(float(multipliers[_priority_band(number)]) * _THOUSANDTHS) for number in _PRIORITIES]
        self.on_time = tuple(factors)
        self.late = tuple(overdue * factor // _THOUSANDTHS for factor in factors)

    def delay(self, weight: int) -> int:
        """Return the delay cost of one tick; `weight` is the sum of the waiting amounts times their weights."""
        return (weight * self._delay + 500_000_000) // 10**9

    def overdraft(self, balance: int) -> int:
        """Return the cost of a negative balance in one tick; 0 for any other balance."""
        return (max(-balance, 0) * self._overdraft + 5_000_000) // 10**7

    def opportunity(self, allocated: int) -> int:
        """Return the cost of allocated liquidity in one tick, whether it is used or not."""
        return (allocated * self._opportunity + 5 * 10**9) // 10**10

    def overdraft_of(self, amount: int) -> float:
        """Return the unrounded cost of an overdraft of `amount` cents in one tick, as the policy fields have it."""
        return self.overdraft_bps / _BASIS_POINTS * amount


def _compile_penalty(config: int | Mapping[str, Any]) -> Penalty:
    if isinstance(config, int):
        return lambda _: config
    if config["mode"] == "fixed":
        fixed: int = config["amount"]
        return lambda _: fixed
    # SimCash truncates this rate; it rounds all others.
    rate = int(float(config["bps_per_event"]) * 1e6)
    return lambda amount: amount * rate // 10**10


def _priority_band(priority: int) -> str:
    """Return the key of the delay multiplier: urgent is 8 to 10, normal 4 to 7, low 0 to 3."""
    if priority >= 8:
        return "urgent_multiplier"
    return "normal_multiplier" if priority >= 4 else "low_multiplier"
