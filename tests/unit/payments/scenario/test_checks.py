"""Everything that a scenario may not say, refused before the first tick under its full key."""

from __future__ import annotations

from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.errors import InvalidInput
from exprec.recorder.payments import PaymentSimulator, check_scenario
from tests.fixtures.json_values import remove_at, replace_at
from tests.fixtures.payments import Json, agent, arrivals, leaf, pay, policy, scenario

_ARRIVALS = ("agents", 0, "arrival_config")
_AMOUNT = (*_ARRIVALS, "amount_distribution")
_PRIORITY = (*_ARRIVALS, "priority_distribution")
_EVENT = ("scenario_events", 0)


def _valid() -> Json:
    return scenario(5, [agent("A", arrival_config=arrivals({"B": 1.0})), agent("B")], [pay(0, "A", "B", 5)])


_REFUSED: list[tuple[tuple[str | int, ...], Any, str, str]] = [
    # Keys that others know and this simulator does not model.
    *((("agents", 0, key), 1, f"agents[A].{key}", "1 is refused: collateral is not modelled")
      for key in ("posted_collateral", "collateral_haircut", "max_collateral_capacity")),
    (("agents", 0, "limits"), {"daily": 5}, "agents[A].limits", "payment limits are not modelled"),
    (("agents", 0, "arrival_bands"), {}, "agents[A].arrival_bands", "arrival bands are not modelled"),
    *(((key,), "x", key, "'x' is refused: ") for key in (
        "queue1_ordering", "priority_mode", "priority_escalation", "algorithm_sequencing",
        "entry_disposition_offsetting", "daily_liquidity_reallocation", "eod_rush_threshold",
        "policy_feature_toggles", "cost_feature_toggles",
    )),
    # Unknown keys.
    (("simulaton",), 1, "simulaton", "unknown key; did you mean 'simulation'?"),
    (("simulation", "ticks"), 1, "simulation.ticks", "unknown key"),
    (("cost_rates", "eod"), 1, "cost_rates.eod", "unknown key"),
    (("lsm_config", "enable_all"), True, "lsm_config.enable_all", "unknown key"),
    (("agents", 0, "openning_balance"), 1, "agents[A].openning_balance", "did you mean 'opening_balance'?"),
    ((*_ARRIVALS, "rate"), 1, "agents[A].arrival_config.rate", "unknown key"),
    ((*_AMOUNT, "lambda"), 1, "agents[A].arrival_config.amount_distribution.lambda", "unknown key"),
    ((*_EVENT, "when"), 1, "scenario_events[0].when", "unknown key"),
    # Values out of range or of a wrong type.
    (("simulation", "ticks_per_day"), 0, "simulation.ticks_per_day", "must be at least 1, not 0"),
    (("simulation", "ticks_per_day"), True, "simulation.ticks_per_day", "must be an integer, not true"),
    (("simulation", "ticks_per_day"), 1_000_001, "simulation.ticks_per_day", "must be at most 1000000, not 1000001"),
    (("simulation", "ticks_per_day"), 5.0, "simulation.ticks_per_day", "must be an integer, not 5.0"),
    (("simulation", "num_days"), 2, "simulation.num_days", "must be 1, not 2"),
    (("simulation", "rng_seed"), -1, "simulation.rng_seed", "must be at least 0, not -1"),
    (("simulation", "rng_seed"), 2**64, "simulation.rng_seed", "beyond 64 bits"),
    (("deferred_crediting",), 1, "deferred_crediting", "must be true or false, not 1"),
    (("deadline_cap_at_eod",), None, "deadline_cap_at_eod", "must be true or false, not null"),
    *((("cost_rates", key), value, f"cost_rates.{key}", words)
      for key in ("liquidity_cost_per_tick_bps", "delay_cost_per_tick_per_cent", "overdraft_bps_per_tick",
                  "collateral_cost_per_tick_bps", "overdue_delay_multiplier")
      for value, words in ((-0.1, "must be at least 0, not -0.1"), ("1", "must be a number, not '1'"),
                           (1e301, "must be at most"), (float("nan"), "nan is not a number"))),
    (("cost_rates", "split_friction_cost"), 1.5, "cost_rates.split_friction_cost", "must be an integer, not 1.5"),
    (("cost_rates", "deadline_penalty"), 1.0, "cost_rates.deadline_penalty", "must be an integer or a mapping"),
    (("cost_rates", "deadline_penalty"), {"mode": "tiered"}, "cost_rates.deadline_penalty.mode", "not 'tiered'"),
    (("cost_rates", "deadline_penalty"), {"amount": 5}, "cost_rates.deadline_penalty.mode", "missing"),
    (("cost_rates", "deadline_penalty"), {"mode": "fixed"}, "cost_rates.deadline_penalty.amount", "missing"),
    (("cost_rates", "deadline_penalty"), {"mode": "fixed", "amount": 5.0}, "cost_rates.deadline_penalty.amount",
     "must be an integer, not 5.0"),
    (("cost_rates", "deadline_penalty"), {"mode": "rate", "bps_per_event": -1},
     "cost_rates.deadline_penalty.bps_per_event", "must be at least 0"),
    (("cost_rates", "eod_penalty"), 5, "cost_rates.eod_penalty", "an alias of eod_penalty_per_transaction"),
    (("cost_rates", "priority_delay_multipliers"), {"high": 1}, "cost_rates.priority_delay_multipliers.high",
     "unknown key"),
    (("lsm_config", "max_cycle_length"), 11, "lsm_config.max_cycle_length", "must be at most 10, not 11"),
    (("lsm_config", "max_cycle_length"), 2, "lsm_config.max_cycle_length", "must be at least 3, not 2"),
    (("lsm_config", "max_cycles_per_tick"), 101, "lsm_config.max_cycles_per_tick", "must be at most 100"),
    (("lsm_config", "max_cycles_per_tick"), 0, "lsm_config.max_cycles_per_tick", "must be at least 1"),
    (("agents",), [], "agents", "must have at least 1 item"),
    (("agents", 1, "id"), "  ", "agents[1].id", "must match the pattern"),
    (("agents", 0, "opening_balance"), 1.0, "agents[A].opening_balance", "must be an integer, not 1.0"),
    (("agents", 0, "unsecured_cap"), -1, "agents[A].unsecured_cap", "must be at least 0, not -1"),
    (("agents", 0, "liquidity_pool"), -1, "agents[A].liquidity_pool", "must be at least 0, not -1"),
    (("agents", 0, "liquidity_allocation_fraction"), 1.1, "agents[A].liquidity_allocation_fraction", "at most 1"),
    (("agents", 0, "policy"), {"type": "LiquidityAware"}, "agents[A].policy.type", "'LiquidityAware' is refused"),
    (("agents", 0, "policy"), {}, "agents[A].policy.type", "missing"),
    (("agents", 0, "policy"), {"type": "Fifo", "x": 1}, "agents[A].policy.x", "unknown key"),
    # Arrivals.
    ((*_ARRIVALS, "rate_per_tick"), -1, "agents[A].arrival_config.rate_per_tick", "must be at least 0, not -1"),
    (_AMOUNT, {"type": "Pareto"}, "agents[A].arrival_config.amount_distribution.type", "not 'Pareto'"),
    (_AMOUNT, {"type": "Normal", "mean": 5.0, "std_dev": 1}, "agents[A].arrival_config.amount_distribution.mean",
     "must be an integer, not 5.0"),
    (_AMOUNT, {"type": "Normal", "mean": 5, "std_dev": 0}, "agents[A].arrival_config.amount_distribution.std_dev",
     "must be at least 1"),
    (_AMOUNT, {"type": "LogNormal", "mean": 0, "std_dev": 1}, "agents[A].arrival_config.amount_distribution.mean",
     "must be more than 0, not 0"),
    (_AMOUNT, {"type": "Uniform", "min": 0, "max": 5}, "agents[A].arrival_config.amount_distribution.min",
     "must be at least 1, not 0"),
    (_AMOUNT, {"type": "Uniform", "min": 5, "max": 5}, "agents[A].arrival_config.amount_distribution.max",
     "must be more than min, 5, not 5"),
    (_AMOUNT, {"type": "Exponential"}, "agents[A].arrival_config.amount_distribution.lambda", "missing"),
    (_AMOUNT, {"type": "Exponential", "lambda": 0}, "agents[A].arrival_config.amount_distribution.lambda",
     "must be more than 0"),
    ((*_ARRIVALS, "counterparty_weights"), {}, "agents[A].arrival_config.counterparty_weights", "at least 1 key"),
    ((*_ARRIVALS, "counterparty_weights"), {"C": 1}, "agents[A].arrival_config.counterparty_weights.C",
     "unknown agent (known: A, B)"),
    ((*_ARRIVALS, "counterparty_weights"), {"B": 0.0}, "agents[A].arrival_config.counterparty_weights",
     "the sum of the weights must be more than 0"),
    ((*_ARRIVALS, "counterparty_weights"), {"B": -1}, "agents[A].arrival_config.counterparty_weights.B",
     "must be at least 0, not -1"),
    ((*_ARRIVALS, "deadline_range"), [8, 3], "agents[A].arrival_config.deadline_range", "8 is more than 3"),
    ((*_ARRIVALS, "deadline_range"), [0, 3], "agents[A].arrival_config.deadline_range[0]", "must be at least 1"),
    ((*_ARRIVALS, "deadline_range"), [3], "agents[A].arrival_config.deadline_range", "must have at least 2 items"),
    ((*_ARRIVALS, "priority"), 11, "agents[A].arrival_config.priority", "must be at most 10, not 11"),
    ((*_ARRIVALS, "divisible"), True, "agents[A].arrival_config.divisible", "must be false, not true"),
    (_PRIORITY, {"type": "Beta"}, "agents[A].arrival_config.priority_distribution.type", "not 'Beta'"),
    (_PRIORITY, {"type": "Fixed", "value": 11}, "agents[A].arrival_config.priority_distribution.value", "at most 10"),
    (_PRIORITY, {"type": "Uniform", "min": 3, "max": 2}, "agents[A].arrival_config.priority_distribution.max",
     "must be at least min, 3, not 2"),
    (_PRIORITY, {"type": "Categorical", "values": [1, 2], "weights": [1]},
     "agents[A].arrival_config.priority_distribution.weights", "there are 1 weights for 2 values"),
    (_PRIORITY, {"type": "Categorical", "values": [1], "weights": [0]},
     "agents[A].arrival_config.priority_distribution.weights", "sum of the weights must be more than 0"),
    # Events.
    ((*_EVENT, "type"), "GlobalArrivalRateChange", "scenario_events[0].type", "not 'GlobalArrivalRateChange'"),
    ((*_EVENT, "from_agent"), "X", "scenario_events[0].from_agent", "'X' is an unknown agent (known: A, B)"),
    ((*_EVENT, "to_agent"), "X", "scenario_events[0].to_agent", "'X' is an unknown agent (known: A, B)"),
    ((*_EVENT, "to_agent"), "A", "scenario_events[0].to_agent", "'A' is also from_agent"),
    ((*_EVENT, "amount"), 0, "scenario_events[0].amount", "must be at least 1, not 0"),
    ((*_EVENT, "amount"), 5.0, "scenario_events[0].amount", "must be an integer, not 5.0"),
    ((*_EVENT, "priority"), -1, "scenario_events[0].priority", "must be at least 0, not -1"),
    ((*_EVENT, "deadline"), 0, "scenario_events[0].deadline", "must be at least 1, not 0"),
    ((*_EVENT, "is_divisible"), True, "scenario_events[0].is_divisible", "must be false, not true"),
    ((*_EVENT, "schedule"), {"type": "Daily"}, "scenario_events[0].schedule.type", "not 'Daily'"),
    ((*_EVENT, "schedule"), {"type": "OneTime", "tick": -1}, "scenario_events[0].schedule.tick", "at least 0"),
    ((*_EVENT, "schedule"), {"type": "Repeating", "start_tick": 0, "interval": 0},
     "scenario_events[0].schedule.interval", "must be at least 1, not 0"),
    (_EVENT, {"type": "CollateralAdjustment", "agent": "X", "delta": 1, "schedule": {"type": "OneTime", "tick": 0}},
     "scenario_events[0].agent", "'X' is an unknown agent"),
    (_EVENT, {"type": "DirectTransfer", "from_agent": "A", "to_agent": "B", "amount": 5, "deadline": 3,
              "schedule": {"type": "OneTime", "tick": 0}}, "scenario_events[0].deadline", "unknown key"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "key", "words"), _REFUSED, ids=lambda part: str(part)[:60])
