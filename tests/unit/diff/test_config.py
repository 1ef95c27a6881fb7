"""Differences of configs: what comes or goes shifts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.diff.config import config_differences
from exprec.recorder.diff.json_values import ABSENT


def _found(old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    return [(".".join(map(str, path)), before, after) for path, before, after in config_differences(old, new)]


def _agents(*ids: str, **more: Any) -> list[dict[str, Any]]:
    return [{"id": each, **more} for each in ids]


def test_items_with_an_id_are_compared_by_it() -> None:
    old, new = _agents("A", "C", cap=1), _agents("A", "B", "C", cap=1)
    new[2]["cap"] = 2
    assert _found({"agents": old}, {"agents": new}) == [
        ("agents.B", ABSENT, {"id": "B", "cap": 1}),
        ("agents.C.cap", 1, 2),
    ]


def test_another_order_of_items_is_a_difference() -> None:
    assert _found(_agents("A", "B"), _agents("B", "A")) == [("0.id", "A", "B"), ("1.id", "B", "A")]


@pytest.mark.parametrize("ids", [("A", "A"), ("A", 1)])
def test_items_without_an_id_of_their_own_are_compared_by_position(ids: tuple[Any, ...]) -> None:
    items = [{"id": each} for each in ids]
    assert _found(items, items) == []
    assert _found(items, [*items, {"id": "B"}]) == [("2", ABSENT, {"id": "B"})]


def test_an_item_more_in_the_middle_shifts_none_behind_it() -> None:
    payments = [{"amount": number} for number in (1, 2, 3)]
    more = [payments[0], {"amount": 9}, *payments[1:]]
    assert _found(payments, more) == [("1", ABSENT, {"amount": 9})]
    assert _found(more, payments) == [("1", {"amount": 9}, ABSENT)]
    assert _found([1, 1], [1]) == [("0", 1, ABSENT)]
    assert _found([], []) == []


def test_numbers_that_are_written_differently_differ() -> None:
    assert _found({"x": [1, 2]}, {"x": [1.0, 2, 2]}) == [("x.0", 1, 1.0), ("x.1", ABSENT, 2)]
