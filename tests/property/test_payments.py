"""Properties of every simulated day, for any banks, payments and policies."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exprec import schemas
from exprec.recorder.payments import PaymentSimulator, SimulationResult, check_policy, check_scenario
from exprec.recorder.schema import load_validator
from exprec.recorder.schema.messages import explain
from tests.fixtures.payments import Json, agent, arrivals, branch, compare, leaf, pay, policy, scenario, split

# A deadline would measure the machine: the first problem found imports a large library.
_settings = settings(max_examples=60, deadline=None)

_IDS = "ABCDE"
_TICKS = 4
_cents = st.integers(1, 300)
_flags = st.booleans()


@st.composite
def _trees(draw: st.DrawFn) -> Json:
    field = draw(
        st.sampled_from(["amount", "ticks_to_deadline", "balance", "headroom", "rtgs_queue_value", "priority"])
    )
    limit = {"value": draw(st.integers(-50, 200))}
    actions = st.sampled_from([leaf(node_id="x"), leaf("Hold", "x"), split(2, "x"), split(3, "x")])
    on_true, on_false = (draw(actions) | {"node_id": name} for name in ("yes", "no"))
    tree = branch(compare({"field": field}, draw(st.sampled_from(["<=", ">"])), limit), on_true, on_false)
    splits = compare({"field": "amount"}, "<", {"value": 3})
    return draw(st.sampled_from([leaf(), branch(splits, leaf(node_id="small"), tree, "guard")]))


@st.composite
def _days(draw: st.DrawFn, trees: st.SearchStrategy[Json] | None = None) -> tuple[Json, dict[str, Json]]:
    """A scenario without unchecked transfers, and policies for it."""
    ids = _IDS[: draw(st.integers(2, 5))]
    agents = [
        agent(bank, draw(st.integers(0, 200)), draw(st.integers(0, 100)), liquidity_pool=draw(st.integers(0, 99)))
        for bank in draw(st.permutations(ids))
    ]
    if draw(_flags):
        agents[0]["arrival_config"] = arrivals(
            dict.fromkeys(ids, 1.0), 1.5, amount_distribution={"type": "Uniform", "min": 1, "max": 300}
        )
    events = []
    for _ in range(draw(st.integers(0, 12))):
        payer, payee, *_ = draw(st.permutations(ids))
        events.append(pay(draw(st.integers(0, _TICKS - 1)), payer, payee, draw(_cents), draw(st.integers(1, 5))))
    day = scenario(
        _TICKS,
        agents,
        events,
        seed=draw(st.integers(0, 2**64 - 1)),
        deferred_crediting=draw(_flags),
        deadline_cap_at_eod=draw(_flags),
        lsm_config={"enable_bilateral": draw(_flags), "enable_cycles": draw(_flags), "max_cycle_length": 5},
        rates={
            "delay_cost_per_tick_per_cent": draw(st.sampled_from([0, 0.1, 1])),
            "overdraft_bps_per_tick": draw(st.sampled_from([0, 250])),
            "liquidity_cost_per_tick_bps": draw(st.sampled_from([0, 33])),
            "deadline_penalty": 70,
            "split_friction_cost": 3,
        },
    )
    chosen = {
        bank: policy(draw(_trees() if trees is None else trees), fraction=draw(st.sampled_from([0.0, 0.3, 1.0])))
        for bank in ids
    }
    return day, chosen


def _simulate(case: tuple[Json, dict[str, Json]]) -> SimulationResult:
    day, policies = case
    return PaymentSimulator(day).simulate(policies)


@_settings
@given(_days())
def test_money_is_conserved(case: tuple[Json, dict[str, Json]]) -> None:
    opening = sum(bank["opening_balance"] for bank in case[0]["agents"])
    assert sum(result.balance for result in _simulate(case).agents.values()) == opening


@_settings
@given(_days())
def test_no_balance_falls_below_its_limit(case: tuple[Json, dict[str, Json]]) -> None:
    day, policies = case
    for ticks in range(1, _TICKS + 1):
        # The balances at the end of each tick are those of a day that ends there.
        day["simulation"]["ticks_per_day"] = ticks
        outcome = PaymentSimulator(day).simulate(policies)
        for bank in day["agents"]:
            fraction = policies[bank["id"]]["parameters"]["initial_liquidity_fraction"]
            held = outcome.agents[bank["id"]].balance + int(bank["liquidity_pool"] * fraction)
            assert held >= -bank["unsecured_cap"]


@_settings
@given(_days())
def test_counts_and_totals_add_up(case: tuple[Json, dict[str, Json]]) -> None:
    outcome = _simulate(case)
    assert 0 <= outcome.settled <= outcome.arrivals <= outcome.total
    for result in outcome.agents.values():
        costs = (result.liquidity, result.delay, result.penalty, result.split, result.opportunity)
        assert (result.total, result.collateral) == (sum(costs), 0)
        assert min(costs) >= 0


@_settings
@given(_days())
def test_the_same_seed_gives_the_same_outcome(case: tuple[Json, dict[str, Json]]) -> None:
    day, policies = case
    shuffled = {bank: dict(reversed(document.items())) for bank, document in reversed(policies.items())}
    simulator = PaymentSimulator(copy.deepcopy(day))
    simulator.simulate({}, 5)
    assert simulator.simulate(shuffled) == simulator.simulate(shuffled) == _simulate(case)


@_settings
@given(_days(st.just(leaf())), st.data())
def test_each_payment_settles_in_full_and_at_most_once(case: tuple[Json, dict[str, Json]], data: st.DataObject) -> None:
    """Amounts are different powers of four, so the changes of balances tell which payments settled."""
    day, policies = case
    for bank in day["agents"]:
        bank.pop("arrival_config", None)
        bank["opening_balance"] = data.draw(st.integers(0, 4**8))
    for power, event in enumerate(day["scenario_events"]):
        event["amount"] = 4**power
    outcome = PaymentSimulator(day).simulate(policies)
    gains = {bank["id"]: outcome.agents[bank["id"]].balance - bank["opening_balance"] for bank in day["agents"]}
    settled = 0
    for event in day["scenario_events"]:
        digits = {bank: (gain + 1) % 4 - 1 for bank, gain in gains.items()}
        moved = {bank: digit for bank, digit in digits.items() if digit}
        assert moved in ({}, {event["from_agent"]: -1, event["to_agent"]: 1})
        settled += bool(moved)
        gains = {bank: (gain - digits[bank]) // 4 for bank, gain in gains.items()}
    assert set(gains.values()) == {0}
    assert settled == outcome.settled


@_settings
@given(_days())
def test_deferred_credits_never_settle_more_single_cents_in_a_tick(case: tuple[Json, dict[str, Json]]) -> None:
    day, _ = case
    day["simulation"]["ticks_per_day"] = 1
    day["lsm_config"] = {"enable_bilateral": False, "enable_cycles": False}
    for bank in day["agents"]:
        bank.pop("arrival_config", None)
    for event in day["scenario_events"]:
        event["amount"] = 1
    deferred, immediate = (
        PaymentSimulator(day | {"deferred_crediting": defer}).simulate({}) for defer in (True, False)
    )
    assert deferred.settled <= immediate.settled


_junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | _flags | st.integers(-2, 3) | st.sampled_from([0.5, 1.0, -1.0, "", "A", "Release", "condition", "<"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "op", "value", "param", "field", "compute", "id", "amount"]), inner)
    ),
    max_leaves=6,
)


def _places(part: Any) -> list[tuple[Any, Any]]:
    """Return each container of a document with each of its keys."""
    keys = list(part) if isinstance(part, dict) else list(range(len(part))) if isinstance(part, list) else []
    return [(part, key) for key in keys] + [place for key in keys for place in _places(part[key])]


@_settings
@given(_days(), st.data())
def test_both_schema_engines_give_the_same_verdict(case: tuple[Json, dict[str, Json]], data: st.DataObject) -> None:
    day, policies = copy.deepcopy(case)
    for name, document in (("scenario.v1", day), ("policy.v1", policies["A"])):
        container, key = data.draw(st.sampled_from(_places(document)))
        container[key] = data.draw(_junk)
        assert load_validator(name).is_valid(document) == (explain(schemas.load(name), document) == [])


@settings(max_examples=80, deadline=None)
@given(_days(), st.data())
def test_mutilated_document_is_refused_or_simulated_without_a_crash(
    case: tuple[Json, dict[str, Json]], data: st.DataObject
) -> None:
    day, policies = copy.deepcopy(case)
    day["agents"][0]["policy"] = policies.pop(day["agents"][0]["id"])
    container, key = data.draw(st.sampled_from(_places(day)))
    container[key] = data.draw(_junk)
    problems = check_scenario(day)
    assert len({(problem.path, problem.message) for problem in problems}) == len(problems)
    if not problems:
        PaymentSimulator(day)
    document = next(iter(policies.values()))
    container, key = data.draw(st.sampled_from(_places(document)))
    container[key] = data.draw(_junk)
    if not check_policy(document):
        PaymentSimulator(scenario(1, [agent("A")])).simulate({"A": document})
