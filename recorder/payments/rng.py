"""Random numbers: the generator xorshift64* and the distributions drawn from it, as in SimCash.

The number of outputs that a draw consumes, and their order, are part of the model: all later draws depend on them.
"""

from __future__ import annotations

import math

MAX_SEED = _MASK = 2**64 - 1
_MULTIPLIER = 0x2545F4914F6CDD1D
_UNIT = 2.0**-53


class Generator:
    """A xorshift64* generator (S. Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        """Seed the generator with 0 to 2^64 − 1; 0 counts as 1, because the state 0 never changes."""
        self._state = seed or 1

    def bits(self) -> int:
        """Return the next 64-bit output."""
        state = self._state
        state ^= state >> 12
        state = (state ^ (state << 25)) & _MASK
        state ^= state >> 27
        self._state = state
        return state * _MULTIPLIER & _MASK

    def unit(self) -> float:
        """Return a float in [0, 1), made of the upper 53 bits of one output."""
        return (self.bits() >> 11) * _UNIT

    def integer(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included; consumes one output even if they are equal."""
        return low + self.bits() % (high - low + 1)

    def poisson(self, rate: float) -> int:
        """Return a Poisson count by Knuth's multiplication method; a rate of 0 or less consumes no output."""
        if rate <= 0:
            return 0
        limit = math.exp(-rate)
        count, product = 0, self.unit()
        while product > limit:
            count += 1
            product *= self.unit()
        return count

    def normal(self) -> float:
        """Return a standard normal number by the Box-Muller transform; the second number of each pair is dropped."""
        first, second = self.unit(), self.unit()
        # The C library returns minus infinity for ln 0; Python raises.
        log = math.log(first) if first else -math.inf
        return math.sqrt(-2.0 * log) * math.cos(2.0 * math.pi * second)


def round_half_away(value: float) -> int:
    """Return the integer nearest to a finite number, halves away from zero (Python's `round` takes them to even)."""
    if value < 0:
        return -round_half_away(-value)
    whole = math.floor(value)
    return whole + 1 if value - whole >= 0.5 else whole
