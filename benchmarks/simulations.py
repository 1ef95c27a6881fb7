"""Simulations per second of the twelve-period game on one core: `python -m benchmarks.simulations`.

Beside it runs a bare loop of integer additions, in turn with it, so that the ratio of the two says something
on another machine, or on this one when it is busy.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from exprec.recorder.documents import load_document
from exprec.recorder.optimize.seeds import sample_seed
from exprec.recorder.payments import PaymentSimulator

SCENARIO = Path(__file__).parent.parent / "examples" / "castro" / "twelve-period-scenario.yaml"
SAMPLES = 50
POLICIES = 40
REPETITIONS = 7
ADDITIONS = 1_000_000


def simulate() -> int:
    """What an experiment does: fixed seeds, changing policies. Returns the number of simulations."""
    simulator = PaymentSimulator(load_document(SCENARIO).value)
    start = simulator.starting_policy("BANK_A")
    seeds = [sample_seed(42, sample) for sample in range(SAMPLES)]
    for number in range(POLICIES):
        policy = {**start, "parameters": {"initial_liquidity_fraction": number / POLICIES}}
        for seed in seeds:
            simulator.simulate({"BANK_A": policy, "BANK_B": start}, seed)
    return SAMPLES * POLICIES


def add() -> int:
    """The reference: integer additions in a loop. Returns their number."""
    total = 0
    for number in range(ADDITIONS):
        total += number
    return ADDITIONS


def rate(work: Callable[[], int]) -> float:
    """Units of work a second."""
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def main() -> None:
    pairs = [(rate(simulate), rate(add)) for _ in range(REPETITIONS)]
    simulations, additions = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / reference for mine, reference in pairs)
    spread = ", ".join(f"{mine:,.0f}" for mine, _ in sorted(pairs))
    print(f"simulations a second:  {simulations:>12,.0f}   (all {REPETITIONS}: {spread})")
    print(f"additions a second:    {additions:>12,.0f}")
    print(f"additions in the time of one simulation: {1 / ratio:,.0f}")


if __name__ == "__main__":
    main()
