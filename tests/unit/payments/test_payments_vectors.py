"""Every recorded outcome of the reference engine, in every field."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.payments import PaymentSimulator
from tests.fixtures.payments import agent, pay, policy, scenario, twelve_period_game, vectors

_COMMON = {"deferred_crediting": True, "deadline_cap_at_eod": True}
_RATES = {"delay_cost_per_tick_per_cent": 0.2, "eod_penalty_per_transaction": 100_000, "deadline_penalty": 50_000}


def _banks() -> list[dict[str, Any]]:
    return [agent("BANK_A", liquidity_pool=100_000), agent("BANK_B", liquidity_pool=100_000)]


def _two_period_game() -> dict[str, Any]:
    events = [
        pay(1, "BANK_A", "BANK_B", 15000, deadline=2),
        pay(0, "BANK_B", "BANK_A", 15000, deadline=2),
        pay(1, "BANK_B", "BANK_A", 5000, deadline=2),
    ]
    return scenario(2, _banks(), events, rates=_RATES | {"liquidity_cost_per_tick_bps": 500}, **_COMMON)


def _three_period_game() -> dict[str, Any]:
    pairs = [("BANK_A", "BANK_B"), ("BANK_B", "BANK_A")]
    events = [pay(tick, *pair, 20000, deadline=2) for tick in (0, 1) for pair in pairs]
    return scenario(3, _banks(), events, rates=_RATES | {"liquidity_cost_per_tick_bps": 333}, **_COMMON)


_GAMES = {"two-period": _two_period_game, "three-period": _three_period_game, "twelve-period": twelve_period_game}


@pytest.mark.parametrize(("name", "count"), [("engine", 180), ("engine_more", 150)])
def test_outcomes_equal_those_of_the_reference_engine(name: str, count: int) -> None:
    cases = vectors(name)
    differing = {
        index: (outcome, case["expected"])
        for index, case in enumerate(cases)
        if (outcome := PaymentSimulator(case["scenario"]).simulate(case["policies"], case["seed"]).as_dict())
        != case["expected"]
    }
    assert len(cases) == count
    assert differing == {}


@pytest.mark.parametrize("row", vectors("castro_table")["rows"], ids=lambda row: f"{row['game']}-{row['iteration']}")
def test_published_costs_of_the_games(row: dict[str, Any]) -> None:
    simulator = PaymentSimulator(_GAMES[row["game"]]())
    outcome = simulator.simulate({bank: policy(fraction=share) for bank, share in row["fraction"].items()})
    assert {bank: result.total for bank, result in outcome.agents.items()} == row["cost_cents"]


@pytest.mark.parametrize(
    ("game", "fractions", "costs"),
    [
        ("two-period", (0.0, 0.2), (0, 2000)),
        ("two-period", (0.5, 0.5), (5000, 5000)),
        ("three-period", (0.2, 0.2), (1998, 1998)),
        ("three-period", (0.5, 0.5), (4995, 4995)),
        ("twelve-period", (0.5, 0.5), (49800, 49800)),
    ],
)
def test_known_outcomes_of_the_games(game: str, fractions: tuple[float, float], costs: tuple[int, int]) -> None:
    simulator = PaymentSimulator(_GAMES[game]())
    policies = {bank: policy(fraction=share) for bank, share in zip(simulator.agents, fractions, strict=True)}
    outcome = simulator.simulate(policies)
    assert tuple(result.total for result in outcome.agents.values()) == costs
    assert outcome.settled == outcome.arrivals == {"two-period": 3, "three-period": 4, "twelve-period": 53}[game]


def test_the_only_pure_equilibrium_of_the_two_period_game() -> None:
    """On a grid of 5 % no other pair of fractions is a best answer to itself (Castro et al., 2025)."""
    simulator = PaymentSimulator(_two_period_game())
    grid = [step / 20 for step in range(21)]

    def costs(first: float, second: float) -> tuple[int, int]:
        outcome = simulator.simulate({"BANK_A": policy(fraction=first), "BANK_B": policy(fraction=second)})
        return outcome.agents["BANK_A"].total, outcome.agents["BANK_B"].total

    table = {(first, second): costs(first, second) for first in grid for second in grid}
    equilibria = [
        (first, second)
        for (first, second), (cost_a, cost_b) in table.items()
        if cost_a == min(table[other, second][0] for other in grid)
        and cost_b == min(table[first, other][1] for other in grid)
    ]
    assert equilibria == [(0.0, 0.2)]
