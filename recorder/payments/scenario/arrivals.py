"""Random arrivals: a Poisson process for each agent with an `arrival_config`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.recorder.payments.payment import NORMAL_PRIORITY, Payment, deadline_tick, new_payment
from exprec.recorder.payments.rng import Generator
from exprec.recorder.payments.scenario.distributions import (
    Draw,
    amount_draw,
    constant_draw,
    priority_draw,
    weighted_draw,
)

_UNLISTED_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class ArrivalProcess:
    """The arrivals of one sender.

    Attributes:
        sender: Index of the agent.
        rate: Mean number of payments per tick.
        amount: Draws the amount in cents.
        receiver: Draws the index of the receiver.
        min_offset: Minimum number of ticks from the arrival to the deadline.
        max_offset: Maximum number of ticks from the arrival to the deadline.
        priority: Draws the priority, 0 to 10; a drawn 0 becomes NORMAL_PRIORITY.
    """

    sender: int
    rate: float
    amount: Draw
    receiver: Draw
    min_offset: int
    max_offset: int
    priority: Draw

    def draw(self, generator: Generator, tick: int, ticks: int) -> list[Payment]:
        """Return the payments of one tick of a day of `ticks` ticks. The order of the draws is part of the model."""
        arrived = []
        for _ in range(generator.poisson(self.rate)):
            amount = self.amount(generator)
            receiver = self.receiver(generator)
            deadline = deadline_tick(tick, generator.integer(self.min_offset, self.max_offset), ticks)
            # As in SimCash, 0 means "not set".
            priority = self.priority(generator) or NORMAL_PRIORITY
            arrived.append(new_payment(self.sender, receiver, amount, tick, deadline, priority))
        return arrived


def compile_arrivals(
    config: Mapping[str, Any], sender: str, ids: Sequence[str], index: Mapping[str, int]
) -> ArrivalProcess:
    """Compile a valid `arrival_config`.

    Args:
        config: The `arrival_config` of the sender.
        sender: Id of the sender.
        ids: All agents in the order of the scenario file, which decides which receiver a draw selects.
        index: Index of each agent by id.
    """
    candidates = [agent for agent in ids if agent != sender]
    weights = [config["counterparty_weights"].get(agent, _UNLISTED_WEIGHT) for agent in candidates]
    min_offset, max_offset = config["deadline_range"]
    priorities = config.get("priority_distribution")
    return ArrivalProcess(
        sender=index[sender],
        rate=float(config["rate_per_tick"]),
        amount=amount_draw(config["amount_distribution"]),
        receiver=weighted_draw([index[agent] for agent in candidates], weights),
        min_offset=min_offset,
        max_offset=max_offset,
        priority=priority_draw(priorities) if priorities else constant_draw(config.get("priority", NORMAL_PRIORITY)),
    )


def draw_day(processes: Sequence[ArrivalProcess], ticks: int, seed: int) -> list[list[Payment]]:
    """Draw the payments of a day, one list per tick; all processes share one generator, in the given order."""
    generator = Generator(seed)
    return [
        [payment for process in processes for payment in process.draw(generator, tick, ticks)] for tick in range(ticks)
    ]
