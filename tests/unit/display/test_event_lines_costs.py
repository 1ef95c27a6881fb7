"""Costs as text: integers, numbers in a unit, and payments only where an event has them."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.display import VerboseConfig, short_cost, short_costs
from exprec.recorder.display.event_lines import event_lines
from tests.fixtures.display import print_to_text
from tests.fixtures.events import full_event


def shown(event: dict[str, Any]) -> str:
    return print_to_text(*event_lines(event, VerboseConfig.all_enabled()), width=200)


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (7, "7"),
        (-(2**63), str(-(2**63))),
        (0.5, "0.5"),
        (0.1 + 0.2, "0.3"),
        (2.0, "2.0"),
        (1e-9, "1e-9"),
        (1e9, "1000000000.0"),
    ],
)
def test_floats_have_six_digits_and_integers_all(cost: float, text: str) -> None:
    assert short_cost(cost) == text
    assert short_cost(cost, signed=True) == (text if cost < 0 else f"+{text}")


def test_costs_that_differ_look_different() -> None:
    assert short_costs(5000, 2500) == "5000 → 2500"
    assert short_costs(0.1234567, 0.1234568) == "0.1234567 → 0.1234568"
    assert short_costs(0.3, 0.1 + 0.2) == "0.3 → 0.30000000000000004"
    assert short_costs(0.5, 0.5) == "0.5 → 0.5"


def test_an_event_shows_the_payments_that_it_has() -> None:
    event = full_event("bootstrap_evaluation")
    assert shown(event).count("settled 9 of 10") == 2
    sample = event["seed_results"][0]
    # As runs of rules 1 have it for a simulator without payments.
    event["seed_results"] = [{**sample, "settled": 0, "total": 0, "settlement_rate": 1.0}]
    assert shown(event).count("settled 0 of 0") == 2
    event["seed_results"] = [{key: sample[key] for key in ("seed", "cost", "costs_per_agent")}]
    assert "settled" not in shown(event)


def test_the_start_names_the_unit() -> None:
    start = full_event("experiment_start")
    assert shown(start).endswith("all costs in cents\n")
    assert shown({**start, "costs": {"unit": "ms", "type": "number"}}).endswith("all costs in ms\n")
    assert "all costs in \\x1b[31m\n" in shown({**start, "costs": {"unit": "\x1b[31m", "type": "number"}})
