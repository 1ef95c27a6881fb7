"""Whatever bytes a reader gets, it reads them or refuses them with an error of exprec's own, and no command breaks.

The inputs are those of the corpus, each of which once showed something, and changes to valid ones. EXPREC_FUZZ=N tries
N changes for each reader, other ones each time; without it they are few and the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import CORPUS, LARGEST_CORPUS, PREFIXES, corpus, seeds
from tests.fuzz.targets import TARGETS, call

_ASKED = os.environ.get("EXPREC_FUZZ")
_SLOW = {
    "run": 12,
    "command": 25,
    "tag": 8,
    "attestation": 8,
    "work": 15,
    "store": 15,
    "config": 20,
    "yaml": 20,
    "check": 20,
}
"""The number of mutations in a short run, at milliseconds each."""
_FAST = 60

_CountFaults = Callable[[str, int], None]


@pytest.mark.parametrize("target", TARGETS)
def test_valid_inputs_and_the_corpus(target: str, count_faults: _CountFaults) -> None:
    refused = [call(target, data) for data in seeds(target)]
    assert not all(refused), "of the valid inputs none was read"
    found = corpus(target)
    for data in found:
        call(target, data)
    count_faults("inputs of the corpus of the fuzzer", len(found))


@pytest.mark.parametrize("target", TARGETS)
def test_changes_to_valid_inputs(target: str, count_faults: _CountFaults) -> None:
    known = [*seeds(target), *corpus(target)]
    number = int(_ASKED) if _ASKED else _SLOW.get(target, _FAST)

    @settings(
        max_examples=number,
        derandomize=_ASKED is None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.sampled_from(range(len(known))), st.integers(0, 2**64 - 1))
    def changed(which: int, seed: int) -> None:
        call(target, mutated(known[which], Random(seed), others=known, prefix=PREFIXES.get(target, 0)))

    changed()
    count_faults("changed inputs to readers", number)


def test_the_corpus_is_small_and_of_targets_that_there_are() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < LARGEST_CORPUS
