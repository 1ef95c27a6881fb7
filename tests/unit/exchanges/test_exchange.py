"""The form of exchanges, and that of exprec 0.1."""

from __future__ import annotations

from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.exchanges import call_fields, current_form, new_exchange, request_fields
from exprec.recorder.schema import find_problems
from tests.fixtures.events import exchange, numbered_exchange

EARLIER: dict[str, Any] = {
    "index": 3,
    "agent_id": "A",
    "iteration": 2,
    "attempt": 1,
    "model": "openai:small",
    "settings": {"temperature": 0.0},
    "messages": [{"role": "user", "content": "go"}],
    "answer": "{}",
    "error": None,
    "prompt_tokens": 7,
    "completion_tokens": None,
    "latency_seconds": 0.5,
}


@pytest.mark.parametrize("changes", [{}, {"answer": None, "error": "refused", "prompt_tokens": None}])
def test_an_exchange_of_the_first_version_is_read_in_the_present_form(changes: dict[str, Any]) -> None:
    record = {**EARLIER, **changes}
    assert find_problems(record, "exchange.v1") == []
    found = current_form(record)
    assert find_problems(found, "exchange.v2") == []
    assert (found["index"], found["arrival"], found["after"]) == (3, 3, 3)
    assert request_fields(found) == {field: record[field] for field in request_fields(found)}
    shared = call_fields(found).keys() & record.keys()
    assert {field: call_fields(found)[field] for field in shared} == {field: record[field] for field in shared}
    assert (found["answer"] is None, found["origin"]["error"]) == (record["answer"] is None, record["error"])


def test_the_present_form_is_left_as_it_is() -> None:
    assert current_form(numbered_exchange(0)) == numbered_exchange(0)


@pytest.mark.parametrize("model", ["openai:small", "scripted:a:b.jsonl", "search", ":x", "x:"])
def test_the_name_of_a_model_is_divided_and_joined(model: str) -> None:
    assert request_fields(exchange(model=model))["model"] == model


def test_a_call_repeats_fields_of_its_schema() -> None:
    assert call_fields(exchange()).keys() < schemas.load("event.llm_call.v2")["properties"].keys()


def test_http_fields_are_taken_from_another_exchange() -> None:
    other = exchange(method="POST", path="/v1", end="client", answer=None, error="out of time")
    made = new_exchange(EARLIER, None, error="x", latency_seconds=1.0, http=other)
    assert (made["method"], made["path"], made["end"], made["latency_seconds"]) == ("POST", "/v1", "client", 1.0)
