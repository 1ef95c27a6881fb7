"""Days small enough to follow by hand; every figure was confirmed on the reference engine."""

from __future__ import annotations

import pytest

from exprec.recorder.payments import AgentResult, PaymentSimulator, SimulationResult
from tests.fixtures.payments import Json, agent, branch, compare, leaf, pay, policy, scenario, split


def _costs(outcome: SimulationResult, agent_id: str) -> dict[str, int]:
    """The costs of an agent that are not zero."""
    result = outcome.agents[agent_id]
    named = ("liquidity", "delay", "penalty", "split", "opportunity", "total")
    return {name: cost for name in named if (cost := getattr(result, name))}


def _balances(outcome: SimulationResult) -> list[int]:
    return [result.balance for result in outcome.agents.values()]


@pytest.mark.parametrize(
    ("fractions", "settled", "costs_a", "costs_b", "balances"),
    [
        (
            (0.02, 0.0),
            0,
            {"delay": 3000, "opportunity": 200, "total": 3200},
            {"delay": 7000, "total": 7000},
            [0, 0],
        ),
        ((0.0, 0.2), 3, {}, {"opportunity": 2000, "total": 2000}, [5000, -5000]),
    ],
)
def test_deferred_credits_capped_deadlines_and_opportunity_cost(
    fractions: tuple[float, float], settled: int, costs_a: dict[str, int], costs_b: dict[str, int], balances: list[int]
) -> None:
    events = [pay(1, "A", "B", 15000, 2), pay(0, "B", "A", 15000, 2), pay(1, "B", "A", 5000, 2)]
    day = scenario(
        2,
        [agent("A", liquidity_pool=100_000), agent("B", liquidity_pool=100_000)],
        events,
        rates={
            "liquidity_cost_per_tick_bps": 500,
            "delay_cost_per_tick_per_cent": 0.2,
            "deadline_penalty": 50_000,
            "eod_penalty_per_transaction": 100_000,
        },
        deferred_crediting=True,
        deadline_cap_at_eod=True,
    )
    outcome = PaymentSimulator(day).simulate({"A": policy(fraction=fractions[0]), "B": policy(fraction=fractions[1])})
    assert (outcome.settled, outcome.arrivals) == (settled, 3)
    assert (_costs(outcome, "A"), _costs(outcome, "B")) == (costs_a, costs_b)
    assert _balances(outcome) == balances


def test_overdraft_lateness_and_rounding() -> None:
    day = scenario(
        5,
        [agent("A", cap=300), agent("B")],
        [pay(0, "A", "B", 1000, 2), pay(1, "A", "B", 250, 1), pay(2, "B", "A", 200, 1)],
        rates={
            "overdraft_bps_per_tick": 250,
            "delay_cost_per_tick_per_cent": 0.0123,
            "overdue_delay_multiplier": 5.0,
            "deadline_penalty": 1234,
            "eod_penalty_per_transaction": 7777,
        },
    )
    outcome = PaymentSimulator(day).simulate({})
    assert _costs(outcome, "A") == {"liquidity": 9, "delay": 160, "penalty": 9011, "total": 9180}
    assert _costs(outcome, "B") == {}
    assert (outcome.settled, outcome.arrivals) == (2, 3)


def test_a_split_payment() -> None:
    day = scenario(
        3,
        [agent("A", 700), agent("B")],
        [pay(0, "A", "B", 1000, 1)],
        rates={
            "delay_cost_per_tick_per_cent": 0.07,
            "overdue_delay_multiplier": 2.5,
            "deadline_penalty": 50,
            "eod_penalty_per_transaction": 100,
            "split_friction_cost": 25,
        },
    )
    outcome = PaymentSimulator(day).simulate({"A": policy(split(3))})
    assert _costs(outcome, "A") == {"delay": 104, "penalty": 150, "split": 50, "total": 304}
    assert (outcome.arrivals, outcome.settled, outcome.total) == (1, 0, 4)
    assert _balances(outcome) == [34, 666]


