"""The distributions of a generated payment's amount, priority and receiver.

It does not say when payments arrive, nor from whom; see `arrivals`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exprec.recorder.payments.rng import Generator, round_half_away

Draw = Callable[[Generator], int]

_SMALLEST_NORMAL = 2.0**-1022


def amount_draw(distribution: Mapping[str, Any]) -> Draw:
    """What draws an amount in cents, at least 1, from a valid `amount_distribution` of a scenario."""
    families: dict[str, Callable[[Mapping[str, Any]], Draw]] = {
        "Normal": _normal,
        "LogNormal": _log_normal,
        "Uniform": lambda given: _uniform(given["min"], given["max"]),
        "Exponential": _exponential,
    }
    return families[distribution["type"]](distribution)


def priority_draw(distribution: Mapping[str, Any]) -> Draw:
    """What draws a priority, 0 to 10, from a valid `priority_distribution` of a scenario."""
    match distribution["type"]:
        case "Fixed":
            return constant(distribution["value"])
        case "Uniform":
            return _uniform(distribution["min"], distribution["max"])
        case _:
            return choice(distribution["values"], distribution["weights"])


def constant(value: int) -> Draw:
    """Always the same value, without using an output of the generator."""
    return lambda _: value


def choice(values: Sequence[int], weights: Sequence[float]) -> Draw:
    """One of `values` by weight, with one output even where there is one value only.

    The last value stands in where rounding leaves a rest after all weights.
    """
    pairs = tuple(zip(values, map(float, weights), strict=True))
    total, last = add_up(weights), values[-1]

    def draw(generator: Generator) -> int:
        rest = generator.unit() * total
        for value, weight in pairs:
            rest -= weight
            if rest <= 0:
                return value
        return last

    return draw


def add_up(numbers: Sequence[float]) -> float:
    """The sum by plain additions from left to right; from Python 3.12 on `sum` compensates rounding errors."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def _uniform(low: int, high: int) -> Draw:
    return lambda generator: generator.integer(low, high)


def _normal(given: Mapping[str, Any]) -> Draw:
    mean, deviation = float(given["mean"]), float(given["std_dev"])
    return lambda generator: _cents(mean + deviation * generator.normal(), otherwise=1)


def _log_normal(given: Mapping[str, Any]) -> Draw:
    """`mean` and `std_dev` are those of the amount; the logarithm's follow by matching moments."""
    mean, deviation = float(given["mean"]), float(given["std_dev"])
    square = mean * mean
    variance = math.log(1.0 + (deviation * deviation / square if square else math.inf))
    location, scale = math.log(mean) - variance / 2.0, math.sqrt(variance)
    typical = max(1, round_half_away(mean))
    # The largest mean that the schema admits keeps the exponent below 709, where `exp` would overflow.
    return lambda generator: _cents(math.exp(location + scale * generator.normal()), otherwise=typical)


def _exponential(given: Mapping[str, Any]) -> Draw:
    rate = float(given["lambda"])
    # The reference engine takes the logarithm of the draw itself, not of one minus it.
    return lambda generator: _cents(-math.log(max(generator.unit(), _SMALLEST_NORMAL)) / rate, otherwise=1)


def _cents(raw: float, otherwise: int) -> int:
    """A drawn amount rounded to whole cents, at least 1; `otherwise` for one that is not a positive number."""
    return max(1, round_half_away(raw)) if 0 < raw < math.inf else otherwise
