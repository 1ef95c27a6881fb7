"""The fields that a policy may read: numbers about a payment, its sender and the system.

Their names stand in the schema of policies as well; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from exprec.recorder.payments.costs import CostRates
from exprec.recorder.payments.payment import Payment

_RUSH_STARTS = 0.8


class View:
    """What one agent sees in one tick, while no decision of that tick has been carried out.

    `queue` is the agent's own queue, `central` that of the settlement system; amounts in cents.
    """

    def __init__(
        self,
        agent: str,
        tick: int,
        balance: int,
        cap: int,
        queue: Sequence[Payment],
        central: Sequence[Payment],
        rates: CostRates,
        ticks: int,
        agents: int,
    ) -> None:
        self.agent, self.tick = agent, tick
        self.balance, self.cap = balance, cap
        self.queue, self.central = queue, central
        self.rates, self.ticks, self.agents = rates, ticks, agents

    @property
    def credit_used(self) -> int:
        return max(-self.balance, 0)

    @property
    def available(self) -> int:
        return max(self.balance, 0) + max(self.cap - self.credit_used, 0)

    @property
    def pressure(self) -> float:
        capacity = self.balance + self.cap
        return 1.0 - max(self.balance, 0) / capacity if capacity else 1.0

    @cached_property
    def queue_value(self) -> int:
        return sum(payment.amount for payment in self.queue)

    @cached_property
    def central_value(self) -> int:
        return sum(payment.amount for payment in self.central)


Field = Callable[[View, Payment], float]

FIELDS: dict[str, Field] = {
    # The payment. What waits in an agent's own queue has neither settled in part nor been split.
    "amount": lambda _, payment: payment.amount,
    "remaining_amount": lambda _, payment: payment.amount,
    "settled_amount": lambda _view, _payment: 0,
    "arrival_tick": lambda _, payment: payment.arrival,
    "deadline_tick": lambda _, payment: payment.deadline,
    "priority": lambda _, payment: payment.priority,
    "ticks_to_deadline": lambda view, payment: payment.deadline - view.tick,
    "queue_age": lambda view, payment: view.tick - payment.arrival,
    "is_past_deadline": lambda view, payment: view.tick > payment.deadline,
    # A late payment is marked with the costs of a tick, after the decisions of that tick.
    "is_overdue": lambda view, payment: view.tick > payment.late_from,
    "overdue_duration": lambda view, payment: max(view.tick - payment.late_from, 0),
    "is_split": lambda _view, _payment: 0,
    # Its sender.
    "balance": lambda view, _: view.balance,
    "credit_limit": lambda view, _: view.cap,
    "unsecured_cap": lambda view, _: view.cap,
    "credit_used": lambda view, _: view.credit_used,
    "credit_headroom": lambda view, _: view.cap - view.credit_used,
    "available_liquidity": lambda view, _: view.available,
    # The reference engine counts an overdraft twice here.
    "effective_liquidity": lambda view, _: view.balance + view.cap - view.credit_used,
    "is_using_credit": lambda view, _: view.balance < 0,
    "is_overdraft_capped": lambda _view, _payment: 1,
    "liquidity_pressure": lambda view, _: view.pressure,
    "outgoing_queue_size": lambda view, _: len(view.queue),
    "queue1_total_value": lambda view, _: view.queue_value,
    "queue1_liquidity_gap": lambda view, _: max(view.queue_value - view.available, 0),
    "headroom": lambda view, _: view.available - view.queue_value,
    # The system.
    "rtgs_queue_size": lambda view, _: len(view.central),
    "queue2_size": lambda view, _: len(view.central),
    "rtgs_queue_value": lambda view, _: view.central_value,
    "current_tick": lambda view, _: view.tick,
    "total_agents": lambda view, _: view.agents,
    "system_ticks_per_day": lambda view, _: view.ticks,
    "system_current_day": lambda view, _: view.tick // view.ticks,
    "system_tick_in_day": lambda view, _: view.tick % view.ticks,
    "ticks_remaining_in_day": lambda view, _: view.ticks - view.tick % view.ticks - 1,
    "day_progress_fraction": lambda view, _: view.tick % view.ticks / view.ticks,
    "is_eod_rush": lambda view, _: view.tick % view.ticks / view.ticks >= _RUSH_STARTS,
    # The cost rates, in the units of the scenario, and what they come to for the payment, in cents.
    "cost_delay_per_tick_per_cent": lambda view, _: view.rates.delay_per_cent,
    "cost_overdraft_bps_per_tick": lambda view, _: view.rates.overdraft_bps,
    "cost_split_friction": lambda view, _: view.rates.split_friction,
    "cost_deadline_penalty": lambda view, payment: view.rates.deadline_penalty(payment.amount),
    "cost_eod_penalty": lambda view, payment: view.rates.end_of_day_penalty(payment.amount),
    "cost_delay_this_tx_one_tick": lambda view, payment: payment.amount * view.rates.delay_per_cent,
    "cost_overdraft_this_amount_one_tick": lambda view, payment: view.rates.overdraft_of(payment.amount),
}
