"""The recorded exchange of a request, and the one most like it."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.exchanges import RecordedExchanges, request_fields
from tests.fixtures import events


def exchange(index: int, **changes: Any) -> dict[str, Any]:
    return events.exchange(index=index, **{"agent_id": "A", "settings": {}, **changes})


def no_differences(*_: object) -> int:
    return 0


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
    recorded = RecordedExchanges([exchange(index, **changes) for index, changes in enumerate(others)])
    found = recorded.find_nearest(
        request_fields(exchange(0)), lambda old, new: sum(old[key] != new[key] for key in old)
    )
    assert found is not None
    assert found["index"] == nearest


def test_requests_match_in_any_order_and_each_once() -> None:
    order = [2, 0, 1, 1, 0, 2, 0]
    recorded = RecordedExchanges([exchange(index, iteration=number) for index, number in enumerate(order)])
    for number in (1, 2, 0, 0, 3, 0, 0, 1, 2):
        found = recorded.take(request_fields(exchange(0, iteration=number)))
        if number not in order:
            assert found is None
            continue
        assert found is not None
        assert (found["origin"]["iteration"], found["index"]) == (number, order.index(number))
        order[order.index(number)] = -1
    assert len(recorded) == 0


def test_equal_numbers_match_however_they_are_written() -> None:
    recorded = RecordedExchanges([exchange(0, settings={"temperature": 0.0})])
    assert recorded.take(request_fields(exchange(0, settings={"temperature": 0}))) is not None


def test_requests_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exprec.recorder.exchanges.matching._hash", lambda _: 0)
    recorded = RecordedExchanges([exchange(index, iteration=index) for index in range(4)])
    taken = [recorded.take(request_fields(exchange(0, iteration=number))) for number in (1, 3, 1, 0, 2)]
    assert [each and each["index"] for each in taken] == [1, 3, None, 0, 2]
