"""What the simulator offers to the rest of exprec, and that its caches change nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from exprec.recorder.errors import InvalidInput, SimulationError
from exprec.recorder.payments import PaymentSimulator, check_policy
from tests.fixtures.payments import agent, arrivals, branch, compare, leaf, pay, policy, scenario, twelve_period_game


def test_what_a_simulator_tells_of_its_scenario() -> None:
    inline = policy(leaf("Hold"), fraction=0.25)
    day = scenario(7, [agent("Z", policy=inline), agent("A", policy={"type": "Fifo"}), agent("M")], seed=99)
    simulator = PaymentSimulator(day)
    assert (simulator.agents, simulator.ticks_per_day, simulator.rng_seed) == (("Z", "A", "M"), 7, 99)
    assert [simulator.has_policy(bank) for bank in "ZAM"] == [True, False, False]
    assert simulator.starting_policy("Z") == inline
    start = simulator.starting_policy("A")
    assert start == simulator.starting_policy("M")
    assert start["version"] == "2.0"
    assert start["policy_id"] == "start"
    assert start["parameters"] == {"initial_liquidity_fraction": 0.5}
    assert (start["payment_tree"]["type"], start["payment_tree"]["action"]) == ("action", "Release")
    assert check_policy(start) == []


def test_an_agent_without_a_document_keeps_the_policy_of_the_scenario() -> None:
    inline = policy(leaf("Hold"), fraction=0.25)
    agents = [agent("A", liquidity_pool=100, policy=inline), agent("B", liquidity_pool=100)]
    simulator = PaymentSimulator(scenario(1, agents, [pay(0, "A", "B", 10), pay(0, "B", "A", 10)]))
    balances = {"kept": simulator.simulate({}), "replaced": simulator.simulate({"A": policy(fraction=1.0)})}
    assert {name: outcome.settled for name, outcome in balances.items()} == {"kept": 1, "replaced": 2}


def test_changes_of_what_was_given_or_returned_do_not_reach_the_simulator() -> None:
    inline = policy(leaf("Hold"), fraction=0.25)
    day = scenario(1, [agent("A", policy=inline), agent("B")])
    simulator = PaymentSimulator(day)
    expected = copy.deepcopy(inline)
    inline["parameters"]["initial_liquidity_fraction"] = 7
    simulator.starting_policy("A")["payment_tree"]["action"] = "Drop"
    assert simulator.starting_policy("A") == expected


def test_the_seed_of_the_scenario_counts_unless_another_is_given() -> None:
    simulator = PaymentSimulator(twelve_period_game())
    assert simulator.simulate({}) == simulator.simulate({}, 42)
    assert simulator.simulate({}) != simulator.simulate({}, 43)
    assert simulator.simulate({}, 0) == simulator.simulate({}, 1)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", True], ids=repr)
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    with pytest.raises(InvalidInput, match="seed: must be an integer from 0 to 18446744073709551615, not "):
        PaymentSimulator(twelve_period_game()).simulate({}, seed)


def test_problems_of_all_policies_are_listed_under_their_agents() -> None:
    simulator = PaymentSimulator(twelve_period_game())
    with pytest.raises(InvalidInput) as refusal:
        simulator.simulate({"BANK_A": policy(leaf("Drop")), "BANK_Q": policy(), "BANK_B": {"version": "1"}})
    assert [(problem.path, problem.key) for problem in refusal.value.problems] == [
        (("BANK_A", "payment_tree", "action"), "policies[BANK_A].payment_tree.action"),
        (("BANK_Q",), "policies[BANK_Q]"),
        (("BANK_B", "policy_id"), "policies[BANK_B].policy_id"),
        (("BANK_B", "payment_tree"), "policies[BANK_B].payment_tree"),
    ]
    assert "did you mean 'BANK_" in refusal.value.problems[1].message


@pytest.mark.parametrize("document", [None, 5, [], {"x": float("nan")}, {5: 5}, {"version": {1, 2}}], ids=repr)
def test_what_is_no_policy_is_invalid_input(document: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^policies\[BANK_A\]"):
        PaymentSimulator(twelve_period_game()).simulate({"BANK_A": document})
    with pytest.raises(InvalidInput, match="must be a mapping of agents to policies"):
        PaymentSimulator(twelve_period_game()).simulate([document])  # type: ignore[arg-type]


def test_outcomes_do_not_depend_on_what_was_simulated_before() -> None:
    fractions, seeds = (0.0, 0.01, 0.3), (1, 2, 3)
    used = PaymentSimulator(twelve_period_game())
    for _ in range(2):
        for fraction in fractions:
            for seed in seeds:
                given = {"BANK_A": policy(fraction=fraction)}
                fresh = PaymentSimulator(twelve_period_game()).simulate(given, seed)
                assert used.simulate(given, seed) == fresh


def test_equal_numbers_of_another_type_are_policies_of_their_own() -> None:
    """True equals 1 in Python, but as a parameter it is refused, whatever was simulated before."""
    simulator = PaymentSimulator(twelve_period_game())
    simulator.simulate({"BANK_A": policy(urgency=1)})
    with pytest.raises(InvalidInput, match=r"parameters\.urgency: must be a number, not true"):
        simulator.simulate({"BANK_A": policy(urgency=True)})


def test_an_agent_may_send_more_than_it_expects() -> None:
    busy = arrivals({"B": 1.0}, rate=300.0)
    outcome = PaymentSimulator(scenario(2, [agent("A", arrival_config=busy), agent("B")])).simulate({})
    assert 450 < outcome.arrivals < 750


def test_amounts_beyond_floating_point_stop_the_run() -> None:
    huge = arrivals({"B": 1.0}, rate=50.0, amount_distribution={"type": "Exponential", "lambda": 3e-307})
    crowded = compare({"field": "queue1_total_value"}, ">", {"value": 0})
    tree = branch(crowded, leaf("Hold", "yes"), leaf("Hold", "no"))
    day = scenario(1, [agent("A", arrival_config=huge), agent("B")])
    with pytest.raises(SimulationError, match="beyond what floating point can hold"):
        PaymentSimulator(day).simulate({"A": policy(tree)})


def test_the_outcome_as_plain_types() -> None:
    outcome = PaymentSimulator(twelve_period_game()).simulate({"BANK_A": policy(fraction=0.5)})
    as_dict = outcome.as_dict()
    assert set(as_dict) == {"arrivals", "settled", "total", "agents"}
    names = ("balance", "liquidity", "delay", "collateral", "penalty", "split", "opportunity", "total")
    assert as_dict["agents"]["BANK_A"] == {name: getattr(outcome.agents["BANK_A"], name) for name in names}