_BILATERAL = {"enable_bilateral": True, "enable_cycles": False}
_CYCLES = {"enable_bilateral": False, "enable_cycles": True}


@pytest.mark.parametrize(
    ("deferred", "settled", "delays", "balances"),
    [(False, 4, [0, 0, 0], [50, 50, 0]), (True, 3, [0, 5, 5], [50, 0, 50])],
)
def test_offsetting_of_two_agents(deferred: bool, settled: int, delays: list[int], balances: list[int]) -> None:
    day = scenario(
        2,
        [agent("A", 100), agent("B"), agent("C")],
        [pay(0, "A", "B", 500), pay(0, "B", "A", 450), pay(0, "B", "C", 50), pay(1, "C", "B", 50)],
        rates={"delay_cost_per_tick_per_cent": 0.1},
        lsm_config=_BILATERAL,
        deferred_crediting=deferred,
    )
    outcome = PaymentSimulator(day).simulate({})
    assert outcome.settled == settled
    assert [result.delay for result in outcome.agents.values()] == delays
    assert _balances(outcome) == balances


@pytest.mark.parametrize(
    ("events", "settled", "balances"),
    [
        ([pay(0, "A", "B", 500), pay(0, "B", "C", 530), pay(0, "C", "A", 500)], 3, [0, 0, 30]),
        # The same round the other way: never looked for, although B could cover it.
        ([pay(0, "A", "C", 500), pay(0, "C", "B", 500), pay(0, "B", "A", 530)], 0, [0, 30, 0]),
    ],
)
def test_offsetting_of_three_agents(events: list[Json], settled: int, balances: list[int]) -> None:
    day = scenario(1, [agent("A"), agent("B", 30), agent("C")], events, lsm_config=_CYCLES)
    outcome = PaymentSimulator(day).simulate({})
    assert outcome.settled == settled
    assert _balances(outcome) == balances


def test_random_arrivals() -> None:
    def bank(agent_id: str, opening: int, pool: int, cap: int = 0, **more: object) -> Json:
        return agent(agent_id, opening, cap, liquidity_pool=pool, **more)

    b_sends = {
        "rate_per_tick": 0.5,
        "amount_distribution": {"type": "Exponential", "lambda": 0.0002},
        "counterparty_weights": {"A": 2.0, "C": 1.0},
        "deadline_range": [3, 8],
    }
    c_sends = {
        "rate_per_tick": 2.0,
        "amount_distribution": {"type": "LogNormal", "mean": 25000, "std_dev": 12500},
        "counterparty_weights": {"A": 0.5, "B": 2.0},
        "deadline_range": [1, 3],
    }
    day = scenario(
        2,
        [
            bank("A", 50000, 300_001),
            bank("B", 0, 300_001, arrival_config=b_sends),
            bank("C", 0, 1_000_000, 500_000, arrival_config=c_sends),
        ],
        rates={"delay_cost_per_tick_per_cent": 0.07, "overdraft_bps_per_tick": 0.8},
        deadline_cap_at_eod=True,
    )
    urgent = compare({"field": "ticks_to_deadline"}, "<=", {"value": 1})
    policies = {
        "A": policy(fraction=1.0),
        "B": policy(fraction=0.05),
        "C": policy(branch(urgent, leaf(node_id="now"), leaf("Hold", "later")), fraction=0.05),
    }
    outcome = PaymentSimulator(day).simulate(policies, 1195470527)
    assert (outcome.settled, outcome.arrivals, outcome.total) == (4, 4, 4)
    assert outcome.agents["A"] == AgentResult(52400, 0, 0, 0, 0, 0, 0, 0)
    assert outcome.agents["B"] == AgentResult(82822, 0, 0, 0, 0, 0, 0, 0)
    assert outcome.agents["C"] == AgentResult(-85222, 3, 1230, 0, 0, 0, 0, 1233)
