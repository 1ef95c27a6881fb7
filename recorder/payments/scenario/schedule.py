"""What a scenario makes happen at given ticks: payments it lists, transfers of money, changes of caps.

It only arranges them by tick; the engine carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.recorder.payments.payment import NORMAL_PRIORITY, Payment, deadline_tick, new_payment


@dataclass(frozen=True, slots=True)
class Transfer:
    """`amount` cents from one agent to another at once; `covered` asks for enough liquidity, else nothing moves."""

    sender: int
    receiver: int
    amount: int
    covered: bool


@dataclass(frozen=True, slots=True)
class CapChange:
    """`delta` cents added to an agent's unsecured cap."""

    agent: int
    delta: int


Intervention = Transfer | CapChange


@dataclass(frozen=True, slots=True)
class Timetable:
    """What happens at each tick of the day, in the order of the scenario's list."""

    payments: tuple[tuple[Payment, ...], ...]
    interventions: tuple[tuple[Intervention, ...], ...]


def timetable(
    events: Sequence[Mapping[str, Any]], index: Mapping[str, int], ticks: int, cap_deadlines: bool
) -> Timetable:
    """Arrange valid `scenario_events` by tick. `cap_deadlines` ends their deadlines with the last tick."""
    payments: list[list[Payment]] = [[] for _ in range(ticks)]
    interventions: list[list[Intervention]] = [[] for _ in range(ticks)]
    latest = ticks - 1 if cap_deadlines else ticks
    default_deadline = max(5, ticks // 10)
    for event in events:
        for tick in _occurrences(event["schedule"], ticks):
            if event["type"] == "CustomTransactionArrival":
                deadline = deadline_tick(tick, event.get("deadline", default_deadline), latest)
                priority = event.get("priority", NORMAL_PRIORITY)
                sender, receiver = index[event["from_agent"]], index[event["to_agent"]]
                payments[tick].append(new_payment(sender, receiver, event["amount"], tick, deadline, priority))
            else:
                interventions[tick].append(_intervention(event, index))
    return Timetable(tuple(map(tuple, payments)), tuple(map(tuple, interventions)))


def _occurrences(schedule: Mapping[str, Any], ticks: int) -> range:
    if schedule["type"] == "OneTime":
        return range(schedule["tick"], min(schedule["tick"] + 1, ticks))
    return range(schedule["start_tick"], ticks, schedule["interval"])


def _intervention(event: Mapping[str, Any], index: Mapping[str, int]) -> Intervention:
    if event["type"] == "CollateralAdjustment":
        return CapChange(index[event["agent"]], event["delta"])
    covered = event["type"] == "ScheduledSettlement"
    return Transfer(index[event["from_agent"]], index[event["to_agent"]], event["amount"], covered)
