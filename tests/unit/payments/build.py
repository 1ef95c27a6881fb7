"""Small scenarios and policies for tests, in which every cost that a test does not name is zero."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "data" / "vectors"

Json = dict[str, Any]

FREE: Json = {
    "liquidity_cost_per_tick_bps": 0,
    "delay_cost_per_tick_per_cent": 0,
    "overdraft_bps_per_tick": 0,
    "eod_penalty_per_transaction": 0,
    "deadline_penalty": 0,
    "split_friction_cost": 0,
    "overdue_delay_multiplier": 1.0,
}
NO_OFFSETTING: Json = {"enable_bilateral": False, "enable_cycles": False}


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def scenario(ticks: int, agents: list[Json], events: list[Json] | None = None, **changes: Any) -> Json:
    """A scenario without offsetting and costs; `rates` adds cost rates, other `changes` are top-level keys."""
    rates = FREE | changes.pop("rates", {})
    if "eod_penalty" in rates:
        del rates["eod_penalty_per_transaction"]
    return {
        "simulation": {"ticks_per_day": ticks, "num_days": 1, "rng_seed": changes.pop("seed", 42)},
        "cost_rates": rates,
        "lsm_config": NO_OFFSETTING,
        "agents": agents,
        "scenario_events": events or [],
        **changes,
    }


def agent(agent_id: str, opening: int = 0, cap: int = 0, **more: Any) -> Json:
    return {"id": agent_id, "opening_balance": opening, "unsecured_cap": cap, **more}


def pay(tick: int, sender: str, receiver: str, amount: int, deadline: int = 50, **more: Any) -> Json:
    schedule = {"type": "OneTime", "tick": tick}
    kind = "CustomTransactionArrival"
    return {
        "type": kind,
        "from_agent": sender,
        "to_agent": receiver,
        "amount": amount,
        "deadline": deadline,
        "schedule": schedule,
        **more,
    }


def arrivals(receivers: dict[str, float], rate: float = 2.0, **more: Any) -> Json:
    return {
        "rate_per_tick": rate,
        "amount_distribution": {"type": "LogNormal", "mean": 10000, "std_dev": 5000},
        "counterparty_weights": receivers,
        "deadline_range": [3, 8],
        **more,
    }


def leaf(action: str = "Release", node_id: str = "leaf", **parameters: Any) -> Json:
    node = {"type": "action", "node_id": node_id, "action": action}
    return node | {"parameters": parameters} if parameters else node


def split(count: Any, node_id: str = "split") -> Json:
    return leaf("Split", node_id, num_splits={"value": count})


def branch(condition: Json, on_true: Json, on_false: Json, node_id: str = "branch") -> Json:
    return {
        "type": "condition",
        "node_id": node_id,
        "condition": condition,
        "on_true": on_true,
        "on_false": on_false,
    }


def compare(left: Json, op: str, right: Json) -> Json:
    return {"op": op, "left": left, "right": right}


def policy(tree: Json | None = None, fraction: float | None = None, **parameters: float) -> Json:
    given = parameters if fraction is None else {"initial_liquidity_fraction": fraction, **parameters}
    return {"version": "2.0", "policy_id": "test", "parameters": given, "payment_tree": tree or leaf()}


def twelve_period_game() -> Json:
    """The stochastic game of Castro et al. (2025), with the parameters of the reference engine's experiment."""

    def bank(agent_id: str, other: str) -> Json:
        return agent(agent_id, liquidity_pool=1_000_000, arrival_config=arrivals({other: 1.0}))

    return scenario(
        12,
        [bank("BANK_A", "BANK_B"), bank("BANK_B", "BANK_A")],
        deferred_crediting=True,
        deadline_cap_at_eod=True,
        rates={
            "liquidity_cost_per_tick_bps": 83,
            "delay_cost_per_tick_per_cent": 0.2,
            "eod_penalty_per_transaction": 100_000,
            "deadline_penalty": 50_000,
            "overdue_delay_multiplier": 5.0,
        },
    )
