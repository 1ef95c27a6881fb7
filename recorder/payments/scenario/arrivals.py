"""Payments that arrive at random: one process for each agent that has an `arrival_config`.

Payments that a scenario lists one by one are in `events`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.recorder.payments.payment import NORMAL_PRIORITY, Payment, deadline_tick, new_payment
from exprec.recorder.payments.rng import Generator
from exprec.recorder.payments.scenario.distributions import Draw, amount_draw, choice, constant, priority_draw

_UNLISTED_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class ArrivalProcess:
    """How one agent's payments arrive. `rate` is their mean number per tick; offsets are in ticks."""

    sender: int
    rate: float
    amount: Draw
    receiver: Draw
    earliest: int
    latest: int
    priority: Draw

    def draw(self, generator: Generator, tick: int, ticks: int) -> list[Payment]:
        """The payments of one tick. The order of the draws is part of the model."""
        arrived = []
        for _ in range(generator.poisson(self.rate)):
            amount = self.amount(generator)
            receiver = self.receiver(generator)
            deadline = deadline_tick(tick, generator.integer(self.earliest, self.latest), ticks)
            # The reference engine takes a drawn 0 for "not set".
            priority = self.priority(generator) or NORMAL_PRIORITY
            arrived.append(new_payment(self.sender, receiver, amount, tick, deadline, priority))
        return arrived


def arrival_process(
    config: Mapping[str, Any], sender: str, ids: Sequence[str], index: Mapping[str, int]
) -> ArrivalProcess:
    """The process of a valid `arrival_config`. `ids` are the agents in the order of the scenario file.

    That order is the order of the candidates for a receiver, which decides what a draw selects.
    """
    candidates = [agent for agent in ids if agent != sender]
    weights = [config["counterparty_weights"].get(agent, _UNLISTED_WEIGHT) for agent in candidates]
    earliest, latest = config["deadline_range"]
    given = config.get("priority_distribution")
    return ArrivalProcess(
        sender=index[sender],
        rate=float(config["rate_per_tick"]),
        amount=amount_draw(config["amount_distribution"]),
        receiver=choice([index[agent] for agent in candidates], weights),
        earliest=earliest,
        latest=latest,
        priority=priority_draw(given) if given else constant(config.get("priority", NORMAL_PRIORITY)),
    )


def draw_day(processes: Sequence[ArrivalProcess], ticks: int, seed: int) -> list[list[Payment]]:
    """All payments of a day, tick by tick; one generator serves all processes, in the given order."""
    generator = Generator(seed)
    return [
        [payment for process in processes for payment in process.draw(generator, tick, ticks)] for tick in range(ticks)
    ]
