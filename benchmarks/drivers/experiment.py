"""Drivers of the twelve-period game: simulations alone, and the whole experiment, recorded and unrecorded."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.timing import ROOT
from exprec.recorder.documents import read_document
from exprec.recorder.events import Event
from exprec.recorder.experiment import loop
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation.seeds import sample_seed
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.payments import PaymentSimulator
from exprec.recorder.sessions import provenance
from exprec.recorder.state import LiveStateProvider
from exprec.recorder.store import Store

CASTRO = ROOT / "examples" / "castro"
_EXPERIMENT = CASTRO / "twelve-period.yaml"
_SAMPLES = 50
_ADDITIONS = 1_000_000


def simulations(policies: int) -> dict[str, Any]:
    """Simulate as an experiment does: fixed seeds, changing policies."""
    simulator = PaymentSimulator(read_document(CASTRO / "twelve-period-scenario.yaml").value)
    start = simulator.starting_policy("BANK_A")
    seeds = [sample_seed(42, sample) for sample in range(_SAMPLES)]
    began = time.perf_counter()
    for number in range(policies):
        policy = {**start, "parameters": {"initial_liquidity_fraction": number / policies}}
        for seed in seeds:
            simulator.simulate({"BANK_A": policy, "BANK_B": start}, seed)
    return {"seconds": time.perf_counter() - began, "count": _SAMPLES * policies}


def additions() -> dict[str, Any]:
    """Add integers in a loop, as a measure of the current speed of Python on this machine."""
    total = 0
    began = time.perf_counter()
    for number in range(_ADDITIONS):
        total += number
    return {"seconds": time.perf_counter() - began, "count": _ADDITIONS}


def recorded(folder: str) -> dict[str, Any]:
    """Run the experiment, recorded, sealed and attested; `recording_seconds` is the time spent on that."""
    config = ExperimentConfig.load(_EXPERIMENT)
    watch = _Stopwatch()
    with watch.on(LiveStateProvider, "record_event", "record_iteration", "set_final_result", "seal"):
        timer = _Timer()
        with watch:
            store = Store.open_or_create(Path(folder) / "store")
            finish = provenance.start_observing(CASTRO)
        with watch.on(Store, "begin"):
            runner = GenericExperimentRunner(config, config_dir=CASTRO, store=store)
            result = asyncio.run(runner.run())
        assert runner.sealed is not None
        with watch:
            store.attest(runner.sealed.run_id, finish())
        return {**timer.elapsed(), "recording_seconds": watch.seconds, "final_cost": result.final_cost}


def unrecorded() -> dict[str, Any]:
    """Run the same experiment with a provider that ignores every event."""
    config = ExperimentConfig.load(_EXPERIMENT)
    timer = _Timer()
    with patch.object(loop, "LiveStateProvider", _NullProvider):
        result = asyncio.run(loop.OptimizationLoop(config, CASTRO).run())
    return {**timer.elapsed(), "final_cost": result.final_cost}


class _NullProvider(LiveStateProvider):
    """A provider that records nothing: no validation, no bytes, no state."""

    def record_event(self, iteration: int, event_type: str, fields: Mapping[str, Any]) -> Event:
        """Ignore an event."""
        return {}

    def record_iteration(self, *_: Any) -> None:
        """Ignore the end of an iteration."""

    def set_final_result(self, *_: Any) -> None:
        """Ignore the result."""


class _Timer:
    """Wall-clock and CPU seconds from now on, including those of finished child processes."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), _cpu_seconds()

    def elapsed(self) -> dict[str, float]:
        """Return the seconds since the start."""
        return {"seconds": time.perf_counter() - self._began, "cpu_seconds": _cpu_seconds() - self._cpu}


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


class _Stopwatch:
    """Adds up the seconds spent inside the context; nested contexts count once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._began = 0.0

    def __enter__(self) -> None:
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began

    @contextmanager
    def on(self, kind: type, *names: str) -> Iterator[None]:
        """Count the time of calls to these methods."""
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(patch.object(kind, name, self._counted(getattr(kind, name))))
            yield

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def counted(*arguments: Any, **named: Any) -> Any:
            with self:
                return method(*arguments, **named)

        return counted
