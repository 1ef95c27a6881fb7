"""Differences of values and of texts, each at the deepest place that differs."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.diff.json_values import ABSENT, Difference, differences, most_telling_first
from exprec.recorder.diff.result import Hunk
from exprec.recorder.diff.text import text_hunks


@pytest.mark.parametrize(("old", "new"), [(1, 1.0), (1, True), (0, False), (0.0, False), ("1", 1), (None, False)])
def test_values_that_are_written_differently_differ(old: Any, new: Any) -> None:
    assert list(differences({"a": [old]}, {"a": [new]})) == [Difference(("a", 0), old, new)]
    assert differences({"a": [old]}, {"a": [old]}) == []


def test_the_first_difference_is_the_deepest_place_and_ignores_nothing() -> None:
    old = {"seq": 1, "policies": {"A": {"x": [1, 2]}}, "event_type": "a"}
    new = {"seq": 2, "policies": {"A": {"x": [1, 3, 4]}}, "event_type": "a"}
    assert differences(old, new)[0] == Difference(("policies", "A", "x", 1), 2, 3)
    assert [difference.path for difference in differences(old, new)] == [
        ("policies", "A", "x", 1),
        ("policies", "A", "x", 2),
        ("seq",),
    ]
    assert differences(old, old | {"seq": 2})[0] == Difference(("seq",), 1, 2)


def test_other_objects_differ_as_a_whole() -> None:
    old, new = ({"type": kind, "same": 1, "x": kind} for kind in "ab")
    found = differences([old], [new], are_others=lambda left, right: left["type"] != right["type"])
    assert list(found) == [Difference((0,), old, new)]


def test_decisions_stand_before_numbers_and_sentences_last() -> None:
    found = [
        Difference(("reason",), "lowers the cost", "raises the cost"),
        Difference(("deltas", 0), 1, 2),
        Difference(("cost",), 1, ABSENT),
        Difference(("accepted",), True, False),
    ]
    assert [each.path[0] for each in most_telling_first(found)] == ["accepted", "cost", "deltas", "reason"]


def test_lines_that_differ_with_the_equal_line_before_and_after() -> None:
    assert text_hunks("a\nb\nc\nd\ne", "a\nB\nc\nd") == (
        Hunk(2, 2, ("a",), ("b",), ("B",), ("c",)),
        Hunk(5, 5, ("d",), ("e",), (), ()),
    )
    assert text_hunks(None, "a") == (Hunk(1, 1, (), (), ("a",), ()),)
    assert text_hunks("same", "same") == ()


def test_long_texts_that_share_nothing_differ_as_a_whole() -> None:
    old, new = ("\n".join(f"{name}{number % 7}" for number in range(3000)) for name in "ab")
    (hunk,) = text_hunks(f"first\n{old}\nlast", f"first\n{new}\nlast")
    assert (len(hunk.old), len(hunk.new), hunk.before, hunk.after) == (3000, 3000, ("first",), ("last",))