def test_what_is_refused(path: tuple[str | int, ...], value: Any, key: str, words: str) -> None:
    (problem,) = check_scenario(replace_at(_valid(), path, value))
    assert problem.key == key
    assert words in problem.message


@pytest.mark.parametrize(
    "path",
    [
        ("simulation",),
        ("simulation", "ticks_per_day"),
        ("simulation", "num_days"),
        ("simulation", "rng_seed"),
        ("agents",),
        ("agents", 0, "opening_balance"),
        (*_ARRIVALS, "rate_per_tick"),
        (*_ARRIVALS, "deadline_range"),
        (*_ARRIVALS, "counterparty_weights"),
        (*_ARRIVALS, "amount_distribution"),
        (*_AMOUNT, "mean"),
        (*_EVENT, "type"),
        (*_EVENT, "amount"),
        (*_EVENT, "schedule"),
        (*_EVENT, "schedule", "tick"),
    ],
    ids=str,
)
def test_what_is_required(path: tuple[str | int, ...]) -> None:
    missing = [problem for problem in check_scenario(remove_at(_valid(), path)) if "missing" in problem.message]
    assert [problem.path for problem in missing] == [path]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("simulation", "rng_seed"), 2**64 - 1),
        (("agents", 0, "opening_balance"), -500),
        (("agents", 0, "policy"), {"type": "Fifo"}),
        (("agents", 0, "policy"), policy()),
        ((*_ARRIVALS, "counterparty_weights"), {"A": 3, "B": 1}),
        ((*_ARRIVALS, "divisible"), False),
        ((*_ARRIVALS, "rate_per_tick"), 0),
        ((*_EVENT, "is_divisible"), False),
        ((*_EVENT, "schedule"), {"type": "OneTime", "tick": 999}),
        (("cost_rates", "deadline_penalty"), {"mode": "rate", "bps_per_event": 0}),
        (("cost_rates", "deadline_penalty"), -5),
        (("cost_rates", "priority_delay_multipliers"), {"urgent_multiplier": 2}),
    ],
    ids=str,
)
def test_what_is_allowed(path: tuple[str | int, ...], value: Any) -> None:
    assert check_scenario(replace_at(_valid(), path, value)) == []


