"""The seeds of an experiment, derived from the master seed without any state.

The formulas are those of the reference implementation (SimCash).
"""

from __future__ import annotations

import hashlib

_LIMIT = 2**31


def iteration_seed(master_seed: int, index: int, agent_id: str) -> int:
    """The seed of an agent in an iteration (`index` from 0): an integer in 0 … 2^31 − 1."""
    return _number(f"{master_seed}:iter:{index}:agent:{agent_id}", 4)


def sample_seed(base_seed: int, sample: int) -> int:
    """The seed of a sample (from 0) of a bootstrap evaluation with this base: an integer in 0 … 2^31 − 1."""
    return _number(f"{base_seed}:sample:{sample}", 8)


def _number(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big") % _LIMIT
