"""The twelve-period game: its simulations alone, and the whole experiment, recorded and not."""

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
from exprec.recorder.documents.loader import load_document
from exprec.recorder.events import Event
from exprec.recorder.experiment import loop
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation.seeds import sample_seed
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.payments import PaymentSimulator
from exprec.recorder.sessions import provenance
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.store import Store

CASTRO = ROOT / "examples" / "castro"
_EXPERIMENT = CASTRO / "twelve-period.yaml"
_SAMPLES = 50
_ADDITIONS = 1_000_000


def simulations(policies: int) -> dict[str, Any]:
    """What an experiment does: fixed seeds, changing policies."""
    simulator = PaymentSimulator(load_document(CASTRO / "twelve-period-scenario.yaml").value)
    start = simulator.starting_policy("BANK_A")
    seeds = [sample_seed(42, sample) for sample in range(_SAMPLES)]
    began = time.perf_counter()
    for number in range(policies):
        policy = {**start, "parameters": {"initial_liquidity_fraction": number / policies}}
        for seed in seeds:
            simulator.simulate({"BANK_A": policy, "BANK_B": start}, seed)
    return {"seconds": time.perf_counter() - began, "count": _SAMPLES * policies}


def additions() -> dict[str, Any]:
    """Integer additions in a loop: how fast Python is on this machine, just now."""
    total = 0
    began = time.perf_counter()
    for number in range(_ADDITIONS):
        total += number
    return {"seconds": time.perf_counter() - began, "count": _ADDITIONS}


def recorded(folder: str) -> dict[str, Any]:
    """The whole experiment, recorded into a store, sealed and attested; `recording_seconds` is the part of that."""
    config = ExperimentConfig.load(_EXPERIMENT)
    watch = _Stopwatch()
    with watch.on(LiveStateProvider, "record_event", "record_iteration", "record_final_result", "seal"):
        used = _Used()
        with watch:
            store = Store.open_or_create(Path(folder) / "store")
            finish = provenance.start_observing(CASTRO)
        with watch.on(Store, "begin"):
            runner = GenericExperimentRunner(config, config_dir=CASTRO, store=store)
            result = asyncio.run(runner.run())
        assert runner.sealed is not None
        with watch:
            store.attest(runner.sealed.run_id, finish())
        return {**used.so_far(), "recording_seconds": watch.seconds, "final_cost": result.final_cost}


def unrecorded() -> dict[str, Any]:
    """The same with recording switched off: the loop has a provider that takes each event and does nothing with it."""
    config = ExperimentConfig.load(_EXPERIMENT)
    used = _Used()
    with patch.object(loop, "LiveStateProvider", _Nothing):
        result = asyncio.run(loop.OptimizationLoop(config, CASTRO).run())
    return {**used.so_far(), "final_cost": result.final_cost}


class _Nothing(LiveStateProvider):
    """Records nothing: no check, no bytes, no state."""

    def record_event(self, iteration: int, event_type: str, fields: Mapping[str, Any]) -> Event:
        return {}

    def record_iteration(self, *_: Any) -> None:
        """Not even that an iteration is over."""

    def record_final_result(self, *_: Any) -> None:
        """Nor what it came to."""


class _Used:
    """Seconds of the clock and of the processors from now on, those of processes that were waited for included."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), _cpu_seconds()

    def so_far(self) -> dict[str, float]:
        return {"seconds": time.perf_counter() - self._began, "cpu_seconds": _cpu_seconds() - self._cpu}


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


class _Stopwatch:
    """Counts the seconds spent within it; what is called within it counts once."""

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
        """Count the calls of these methods."""
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
