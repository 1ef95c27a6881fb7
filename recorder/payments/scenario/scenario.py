"""Compiled scenarios: agents, cost rates, settlement rules, scheduled events.

Scenarios must be valid (`check_scenario` returns no problem) before they are compiled. Absent keys have the defaults of
the schema `scenario.v1`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exprec import schemas
from exprec.recorder.payments.costs import CostRates
from exprec.recorder.payments.lsm import LsmRules
from exprec.recorder.payments.scenario.arrivals import ArrivalProcess, compile_arrivals
from exprec.recorder.payments.scenario.schedule import Schedule, compile_schedule


@dataclass(frozen=True, slots=True)
class Agent:
    """A bank; money in cents.

    Attributes:
        fraction: Part of the liquidity pool that is allocated if the agent has no policy document.
        policy: The policy document in the scenario, if there is one.
    """

    id: str
    opening_balance: int
    unsecured_cap: int
    liquidity_pool: int
    fraction: float
    policy: Mapping[str, Any] | None
    arrivals: ArrivalProcess | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One day of payments.

    Attributes:
        ids: Agent ids in the order of the scenario file, which matters only for the draw of receivers.
        agents: Agents in ascending order of id, the order in which every step processes them.
        ticks: Length of the day.
        seed: The scenario's own `rng_seed`.
    """

    ids: tuple[str, ...]
    agents: tuple[Agent, ...]
    ticks: int
    seed: int
    deferred_crediting: bool
    rates: CostRates
    lsm: LsmRules
    schedule: Schedule

    @property
    def processes(self) -> tuple[ArrivalProcess, ...]:
        """The arrival processes in the order of their agents' ids."""
        return tuple(agent.arrivals for agent in self.agents if agent.arrivals is not None)


def compile_scenario(given: Mapping[str, Any]) -> Scenario:
    """Compile a valid scenario."""
    schema = schemas.load("scenario.v1")
    scenario = _fill_defaults(given, schema)
    ids = tuple(agent["id"] for agent in given["agents"])
    index = {agent_id: number for number, agent_id in enumerate(sorted(ids))}
    agent_schema = schema["properties"]["agents"]["items"]
    agents = [_compile_agent(_fill_defaults(agent, agent_schema), ids, index) for agent in given["agents"]]
    ticks = given["simulation"]["ticks_per_day"]
    return Scenario(
        ids=ids,
        agents=tuple(sorted(agents, key=lambda agent: agent.id)),
        ticks=ticks,
        seed=given["simulation"]["rng_seed"],
        deferred_crediting=scenario["deferred_crediting"],
        rates=_compile_rates(scenario["cost_rates"], schema["properties"]["cost_rates"]),
        lsm=_compile_lsm(_fill_defaults(scenario["lsm_config"], schema["properties"]["lsm_config"])),
        schedule=compile_schedule(scenario["scenario_events"], index, ticks, scenario["deadline_cap_at_eod"]),
    )


def _compile_agent(given: Mapping[str, Any], ids: tuple[str, ...], index: Mapping[str, int]) -> Agent:
    config = given.get("arrival_config")
    policy = given.get("policy", {})
    return Agent(
        id=given["id"],
        opening_balance=given["opening_balance"],
        unsecured_cap=given["unsecured_cap"],
        liquidity_pool=given.get("liquidity_pool", 0),
        fraction=float(given["liquidity_allocation_fraction"]),
        policy=copy.deepcopy(policy) if "payment_tree" in policy else None,
        arrivals=compile_arrivals(config, given["id"], ids, index) if config is not None else None,
    )


def _compile_rates(given: Mapping[str, Any], schema: Mapping[str, Any]) -> CostRates:
    rates = _fill_defaults(given, schema)
    key = "priority_delay_multipliers"
    multipliers = _fill_defaults(rates[key], schema["properties"][key])
    return CostRates(rates, multipliers)


def _compile_lsm(rules: Mapping[str, Any]) -> LsmRules:
    return LsmRules(
        bilateral=rules["enable_bilateral"],
        cycles=rules["enable_cycles"],
        max_length=rules["max_cycle_length"],
        max_cycles=rules["max_cycles_per_tick"],
    )


def _fill_defaults(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping with the schema's defaults for absent keys."""
    defaults = {key: subschema["default"] for key, subschema in schema["properties"].items() if "default" in subschema}
    return defaults | dict(given)
