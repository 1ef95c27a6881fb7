"""The simulation of a day, tick by tick.

A day is a pure function of the compiled scenario, one policy for each agent, and the arriving payments. The order of
the steps is that of SimCash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from exprec.recorder.errors import SimulationError
from exprec.recorder.payments.lsm import offset_queue
from exprec.recorder.payments.payment import Payment, split_payment
from exprec.recorder.payments.policy import DecisionContext, Policy
from exprec.recorder.payments.result import AgentResult, SimulationResult
from exprec.recorder.payments.rtgs import SettlementSystem
from exprec.recorder.payments.scenario import Adjustment, Scenario, Transfer


def run_day(day: Day, arrivals: Sequence[Sequence[Payment]]) -> SimulationResult:
    """Simulate one day.

    Args:
        day: The day at its start.
        arrivals: The arriving payments of each tick, in order.

    Raises:
        SimulationError: A policy computes something undefined, or an overdraft cap becomes negative.
    """
    system, lsm = day.system, day.lsm
    has_lsm = lsm.bilateral or lsm.cycles
    for tick, arriving in enumerate(arrivals):
        day.apply_adjustments(tick)
        day.receive(arriving)
        system.submit(day.decide(tick))
        system.retry()
        if has_lsm:
            offset_queue(system, lsm)
        system.credit()
        day.charge(tick)
    day.close()
    return day.result(sum(map(len, arrivals)))


class Day:
    """A day in progress: the agents' own queues and the costs of each agent so far, in cents."""

    def __init__(self, scenario: Scenario, policies: Sequence[Policy]) -> None:
        """Start a day under one policy for each agent, by agent index."""
        agents = scenario.agents
        self._scenario, self._policies = scenario, policies
        self._allocated = [
            policy.allocated(agent.liquidity_pool) for agent, policy in zip(agents, policies, strict=True)
        ]
        balances = [agent.opening_balance + allocated for agent, allocated in zip(agents, self._allocated, strict=True)]
        caps = [agent.unsecured_cap for agent in agents]
        self.system = SettlementSystem(balances, caps, scenario.deferred_crediting)
        self.lsm = scenario.lsm
        self._queues: list[list[Payment]] = [[] for _ in agents]
        self._parts = 0
        self._overdraft, self._delay, self._penalty, self._split = ([0] * len(agents) for _ in range(4))

    def apply_adjustments(self, tick: int) -> None:
        """Apply the scheduled transfers and cap changes of a tick."""
        for event in self._scenario.schedule.adjustments[tick]:
            self._apply_adjustment(event, tick)

    def _apply_adjustment(self, event: Adjustment, tick: int) -> None:
        balances, caps = self.system.balances, self.system.caps
        if isinstance(event, Transfer):
            if not event.covered or self.system.covers(event.sender, event.amount):
                balances[event.sender] -= event.amount
                balances[event.receiver] += event.amount
            return
        caps[event.agent] += event.delta
        if caps[event.agent] < 0:
            agent = self._scenario.agents[event.agent].id
            raise SimulationError(
                f"agent '{agent}', tick {tick}: a CollateralAdjustment of {event.delta} "
                f"makes unsecured_cap negative ({caps[event.agent]})",
                agent=agent,
            )

    def receive(self, arriving: Sequence[Payment]) -> None:
        """Append arriving payments to their senders' queues."""
        for payment in arriving:
            self._queues[payment.sender].append(payment)

    def decide(self, tick: int) -> list[Payment]:
        """Apply each policy to its agent's queue; return the payments to submit, by agent, then in queue order."""
        released: list[Payment] = []
        for agent, queue in enumerate(self._queues):
            if not queue:
                continue
            always = self._policies[agent].always
            if always == Policy.RELEASE:
                released += queue
                queue.clear()
            elif always != Policy.HOLD:
                self._queues[agent] = self._apply_policy(agent, tick, released)
        return released

    def _apply_policy(self, agent: int, tick: int, released: list[Payment]) -> list[Payment]:
        """Append the payments to submit to `released`; return those that stay in the queue."""
        policy, context = self._policies[agent], self._decision_context(agent, tick)
        kept = []
        for payment in self._queues[agent]:
            count = policy.decide(context, payment)
            if count == Policy.HOLD:
                kept.append(payment)
            elif count == Policy.RELEASE:
                released.append(payment)
            else:
                released += split_payment(payment, count, tick)
                self.system.expect_parts(payment, count)
                self._parts += count
                self._split[agent] += self._scenario.rates.split_friction * (count - 1)
        return kept

    def _decision_context(self, agent: int, tick: int) -> DecisionContext:
        return DecisionContext(
            agent=self._scenario.agents[agent].id,
            tick=tick,
            balance=self.system.balances[agent],
            cap=self.system.caps[agent],
            queue=self._queues[agent],
            central_queue=self.system.queue,
            rates=self._scenario.rates,
            ticks_per_day=self._scenario.ticks,
            agent_count=len(self._queues),
        )

    def charge(self, tick: int) -> None:
        """Charge the overdraft and delay costs of a tick, and the penalty for each payment that becomes overdue."""
        rates = self._scenario.rates
        on_time, late = rates.on_time, rates.late
        weights = [0] * len(self._queues)
        for payment in self._waiting():
            if tick < payment.late_from:
                weights[payment.sender] += payment.amount * on_time[payment.priority]
            else:
                weights[payment.sender] += payment.amount * late[payment.priority]
                if tick == payment.late_from:
                    self._penalty[payment.sender] += rates.deadline_penalty(payment.amount)
        for agent, weight in enumerate(weights):
            self._delay[agent] += rates.delay(weight)
            self._overdraft[agent] += rates.overdraft(self.system.balances[agent])

    def close(self) -> None:
        """Charge the end-of-day penalties and return the allocated liquidity."""
        for payment in self._unsettled_at_close():
            self._penalty[payment.sender] += self._scenario.rates.end_of_day_penalty(payment.amount)
        for agent, allocated in enumerate(self._allocated):
            self.system.balances[agent] -= allocated

    def result(self, arrivals: int) -> SimulationResult:
        """Return the result of the day; `arrivals` is the number of payments that arrived."""
        by_id = {agent.id: self._agent_result(index) for index, agent in enumerate(self._scenario.agents)}
        return SimulationResult(
            arrivals=arrivals,
            settled=self.system.settled,
            total=arrivals + self._parts,
            agents={agent: by_id[agent] for agent in self._scenario.ids},
        )

    def _agent_result(self, agent: int) -> AgentResult:
        counters = (self._overdraft, self._delay, self._penalty, self._split)
        overdraft, delay, penalty, split = (counter[agent] for counter in counters)
        # The cost is the same in every tick, because the allocation does not change within a day.
        opportunity = self._scenario.rates.opportunity(self._allocated[agent]) * self._scenario.ticks
        return AgentResult(
            balance=self.system.balances[agent],
            liquidity=overdraft,
            delay=delay,
            collateral=0,
            penalty=penalty,
            split=split,
            opportunity=opportunity,
            total=overdraft + delay + penalty + split + opportunity,
        )

    def _waiting(self) -> Iterator[Payment]:
        return chain(*self._queues, self.system.queue)

    def _unsettled_at_close(self) -> list[Payment]:
        """Return the payments that cost a penalty at the end of the day."""
        # As in SimCash, strictly before the last tick, not before the end of the day.
        last = self._scenario.ticks - 1
        return [payment for payment in self._waiting() if payment.deadline < last]
