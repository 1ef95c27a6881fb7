"""A scenario, compiled: the agents, the rules and what happens at each tick.

It expects mappings that passed the checks of `scenario_checks`. The defaults of keys that are absent are
those that the schema `scenario.v1` states.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exprec import schemas
from exprec.recorder.payments.costs import CostRates
from exprec.recorder.payments.lsm import OffsettingRules
from exprec.recorder.payments.scenario.arrivals import ArrivalProcess, arrival_process
from exprec.recorder.payments.scenario.schedule import Timetable, timetable


@dataclass(frozen=True, slots=True)
class Agent:
    """A bank; money in cents. `policy` is the document that the scenario gives it, if it does."""

    id: str
    opening_balance: int
    unsecured_cap: int
    liquidity_pool: int
    fraction: float
    policy: Mapping[str, Any] | None
    arrivals: ArrivalProcess | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A day of payments. `agents` are sorted by id, the order in which every step takes them.

    `ids` are in the order of the scenario file, which decides only what a draw of a receiver selects.
    """

    ids: tuple[str, ...]
    agents: tuple[Agent, ...]
    ticks: int
    seed: int
    deferred_crediting: bool
    rates: CostRates
    offsetting: OffsettingRules
    timetable: Timetable

    @property
    def processes(self) -> tuple[ArrivalProcess, ...]:
        return tuple(agent.arrivals for agent in self.agents if agent.arrivals is not None)


def compile_scenario(given: Mapping[str, Any]) -> Scenario:
    """Compile a valid scenario."""
    schema = schemas.load("scenario.v1")
    scenario = _filled(given, schema)
    ids = tuple(agent["id"] for agent in given["agents"])
    index = {agent_id: number for number, agent_id in enumerate(sorted(ids))}
    agent_schema = schema["properties"]["agents"]["items"]
    agents = [_agent(_filled(agent, agent_schema), ids, index) for agent in given["agents"]]
    ticks = given["simulation"]["ticks_per_day"]
    return Scenario(
        ids=ids,
        agents=tuple(sorted(agents, key=lambda agent: agent.id)),
        ticks=ticks,
        seed=given["simulation"]["rng_seed"],
        deferred_crediting=scenario["deferred_crediting"],
        rates=_rates(scenario["cost_rates"], schema["properties"]["cost_rates"]),
        offsetting=_offsetting(_filled(scenario["lsm_config"], schema["properties"]["lsm_config"])),
        timetable=timetable(scenario["scenario_events"], index, ticks, scenario["deadline_cap_at_eod"]),
    )


def _agent(given: Mapping[str, Any], ids: tuple[str, ...], index: Mapping[str, int]) -> Agent:
    config = given.get("arrival_config")
    policy = given.get("policy", {})
    return Agent(
        id=given["id"],
        opening_balance=given["opening_balance"],
        unsecured_cap=given["unsecured_cap"],
        liquidity_pool=given.get("liquidity_pool", 0),
        fraction=float(given["liquidity_allocation_fraction"]),
        policy=copy.deepcopy(policy) if "payment_tree" in policy else None,
        arrivals=arrival_process(config, given["id"], ids, index) if config is not None else None,
    )


def _rates(given: Mapping[str, Any], schema: Mapping[str, Any]) -> CostRates:
    rates = _filled(given, schema)
    multipliers = _filled(rates["priority_delay_multipliers"], schema["properties"]["priority_delay_multipliers"])
    return CostRates(rates, multipliers)


def _offsetting(rules: Mapping[str, Any]) -> OffsettingRules:
    return OffsettingRules(
        bilateral=rules["enable_bilateral"],
        cycles=rules["enable_cycles"],
        max_length=rules["max_cycle_length"],
        max_cycles=rules["max_cycles_per_tick"],
    )


def _filled(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with the defaults that its schema states for absent keys."""
    defaults = {key: part["default"] for key, part in schema["properties"].items() if "default" in part}
    return defaults | dict(given)
