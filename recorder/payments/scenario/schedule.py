"""The `scenario_events` of a scenario by tick: payments, transfers of money, changes of overdraft caps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.recorder.payments.payment import NORMAL_PRIORITY, Payment, deadline_tick, new_payment


@dataclass(frozen=True, slots=True)
class Transfer:
    """An immediate transfer of `amount` cents; if `covered`, it is skipped unless the sender has the liquidity."""

    sender: int
    receiver: int
    amount: int
    covered: bool


@dataclass(frozen=True, slots=True)
class CapChange:
    """A change of an agent's overdraft cap by `delta` cents."""

    agent: int
    delta: int


Adjustment = Transfer | CapChange


@dataclass(frozen=True, slots=True)
class Schedule:
    """The payments and adjustments of each tick, in the order of the list in the scenario."""

    payments: tuple[tuple[Payment, ...], ...]
    adjustments: tuple[tuple[Adjustment, ...], ...]


def compile_schedule(
    events: Sequence[Mapping[str, Any]], index: Mapping[str, int], ticks: int, cap_deadlines: bool
) -> Schedule:
    """Compile valid `scenario_events`.

    Args:
        events: The events, in the order of the scenario.
        index: Index of each agent by id.
        ticks: Length of the day.
        cap_deadlines: Whether deadlines are at most the last tick (`deadline_cap_at_eod`) instead of the tick after it.
    """
    payments: list[list[Payment]] = [[] for _ in range(ticks)]
    adjustments: list[list[Adjustment]] = [[] for _ in range(ticks)]
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
                adjustments[tick].append(_compile_adjustment(event, index))
    return Schedule(tuple(map(tuple, payments)), tuple(map(tuple, adjustments)))


def _occurrences(schedule: Mapping[str, Any], ticks: int) -> range:
    if schedule["type"] == "OneTime":
        return range(schedule["tick"], min(schedule["tick"] + 1, ticks))
    return range(schedule["start_tick"], ticks, schedule["interval"])


def _compile_adjustment(event: Mapping[str, Any], index: Mapping[str, int]) -> Adjustment:
    if event["type"] == "CollateralAdjustment":
        return CapChange(index[event["agent"]], event["delta"])
    covered = event["type"] == "ScheduledSettlement"
    return Transfer(index[event["from_agent"]], index[event["to_agent"]], event["amount"], covered)
