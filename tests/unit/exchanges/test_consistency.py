"""What exchanges must have beside the form of their schema."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exprec.recorder.exchanges.consistency import ConsistencyChecker
from tests.fixtures.events import numbered_exchange


def checked(arrivals: Sequence[int]) -> tuple[list[str], str | None]:
    checker = ConsistencyChecker()
    exchanges = [{**numbered_exchange(index), "arrival": arrival} for index, arrival in enumerate(arrivals)]
    found = [str(each.message) for exchange in exchanges for each in checker.check(exchange, lambda _: None)]
    return found, checker.find_gap()


@pytest.mark.parametrize("arrivals", [[], [0], [0, 1, 2], [2, 1, 0], [1, 3, 0, 2]])
def test_requests_come_in_any_order(arrivals: list[int]) -> None:
    assert checked(arrivals) == ([], None)


def test_each_rank_occurs_once() -> None:
    assert checked([0, 2, 2]) == (
        ["is 2, as that of line 2 is"],
        "line 2 has the arrival 2, but no line has the arrival 1",
    )
    assert checked([1, 0, 1]) == (["is 1, as that of line 1 is"], None)
    assert checked([0, 9]) == ([], "line 2 has the arrival 9, but no line has the arrival 1")