def test_ids_are_unique() -> None:
    (problem,) = check_scenario(scenario(1, [agent("A"), agent("B"), agent("A")]))
    assert problem.path == ("agents", 2, "id")
    assert problem.message == "duplicate id 'A', already used by agents[0]"


def test_arrivals_need_another_agent() -> None:
    (problem,) = check_scenario(scenario(1, [agent("A", arrival_config=arrivals({"A": 1.0}))]))
    assert problem.key == "agents[A].arrival_config"
    assert check_scenario(scenario(1, [agent("A")])) == []


def test_every_problem_is_listed_of_structure_meaning_and_policies() -> None:
    day = _valid()
    day["agents"][0] |= {"limits": {}, "unsecured_cap": -1}
    day["agents"][0]["arrival_config"] |= {"deadline_range": [8, 3], "divisible": True}
    day["agents"][1]["policy"] = policy(leaf("Drop", "d"))
    day["scenario_events"][0] |= {"to_agent": "X", "amount": 0}
    day["cost_rates"]["eod_penalty"] = 1
    with pytest.raises(InvalidInput) as refusal:
        PaymentSimulator(day)
    assert {problem.key for problem in refusal.value.problems} == {
        "agents[A].limits",
        "agents[A].unsecured_cap",
        "agents[A].arrival_config.deadline_range",
        "agents[A].arrival_config.divisible",
        "agents[B].policy.payment_tree.action",
        "scenario_events[0].to_agent",
        "scenario_events[0].amount",
        "cost_rates.eod_penalty",
    }
    assert all(problem.key in str(refusal.value) for problem in refusal.value.problems)


