"""The day, tick by tick: what happens in which order, and what each agent is charged for it.

It is a pure function of a compiled scenario, one policy for each agent and the payments that arrive; the
order of the steps is that of the reference engine (SimCash, MIT).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from exprec.recorder.errors import SimulationError
from exprec.recorder.payments.lsm import offset_queue
from exprec.recorder.payments.payment import Payment, split_payment
from exprec.recorder.payments.policy.fields import View
from exprec.recorder.payments.policy.tree import HOLD, RELEASE, Policy
from exprec.recorder.payments.result import AgentOutcome, Outcome
from exprec.recorder.payments.rtgs import SettlementSystem
from exprec.recorder.payments.scenario.scenario import Scenario
from exprec.recorder.payments.scenario.schedule import Transfer


def run_day(scenario: Scenario, policies: Sequence[Policy], arrivals: Sequence[Sequence[Payment]]) -> Outcome:
    """Simulate the day. `policies` go by agent index; `arrivals` are the payments of each tick, in order.

    Raises SimulationError where a policy asks for something undefined or a cap would become negative.
    """
    day = _Day(scenario, policies)
    system = day.system
    offsetting = scenario.offsetting.bilateral or scenario.offsetting.cycles
    for tick, arriving in enumerate(arrivals):
        day.intervene(tick)
        day.receive(arriving)
        system.submit(day.decide(tick))
        system.retry()
        if offsetting:
            offset_queue(system, scenario.offsetting)
        system.credit()
        day.charge(tick)
    day.close()
    return day.outcome(sum(map(len, arrivals)))


class _Day:
    """A day in progress: the agents' own queues and what each agent has been charged so far, in cents."""

    def __init__(self, scenario: Scenario, policies: Sequence[Policy]) -> None:
        agents = scenario.agents
        self._scenario, self._policies = scenario, policies
        self._allocated = [
            policy.allocated(agent.liquidity_pool) for agent, policy in zip(agents, policies, strict=True)
        ]
        balances = [agent.opening_balance + part for agent, part in zip(agents, self._allocated, strict=True)]
        caps = [agent.unsecured_cap for agent in agents]
        self.system = SettlementSystem(balances, caps, scenario.deferred_crediting)
        self._queues: list[list[Payment]] = [[] for _ in agents]
        self._parts = 0
        self._overdraft, self._delay, self._penalty, self._split = ([0] * len(agents) for _ in range(4))

    def intervene(self, tick: int) -> None:
        """Move money and change caps as the scenario says."""
        balances, caps = self.system.balances, self.system.caps
        for event in self._scenario.timetable.interventions[tick]:
            if isinstance(event, Transfer):
                if not event.covered or self.system.covers(event.sender, event.amount):
                    balances[event.sender] -= event.amount
                    balances[event.receiver] += event.amount
                continue
            caps[event.agent] += event.delta
            if caps[event.agent] < 0:
                agent = self._scenario.agents[event.agent].id
                raise SimulationError(
                    f"agent '{agent}', tick {tick}: a CollateralAdjustment of {event.delta} "
                    f"makes unsecured_cap negative ({caps[event.agent]})",
                    agent=agent,
                )

    def receive(self, arriving: Sequence[Payment]) -> None:
        """Put arriving payments at the end of their senders' queues."""
        for payment in arriving:
            self._queues[payment.sender].append(payment)

    def decide(self, tick: int) -> list[Payment]:
        """Let each policy decide on its agent's queue; the payments to submit, by agent, then in queue order."""
        released: list[Payment] = []
        for agent, queue in enumerate(self._queues):
            if not queue:
                continue
            always = self._policies[agent].always
            if always == RELEASE:
                released += queue
                queue.clear()
            elif always != HOLD:
                self._queues[agent] = self._apply_policy(agent, tick, released)
        return released

    def _apply_policy(self, agent: int, tick: int, released: list[Payment]) -> list[Payment]:
        """Add what is to be submitted to `released`; return what stays in the queue."""
        policy, view = self._policies[agent], self._view(agent, tick)
        kept = []
        for payment in self._queues[agent]:
            count = policy.parts(view, payment)
            if count == HOLD:
                kept.append(payment)
            elif count == RELEASE:
                released.append(payment)
            else:
                released += split_payment(payment, count, tick)
                self.system.expect_parts(payment, count)
                self._parts += count
                self._split[agent] += self._scenario.rates.split_friction * (count - 1)
        return kept

    def _view(self, agent: int, tick: int) -> View:
        return View(
            agent=self._scenario.agents[agent].id,
            tick=tick,
            balance=self.system.balances[agent],
            cap=self.system.caps[agent],
            queue=self._queues[agent],
            central=self.system.queue,
            rates=self._scenario.rates,
            ticks=self._scenario.ticks,
            agents=len(self._queues),
        )

    def charge(self, tick: int) -> None:
        """Charge the costs of a tick for overdrafts and waiting payments, and the penalty for each newly late one."""
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
        """Charge the penalties of the end of the day and take back the allocated liquidity."""
        for payment in self._waiting():
            # The reference engine compares with the last tick, not with the end of the day.
            if payment.deadline < self._scenario.ticks - 1:
                self._penalty[payment.sender] += self._scenario.rates.end_of_day_penalty(payment.amount)
        for agent, allocated in enumerate(self._allocated):
            self.system.balances[agent] -= allocated

    def outcome(self, arrivals: int) -> Outcome:
        """What the day came to; `arrivals` is the number of payments that arrived."""
        by_id = {agent.id: self._agent_outcome(index) for index, agent in enumerate(self._scenario.agents)}
        return Outcome(
            arrivals=arrivals,
            settled=self.system.settled,
            total=arrivals + self._parts,
            agents={agent: by_id[agent] for agent in self._scenario.ids},
        )

    def _agent_outcome(self, agent: int) -> AgentOutcome:
        counters = (self._overdraft, self._delay, self._penalty, self._split)
        overdraft, delay, penalty, split = (counter[agent] for counter in counters)
        # Every tick costs the same, as the allocation does not change within a day.
        opportunity = self._scenario.rates.opportunity(self._allocated[agent]) * self._scenario.ticks
        return AgentOutcome(
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
