"""Abbreviated run ids."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

SHORT_DIGITS = 8
"""The minimum length, so that an abbreviation stays unique as the store grows."""


def abbreviate_ids(run_ids: Iterable[str]) -> dict[str, str]:
    """Return for each run id its shortest prefix of at least SHORT_DIGITS that no other of them has."""
    # Sorted, because ids with the longest common prefix are then neighbours.
    ordered = ["", *sorted(set(run_ids)), ""]
    shared = [_shared_digits(one, other) for one, other in pairwise(ordered)]
    return {
        run_id: run_id[: max(before + 1, after + 1, SHORT_DIGITS)]
        for run_id, (before, after) in zip(ordered[1:-1], pairwise(shared), strict=True)
    }


def _shared_digits(one: str, other: str) -> int:
    """The length of the common prefix."""
    pairs = zip(one, other, strict=False)
    return next((digit for digit, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