def _undescribed(schema: Any, path: str = "") -> list[str]:
    """The keys without a description; `{}` only repeats a key that is described beside it."""
    if isinstance(schema, list):
        return [key for part in schema for key in _undescribed(part, path)]
    if not isinstance(schema, dict):
        return []
    own = [f"{path}.{key}" for key, part in schema.get("properties", {}).items() if part and "description" not in part]
    nested = {**schema, **schema.get("properties", {})}
    return own + [key for name, part in nested.items() if name != "if" for key in _undescribed(part, f"{path}.{name}")]


def test_the_schema_describes_every_key() -> None:
    assert _undescribed(schemas.load("scenario.v1")) == []


@pytest.mark.parametrize("value", [None, 3, "x", [], [{}]], ids=str)
def test_what_is_no_mapping_is_no_scenario(value: Any) -> None:
    (problem,) = check_scenario(value)
    assert problem.message.startswith("must be a mapping, not ")


@pytest.mark.parametrize("broken", [5, None, "x", [5], {"id": 5}, [[]]], ids=str)
@pytest.mark.parametrize("key", ["simulation", "cost_rates", "lsm_config", "agents", "scenario_events"])
def test_malformed_parts_are_problems_and_not_crashes(key: str, broken: Any) -> None:
    assert check_scenario(replace_at(_valid(), (key,), broken))
