"""The random numbers of the payment simulator: xorshift64* and the draws made from it.

It knows nothing of payments. Every draw uses a fixed number of outputs in a fixed order, because all
that is drawn later depends on it; the algorithms are those of the reference engine (SimCash, MIT).
"""

from __future__ import annotations

import math

MAX_SEED = _MASK = 2**64 - 1
_MULTIPLIER = 0x2545F4914F6CDD1D
_UNIT = 2.0**-53


class Generator:
    """A xorshift64* generator (Vigna, 2016). `seed` is 0 to 2^64 − 1; 0, which would stay 0, counts as 1."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed or 1

    def bits(self) -> int:
        """The next output: 64 bits."""
        state = self._state
        state ^= state >> 12
        state = (state ^ (state << 25)) & _MASK
        state ^= state >> 27
        self._state = state
        return state * _MULTIPLIER & _MASK

    def unit(self) -> float:
        """A float in [0, 1) from the upper 53 bits of one output."""
        return (self.bits() >> 11) * _UNIT

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included; one output, even where there is no choice."""
        return low + self.bits() % (high - low + 1)

    def poisson(self, rate: float) -> int:
        """A Poisson count by Knuth's multiplication method; a rate of 0 uses no output."""
        if rate <= 0:
            return 0
        limit = math.exp(-rate)
        count, product = 0, self.unit()
        while product > limit:
            count += 1
            product *= self.unit()
        return count

    def normal(self) -> float:
        """A standard normal number by Box and Muller; the second number of each pair is never used."""
        first, second = self.unit(), self.unit()
        # Python raises where the C library says that ln 0 is minus infinity.
        log = math.log(first) if first else -math.inf
        return math.sqrt(-2.0 * log) * math.cos(2.0 * math.pi * second)


def round_half_away(value: float) -> int:
    """The nearest integer of a finite number, halves away from zero (Python's `round` takes them to even)."""
    if value < 0:
        return -round_half_away(-value)
    whole = math.floor(value)
    return whole + 1 if value - whole >= 0.5 else whole
