"""Distributions of the amount, priority and receiver of a random payment, as in SimCash."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exprec.recorder.payments.rng import Generator, round_half_away

Draw = Callable[[Generator], int]
"""Draws an integer; how many outputs of the generator it consumes is part of the model."""

_SMALLEST_NORMAL = 2.0**-1022


def amount_draw(distribution: Mapping[str, Any]) -> Draw:
    """Compile a valid `amount_distribution`; amounts are in cents, at least 1."""
    families: dict[str, Callable[[Mapping[str, Any]], Draw]] = {
        "Normal": _normal,
        "LogNormal": _log_normal,
        "Uniform": lambda config: _uniform(config["min"], config["max"]),
        "Exponential": _exponential,
    }
    return families[distribution["type"]](distribution)


def priority_draw(distribution: Mapping[str, Any]) -> Draw:
    """Compile a valid `priority_distribution`; priorities are 0 to 10."""
    match distribution["type"]:
        case "Fixed":
            return constant_draw(distribution["value"])
        case "Uniform":
            return _uniform(distribution["min"], distribution["max"])
        case _:
            return weighted_draw(distribution["values"], distribution["weights"])


def constant_draw(value: int) -> Draw:
    """Return a draw of a fixed value, which consumes no output of the generator."""
    return lambda _: value


def weighted_draw(values: Sequence[int], weights: Sequence[float]) -> Draw:
    """Return a draw of one of `values` by weight, which consumes one output even for a single value.

    If rounding leaves a remainder after all weights, the draw is the last value.
    """
    pairs = tuple(zip(values, map(float, weights), strict=True))
    total, last = sum_in_order(weights), values[-1]

    def draw(generator: Generator) -> int:
        remainder = generator.unit() * total
        for value, weight in pairs:
            remainder -= weight
            if remainder <= 0:
                return value
        return last

    return draw


def sum_in_order(numbers: Sequence[float]) -> float:
    """Add numbers from left to right; from Python 3.12 on, `sum` compensates rounding errors of floats."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def _uniform(low: int, high: int) -> Draw:
    return lambda generator: generator.integer(low, high)


def _normal(config: Mapping[str, Any]) -> Draw:
    mean, deviation = float(config["mean"]), float(config["std_dev"])
    return lambda generator: _cents(mean + deviation * generator.normal(), otherwise=1)


def _log_normal(config: Mapping[str, Any]) -> Draw:
    """Return a draw of log-normal amounts; `mean` and `std_dev` are moments of the amount, not of its logarithm.

    σ² = ln(1 + std_dev²/mean²), μ = ln mean − σ²/2.
    """
    mean, deviation = float(config["mean"]), float(config["std_dev"])
    square = mean * mean
    variance = math.log(1.0 + (deviation * deviation / square if square else math.inf))
    location, scale = math.log(mean) - variance / 2.0, math.sqrt(variance)
    typical = max(1, round_half_away(mean))
    # With the largest mean that the schema allows the exponent stays below 709, where `exp` overflows.
    return lambda generator: _cents(math.exp(location + scale * generator.normal()), otherwise=typical)


def _exponential(config: Mapping[str, Any]) -> Draw:
    rate = float(config["lambda"])
    # SimCash takes the logarithm of the draw u itself, not of 1 − u.
    return lambda generator: _cents(-math.log(max(generator.unit(), _SMALLEST_NORMAL)) / rate, otherwise=1)


def _cents(raw: float, otherwise: int) -> int:
    """Round a drawn amount to whole cents, at least 1; `otherwise` replaces one that is not positive and finite."""
    return max(1, round_half_away(raw)) if 0 < raw < math.inf else otherwise
