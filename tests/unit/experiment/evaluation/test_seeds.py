"""Seeds: values of the reference, from the master seed and what the seed is for, and from nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.experiment.evaluation.seeds import iteration_seed, sample_seed

ITERATION_SEEDS = {
    (0, "BANK_A"): 1088125515,
    (0, "BANK_B"): 747645807,
    (1, "BANK_A"): 8987875,
    (1, "BANK_B"): 31030725,
    (2, "BANK_A"): 529213769,
    (2, "BANK_B"): 1405787459,
}
SAMPLE_SEEDS = {0: 58745492, 1: 1290828484, 2: 1285962202}


@pytest.mark.parametrize(("index", "agent"), ITERATION_SEEDS)
def test_the_seed_of_an_iteration_is_that_of_the_reference(index: int, agent: str) -> None:
    assert iteration_seed(42, index, agent) == ITERATION_SEEDS[index, agent]


@pytest.mark.parametrize("sample", SAMPLE_SEEDS)
def test_the_seed_of_a_sample_is_that_of_the_reference(sample: int) -> None:
    assert sample_seed(1088125515, sample) == SAMPLE_SEEDS[sample]


@given(st.integers(0, 2**63), st.integers(0, 10**6), st.text(st.characters(codec="utf-8")))
def test_every_seed_is_a_non_negative_number_of_31_bits(master: int, number: int, agent: str) -> None:
    assert 0 <= iteration_seed(master, number, agent) < 2**31
    assert 0 <= sample_seed(master, number) < 2**31


def test_a_seed_depends_on_each_of_its_parts() -> None:
    seeds = {iteration_seed(m, i, a) for m in (42, 43) for i in (0, 1) for a in ("BANK_A", "BANK_B")}
    assert len(seeds) == 8
    assert len({sample_seed(base, sample) for base in (1, 2) for sample in range(50)}) == 100
