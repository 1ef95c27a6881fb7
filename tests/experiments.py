"""Small experiments on disk for any test, and a simulator whose costs a test decides."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exprec.recorder.errors import Problem
from exprec.recorder.events import Event
from exprec.recorder.optimize.config import ExperimentConfig
from exprec.recorder.optimize.runner import GenericExperimentRunner
from exprec.recorder.payments import check_policy
from exprec.recorder.proposers.protocol import Message, Parameter, ProposalRequest
from exprec.recorder.proposers.search import LIQUIDITY
from exprec.recorder.state.protocol import ExperimentStateProvider
from exprec.recorder.store.store import Store
from tests.support import script_lines

Json = dict[str, Any]


def bank(agent_id: str, **more: Any) -> Json:
    return {"id": agent_id, "opening_balance": 0, "unsecured_cap": 0, "liquidity_pool": 100000, **more}


def payment(tick: int, sender: str, receiver: str, amount: int) -> Json:
    return {
        "type": "CustomTransactionArrival",
        "from_agent": sender,
        "to_agent": receiver,
        "amount": amount,
        "deadline": 2,
        "schedule": {"type": "OneTime", "tick": tick},
    }


GAME: Json = {
    "simulation": {"ticks_per_day": 2, "num_days": 1, "rng_seed": 42},
    "deferred_crediting": True,
    "deadline_cap_at_eod": True,
    "cost_rates": {
        "liquidity_cost_per_tick_bps": 500,
        "delay_cost_per_tick_per_cent": 0.2,
        "overdraft_bps_per_tick": 0,
        "eod_penalty_per_transaction": 100000,
        "deadline_penalty": 50000,
    },
    "lsm_config": {"enable_bilateral": False, "enable_cycles": False},
    "agents": [bank("A"), bank("B")],
    "scenario_events": [payment(1, "A", "B", 15000), payment(0, "B", "A", 15000), payment(1, "B", "A", 5000)],
}
"""Two banks, two ticks, nothing random. Each pays a tenth of the liquidity that it commits; with half of
their pools both pay 5000 cents, and the equilibrium is that A commits nothing and B 20000."""

RANDOM_GAME: Json = {
    **GAME,
    "agents": [
        bank(
            each,
            arrival_config={
                "rate_per_tick": 2.0,
                "amount_distribution": {"type": "Uniform", "min": 5000, "max": 40000},
                "counterparty_weights": {other: 1.0},
                "deadline_range": [1, 2],
            },
        )
        for each, other in (("A", "B"), ("B", "A"))
    ],
    "scenario_events": [],
}
"""The same banks with payments that depend on the seed."""

EXPERIMENT: Json = {
    "name": "two banks",
    "description": "a small game",
    "scenario": GAME,
    "optimized_agents": ["A", "B"],
    "evaluation": {"mode": "deterministic", "ticks": 2},
    "convergence": {"max_iterations": 3},
    "llm": {"model": "search"},
}


def mapping(**changes: Any) -> Json:
    """The small experiment with these changes (see `changed`)."""
    return changed(EXPERIMENT, changes)


def changed(experiment: Mapping[str, Any], changes: Mapping[str, Any]) -> Json:
    """A copy of an experiment with each `section__key` of the changes put in; a value of `...` takes the key out."""
    value = copy.deepcopy(dict(experiment))
    for name, new in changes.items():
        *sections, key = name.split("__")
        section = value
        for each in sections:
            section = section.setdefault(each, {})
        section[key] = new
        if new is ...:
            del section[key]
    return value


def experiment(folder: Path, *, answers: Sequence[Mapping[str, Any]] | None = None, **changes: Any) -> Path:
    """Write the small experiment with these changes (see `mapping`) to a file in `folder`; returns the file.

    With `answers`, a scripted model gives them, from a file beside it.
    """
    if answers is not None:
        (folder / "answers.jsonl").write_bytes(script_lines(answers))
        changes = {"llm__model": "scripted:answers.jsonl", **changes}
    path = folder / "experiment.json"
    path.write_text(json.dumps(mapping(**changes)), encoding="utf-8")
    return path


def policy(fraction: float, tree: Mapping[str, Any] | None = None, **more: Any) -> Json:
    """A valid policy that commits this fraction; it pays at once unless a tree says otherwise."""
    leaf = {"type": "action", "node_id": "leaf", "action": "Release"}
    parameters = {"initial_liquidity_fraction": fraction}
    return {"version": "2.0", "policy_id": "test", "parameters": parameters, "payment_tree": tree or leaf, **more}


def answer(agent: str, fraction: float, **more: Any) -> Json:
    """A line of a script: a valid policy for one agent."""
    return {"agent": agent, "answer": policy(fraction), **more}


def runner(
    folder: Path, *, answers: Sequence[Mapping[str, Any]] | None = None, store: Store | None = None, **changes: Any
) -> GenericExperimentRunner:
    """A runner of the small experiment with these changes (see `experiment`), in memory unless there is a store."""
    path = experiment(folder, answers=answers, **changes)
    return GenericExperimentRunner(ExperimentConfig.load(path), config_dir=folder, store=store)


def ran(folder: Path, **changes: Any) -> ExperimentStateProvider:
    """What the small experiment came to; takes what `runner` takes."""
    prepared = runner(folder, **changes)
    asyncio.run(prepared.run())
    assert prepared.state_provider is not None
    return prepared.state_provider


def of_type(provider: ExperimentStateProvider, event_type: str) -> list[Event]:
    return [event for event in provider.get_all_events() if event["event_type"] == event_type]


@dataclass(frozen=True)
class FakeAgent:
    """One agent's costs in a fake simulation."""

    total: int
    balance: int = 0
    opportunity: int = 0

    def as_dict(self) -> dict[str, int]:
        return {"balance": self.balance, "opportunity": self.opportunity, "total": self.total}


