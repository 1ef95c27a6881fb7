"""The fields that a policy may read: numbers about a payment, its sender, the system and the cost rates.

Names and values are those of SimCash; the schema `policy.v1` lists the same names, which a test checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from exprec.recorder.payments.costs import CostRates
from exprec.recorder.payments.payment import Payment

_RUSH_STARTS = 0.8


class DecisionContext:
    """The state on which one agent decides in one tick, before any decision of that tick is applied.

    Attributes:
        agent: Id of the agent.
        tick: The current tick, from 0.
        balance: Balance in cents.
        cap: Overdraft limit in cents (`unsecured_cap`).
        queue: The agent's own queue (Q1).
        central_queue: The queue of the settlement system (Q2), payments of all agents.
        rates: The cost rates of the scenario.
        ticks_per_day: Length of the day in ticks.
        agent_count: Number of agents.
    """

    def __init__(
        self,
        agent: str,
        tick: int,
        balance: int,
        cap: int,
        queue: Sequence[Payment],
        central_queue: Sequence[Payment],
        rates: CostRates,
        ticks_per_day: int,
        agent_count: int,
    ) -> None:
        self.agent, self.tick = agent, tick
        self.balance, self.cap = balance, cap
        self.queue, self.central_queue = queue, central_queue
        self.rates, self.ticks_per_day, self.agent_count = rates, ticks_per_day, agent_count

    @property
    def credit_used(self) -> int:
        """The used part of the overdraft limit, in cents."""
        return max(-self.balance, 0)

    @property
    def available(self) -> int:
        """The liquidity that can settle a payment now, in cents."""
        return max(self.balance, 0) + max(self.cap - self.credit_used, 0)

    @property
    def pressure(self) -> float:
        """1 minus the ratio of a positive balance to balance plus cap; 1 if that sum is 0."""
        capacity = self.balance + self.cap
        return 1.0 - max(self.balance, 0) / capacity if capacity else 1.0

    @cached_property
    def queue_value(self) -> int:
        """Total amount of the agent's own queue, in cents."""
        return sum(payment.amount for payment in self.queue)

    @cached_property
    def central_value(self) -> int:
        """Total amount of the central queue, in cents."""
        return sum(payment.amount for payment in self.central_queue)


Field = Callable[[DecisionContext, Payment], float]

FIELDS: dict[str, Field] = {
    # The payment. A payment in an agent's own queue is neither partly settled nor a part of a split.
    "amount": lambda _, payment: payment.amount,
    "remaining_amount": lambda _, payment: payment.amount,
    "settled_amount": lambda _context, _payment: 0,
    "arrival_tick": lambda _, payment: payment.arrival,
    "deadline_tick": lambda _, payment: payment.deadline,
    "priority": lambda _, payment: payment.priority,
    "ticks_to_deadline": lambda context, payment: payment.deadline - context.tick,
    "queue_age": lambda context, payment: context.tick - payment.arrival,
    "is_past_deadline": lambda context, payment: context.tick > payment.deadline,
    # Overdue payments are marked when the costs of a tick are charged, which is after its decisions.
    "is_overdue": lambda context, payment: context.tick > payment.late_from,
    "overdue_duration": lambda context, payment: max(context.tick - payment.late_from, 0),
    "is_split": lambda _context, _payment: 0,
    # The sender.
    "balance": lambda context, _: context.balance,
    "credit_limit": lambda context, _: context.cap,
    "unsecured_cap": lambda context, _: context.cap,
    "credit_used": lambda context, _: context.credit_used,
    "credit_headroom": lambda context, _: context.cap - context.credit_used,
    "available_liquidity": lambda context, _: context.available,
    # As in SimCash, an overdraft counts twice here.
    "effective_liquidity": lambda context, _: context.balance + context.cap - context.credit_used,
    "is_using_credit": lambda context, _: context.balance < 0,
    "is_overdraft_capped": lambda _context, _payment: 1,
    "liquidity_pressure": lambda context, _: context.pressure,
    "outgoing_queue_size": lambda context, _: len(context.queue),
    "queue1_total_value": lambda context, _: context.queue_value,
    "queue1_liquidity_gap": lambda context, _: max(context.queue_value - context.available, 0),
    "headroom": lambda context, _: context.available - context.queue_value,
    # The system.
    "rtgs_queue_size": lambda context, _: len(context.central_queue),
    "queue2_size": lambda context, _: len(context.central_queue),
    "rtgs_queue_value": lambda context, _: context.central_value,
    "current_tick": lambda context, _: context.tick,
    "total_agents": lambda context, _: context.agent_count,
    "system_ticks_per_day": lambda context, _: context.ticks_per_day,
    "system_current_day": lambda context, _: context.tick // context.ticks_per_day,
    "system_tick_in_day": lambda context, _: context.tick % context.ticks_per_day,
    "ticks_remaining_in_day": lambda context, _: context.ticks_per_day - context.tick % context.ticks_per_day - 1,
    "day_progress_fraction": lambda context, _: context.tick % context.ticks_per_day / context.ticks_per_day,
    "is_eod_rush": lambda context, _: context.tick % context.ticks_per_day / context.ticks_per_day >= _RUSH_STARTS,
    # The cost rates, in the units of the scenario, and the costs of the payment, in cents.
    "cost_delay_per_tick_per_cent": lambda context, _: context.rates.delay_per_cent,
    "cost_overdraft_bps_per_tick": lambda context, _: context.rates.overdraft_bps,
    "cost_split_friction": lambda context, _: context.rates.split_friction,
    "cost_deadline_penalty": lambda context, payment: context.rates.deadline_penalty(payment.amount),
    "cost_eod_penalty": lambda context, payment: context.rates.end_of_day_penalty(payment.amount),
    "cost_delay_this_tx_one_tick": lambda context, payment: payment.amount * context.rates.delay_per_cent,
    "cost_overdraft_this_amount_one_tick": lambda context, payment: context.rates.overdraft_of(payment.amount),
}
