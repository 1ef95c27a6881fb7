"""Abbreviated run ids."""

from __future__ import annotations

from collections.abc import Iterable

SHORT_DIGITS = 8
"""The minimum length, so that an abbreviation stays unique as the store grows."""


def abbreviate_ids(run_ids: Iterable[str]) -> dict[str, str]:
    """Return for each run id its shortest prefix of at least SHORT_DIGITS that no other of them has."""
    # Sorted, because ids with the longest common prefix are then neighbours.
    ordered = ["", *sorted(set(run_ids)), ""]
    shorts = {}
    for before, run_id, after in zip(ordered, ordered[1:-1], ordered[2:], strict=False):
        shared = max(_shared_digits(run_id, before), _shared_digits(run_id, after))
        shorts[run_id] = run_id[: max(shared + 1, SHORT_DIGITS)]
    return shorts


def _shared_digits(one: str, other: str) -> int:
    """The length of the common prefix."""
    pairs = zip(one, other, strict=False)
    return next((digit for digit, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