@dataclass(frozen=True)
class FakeResult:
    """A fake simulation's result: everything settled, and these costs."""

    agents: Mapping[str, FakeAgent]
    arrivals: int = 4
    settled: int = 4


@dataclass
class FakeSimulator:
    """A simulator that computes nothing: `result` says what policies come to, and `calls` what was asked."""

    result: Callable[[Mapping[str, Mapping[str, Any]], int], FakeResult]
    calls: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    rules: str = "the rules"

    def starting_policy(self, agent: str) -> Json:
        return policy(0.5)

    def check_policy(self, value: Any) -> list[Problem]:
        return check_policy(value)

    def simulate(self, policies: Mapping[str, Mapping[str, Any]], seed: int) -> FakeResult:
        self.calls.append((copy.deepcopy(dict(policies)), seed))
        return self.result(policies, seed)

    def simulate_each(self, policies: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]) -> Iterator[FakeResult]:
        return (self.simulate(policies, seed) for seed in seeds)


def asking(
    agent: str = "A",
    *,
    iteration: int = 1,
    messages: tuple[Message, ...] = (),
    start: Mapping[str, Any] | None = None,
    current: Mapping[str, Any] | None = None,
    decisions: tuple[bool, ...] = (),
    parameters: tuple[Parameter, ...] = (LIQUIDITY,),
) -> ProposalRequest:
    """A request to a proposer; what a test does not name is the beginning of the small experiment."""
    first = policy(0.5) if start is None else start
    return ProposalRequest(
        agent_id=agent,
        iteration=iteration,
        messages=messages,
        starting_policy=first,
        current_policy=first if current is None else current,
        decisions=decisions,
        parameters=parameters,
    )


def fraction_of(value: Mapping[str, Any]) -> float:
    found: float = value["parameters"]["initial_liquidity_fraction"]
    return found


def costs_by_fraction(scale: int = 1000) -> FakeSimulator:
    """A fake simulator in which each agent pays `scale` cents times the fraction that it commits."""
    return FakeSimulator(
        lambda policies, seed: FakeResult(
            {agent: FakeAgent(round(scale * fraction_of(each))) for agent, each in policies.items()}
        )
    )
