"""Costs that a simulator of the user's returns: which numbers are taken, and as what they are recorded."""

from __future__ import annotations

import enum
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from exprec.recorder.experiment.config import CostsConfig
from exprec.recorder.experiment.evaluation.user_costs import InvalidCost, read_cost

INTEGERS = CostsConfig("items", "integer")
NUMBERS = CostsConfig("ms", "number")


class Index:
    """An integer of another library."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Broken:
    def __index__(self) -> int:
        raise OSError("no")


class Level(enum.IntEnum):
    LOW = 3


def reason(value: Any, costs: CostsConfig) -> str:
    with pytest.raises(InvalidCost) as raised:
        read_cost(value, costs)
    return str(raised.value)


@pytest.mark.parametrize(("value", "cost"), [(7, 7), (-(2**63), -(2**63)), (Index(8), 8), (Level.LOW, 3)])
def test_integers_of_any_kind_are_taken(value: Any, cost: int) -> None:
    found = read_cost(value, INTEGERS)
    assert (found, type(found)) == (cost, int)
    found = read_cost(value, NUMBERS)
    assert (found, type(found)) == (cost, float)


@pytest.mark.parametrize(
    ("value", "cost"), [(0.1, 0.1), (-2.5, -2.5), (Fraction(1, 4), 0.25), (1e100, 1e100), (2**53 + 1, 2.0**53)]
)
def test_numbers_are_recorded_as_floats(value: Any, cost: float) -> None:
    found = read_cost(value, NUMBERS)
    assert (found, type(found)) == (cost, float)


def test_a_zero_has_no_sign() -> None:
    assert math.copysign(1, read_cost(-0.0, NUMBERS)) == 1


def test_integers_and_numbers_of_numpy_are_taken() -> None:
    numpy = pytest.importorskip("numpy")
    for integer in (numpy.int64(5), numpy.int32(5), numpy.uint8(5), numpy.array([5])[0]):
        found = read_cost(integer, INTEGERS)
        assert (found, type(found)) == (5, int)
        assert type(read_cost(integer, NUMBERS)) is float
    for number in (numpy.float64(0.5), numpy.float32(0.5)):
        found = read_cost(number, NUMBERS)
        assert (found, type(found)) == (0.5, float)
    assert reason(numpy.float64(0.5), INTEGERS).startswith("must be an integer number of items, not 0.5; `costs:")
    for costs in (INTEGERS, NUMBERS):
        assert "not a value of type bool" in reason(numpy.bool_(True), costs)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (None, "null"),
        ("5", "'5'"),
        (1j, "a value of type complex"),
        (Decimal(1), "a value of type Decimal"),
        (Broken(), "a value of type Broken"),
    ],
)
def test_what_is_no_number_is_refused(value: Any, shown: str) -> None:
    assert reason(value, INTEGERS) == f"must be an integer number of items, not {shown}"
    assert reason(value, NUMBERS) == f"must be a finite number of ms, not {shown}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    assert reason(value, NUMBERS) == f"must be a finite number of ms, not {value!r}"


def test_what_is_too_large_is_refused() -> None:
    assert reason(2**63, INTEGERS) == "is beyond 64 bits"
    assert reason(-1.1e100, NUMBERS) == "is beyond 1e+100: -1.1e+100"
    assert reason(10**400, NUMBERS).startswith("must be a finite number of ms, not ")
