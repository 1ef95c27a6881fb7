"""What became of an exchange, from the events of its run."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.format import canonical_json
from exprec.recorder.state import audit_exchanges
from exprec.recorder.state.audit import Decision
from tests.fixtures.events import EXCHANGE

Json = dict[str, Any]


def _exchange(index: int, agent: str = "A", **changes: Any) -> Json:
    return {**EXCHANGE, "index": index, "origin": {**EXCHANGE["origin"], "agent_id": agent, **changes}}


def _call(exchange: Any, agent: Any = "A", outcome: Any = "usable", iteration: int = 1) -> Json:
    return _event("llm_call", agent, iteration, exchange=exchange, outcome=outcome)


def _event(event_type: str, agent: Any, iteration: int = 1, **fields: Any) -> Json:
    return {"event_type": event_type, "iteration": iteration, "agent_id": agent, **fields}


def _change(agent: str = "A", iteration: int = 1, *, accepted: bool = True) -> Json:
    costs = {"old_cost": 9, "new_cost": 7}
    return _event("policy_change", agent, iteration, accepted=accepted, acceptance_reason="why", **costs)


def _rejected(reason: str, *errors: str, agent: str = "A") -> Json:
    return _event("policy_rejected", agent, rejection_reason=reason, validation_errors=list(errors))


def _audit(exchanges: list[Json], *events: Json) -> list[tuple[str | None, bool, Decision | None]]:
    return [(each.outcome, each.retried, each.decision) for each in audit_exchanges(exchanges, events)]


ACCEPTED = Decision(accepted=True, reason="why", old_cost=9, new_cost=7)


def test_request_and_answer_are_kept() -> None:
    exchange = _exchange(3, "B")
    (each,) = audit_exchanges([exchange], [])
    origin, answer, usage = exchange["origin"], exchange["answer"], exchange["usage"]
    assert each.as_dict() == {
        "index": 3,
        "iteration": origin["iteration"],
        "agent_id": "B",
        "attempt": origin["attempt"],
        "model": f"{exchange['provider']}:{exchange['model']}",
        "settings": origin["settings"],
        "messages": origin["messages"],
        "answer": answer["text"],
        "refusal": answer["refusal"],
        "tool_calls": [*answer["tool_calls"]],
        "finish_reason": answer["finish_reason"],
        "answering_model": answer["model"],
        "error": origin["error"],
        "prompt_tokens": usage["input_tokens"],
        "cached_tokens": usage["cached_tokens"],
        "completion_tokens": usage["output_tokens"],
        "reasoning_tokens": usage["reasoning_tokens"],
        "latency_seconds": exchange["latency_seconds"],
        "outcome": None,
        "retried": False,
        "decision": None,
    }


def test_an_exchange_of_a_program_is_no_request_for_a_policy() -> None:
    assert list(audit_exchanges([{**_exchange(0), "origin": None}], [])) == []


def test_the_decision_belongs_to_the_last_attempt() -> None:
    exchanges = [_exchange(0), _exchange(1, attempt=2)]
    assert _audit(exchanges, _call(0, outcome="invalid_json"), _call(1), _change()) == [
        ("invalid_json", True, None),
        ("usable", False, ACCEPTED),
    ]


def test_agents_that_are_asked_at_once_have_their_own_decisions() -> None:
    exchanges = [_exchange(0), _exchange(1, "B"), _exchange(2, attempt=2)]
    events = [
        *(_call(0, outcome="invalid_policy"), _call(1, "B"), _call(2, outcome="invalid_policy")),
        *(_change("B", accepted=False), _rejected("invalid_policy", "x", "y")),
    ]
    assert _audit(exchanges, *events) == [
        ("invalid_policy", True, None),
        ("usable", False, Decision(accepted=False, reason="why", old_cost=9, new_cost=7)),
        ("invalid_policy", False, Decision(accepted=False, reason="invalid_policy", errors=("x", "y"))),
    ]


def test_a_usable_answer_may_be_rejected_without_a_comparison() -> None:
    assert _audit([_exchange(0)], _call(0), _rejected("simulation_error", "division by zero")) == [
        ("usable", False, Decision(accepted=False, reason="simulation_error", errors=("division by zero",)))
    ]


def test_a_decision_of_another_iteration_or_agent_does_not_count() -> None:
    assert _audit([_exchange(0)], _call(0), _change(iteration=2), _change("B")) == [("usable", False, None)]


def test_decisions_without_a_model_do_not_count() -> None:
    assert _audit([_exchange(0)], _change(), _call(0), _change()) == [("usable", False, ACCEPTED)]


def test_an_exchange_whose_event_was_lost_has_no_outcome() -> None:
    assert _audit([_exchange(0), _exchange(1)], _call(0), _change()) == [
        ("usable", False, ACCEPTED),
        (None, False, None),
    ]


@pytest.mark.parametrize(
    "event",
    [
        _call(None),
        _call("0"),
        _call([]),
        _call(7),
        _call(0, agent=[]),
        _event("llm_call", "A"),
        {"event_type": "llm_call", "iteration": 1},
        _event("policy_change", {}),
        _event("policy_change", "A"),
        _event("policy_rejected", "A", validation_errors=3),
        _event("epoch", "A", exchange=0, outcome="usable"),
    ],
    ids=str,
)
def test_events_that_no_schema_allows_are_not_an_error(event: Json) -> None:
    (each,) = audit_exchanges([_exchange(0)], [event])
    assert (each.outcome, each.retried, each.decision) == (None, False, None)


@pytest.mark.parametrize(
    "decision",
    [
        _event("policy_change", "A", acceptance_reason=None, old_cost=None),
        _event("policy_rejected", "A", rejection_reason={}, validation_errors=[None, 3]),
    ],
    ids=str,
)
def test_values_that_no_schema_allows_can_be_printed(decision: Json) -> None:
    (each,) = audit_exchanges([_exchange(0)], [_call(0, outcome=None), decision])
    assert each.decision is not None
    assert not each.decision.accepted
    assert all(isinstance(error, str) for error in each.decision.errors)
    canonical_json.encode(each.as_dict())
