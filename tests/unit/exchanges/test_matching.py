"""The recorded exchange of a request, and the one most like it."""

from __future__ import annotations

from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.exchanges import CALL_FIELDS, RESPONSE_FIELDS, RecordedExchanges, call_fields, request_fields


def exchange(index: int, **changes: Any) -> dict[str, Any]:
    return {
        "index": index,
        "agent_id": "A",
        "iteration": 1,
        "attempt": 1,
        "model": "m",
        "settings": {},
        "messages": [{"role": "user", "content": "go"}],
        "answer": "{}",
        "error": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "latency_seconds": 0.5,
        **changes,
    }


def no_differences(*_: object) -> int:
    return 0


def test_each_field_of_the_schema_is_of_the_request_or_the_response() -> None:
    known = {"index", *request_fields(exchange(0)), *RESPONSE_FIELDS, *call_fields(exchange(0))}
    assert known == set(schemas.load("exchange.v1")["properties"])


def test_each_repeated_field_is_one_of_the_event() -> None:
    assert set(CALL_FIELDS) < set(schemas.load("event.llm_call.v1")["properties"])


def test_an_exchange_is_taken_once() -> None:
    recorded = RecordedExchanges([exchange(0), exchange(1)])
    request = request_fields(exchange(0))
    taken = [recorded.take(request) for _ in range(3)]
    assert [each and each["index"] for each in taken] == [0, 1, None]
    assert len(recorded) == 0
    assert recorded.find_nearest(request, no_differences) is None


@pytest.mark.parametrize(
    ("others", "nearest"),
    [
        ([{"agent_id": "B"}, {"iteration": 9}], 1),
        ([{"iteration": 4}, {"iteration": 2}], 1),
        ([{"attempt": 2, "iteration": 2}, {"iteration": 2, "model": "n"}], 1),
        ([{"model": "n", "settings": {"temperature": 1}}, {"model": "n"}], 1),
    ],
)
def test_the_nearest_is_of_the_agent_then_of_the_iteration_then_of_the_attempt(
    others: list[dict[str, Any]], nearest: int
) -> None:
    recorded = RecordedExchanges(exchange(index, **changes) for index, changes in enumerate(others))
    found = recorded.find_nearest(
        request_fields(exchange(0)), lambda old, new: sum(old[key] != new[key] for key in old)
    )
    assert found is not None
    assert found["index"] == nearest
