"""Processes that simulate: the same simulations as in this process, on several cores.

What a simulation is, and which ones are wanted, they are told. How many there are changes no result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from exprec.recorder.errors import ExprecError, WorkerFailed
from exprec.recorder.experiment.evaluation.evaluator import AgentCosts, Result, Simulator, stop_if_cancelled
from exprec.recorder.experiment.evaluation.simulators import SimulatorSpec
from exprec.recorder.format import canonical_json

_START_METHOD = "spawn"
_DIED = "a worker process died (killed, or out of memory); try again with fewer jobs"
_GLANCE_SECONDS = 0.1
"""How often a wait for results is interrupted to see whether the experiment was cancelled."""

PackedResult = tuple[int, int, list[tuple[str, dict[str, int]]]]
"""A result on its way between processes: payments that arrived and settled, and each agent's figures."""


class Workers:
    """Simulates with the simulator of a spec in up to `jobs` processes, started when first needed."""

    def __init__(self, spec: SimulatorSpec, jobs: int) -> None:
        self._spec = spec
        self._jobs = jobs
        # A pool for each process: a process then sees the same seeds again and finds in its caches what it drew.
        self._pools: list[ProcessPoolExecutor] = []
        self._context = multiprocessing.get_context(_START_METHOD)
        self._alive: tuple[Connection, Connection] | None = None
        """A pipe in which nothing is ever sent: workers end when its far end is closed, by whatever means."""

    def simulate(self, policies: bytes, seeds: Sequence[int]) -> list[Result]:
        """The result of the policies, in canonical bytes, for each seed, in order.

        Raises what the first simulation in order that fails raises; WorkerFailed; CancelledError if the
        current task is being cancelled.
        """
        chunks = list(_chunks(seeds, self._jobs))
        tasks: list[Future[list[PackedResult]]] = []
        try:
            with _starting() if len(self._pools) < len(chunks) else nullcontext():
                for pool, chunk in zip(self._started(len(chunks)), chunks, strict=False):
                    tasks.append(pool.submit(_simulate, policies, chunk))
            return [_unpacked(packed) for task in tasks for packed in _awaited(task)]
        except BrokenProcessPool as error:
            raise WorkerFailed(_DIED) from error
        finally:
            for task in tasks:
                task.cancel()

    def close(self) -> None:
        """End the processes, even in the middle of a simulation."""
        if self._alive is not None:
            for end in self._alive:
                end.close()
            self._alive = None
        pools, self._pools = self._pools, []
        for pool in pools:
            pool.shutdown(cancel_futures=True)

    def _started(self, count: int) -> list[ProcessPoolExecutor]:
        """The pools, of which at least `count` can be given work."""
        if self._alive is None:
            self._alive = self._context.Pipe(duplex=False)
        while len(self._pools) < count:
            arguments = (self._spec, self._alive[0])
            self._pools.append(ProcessPoolExecutor(1, self._context, initializer=_begin, initargs=arguments))
        return self._pools


def _chunks(seeds: Sequence[int], count: int) -> Iterator[Sequence[int]]:
    """The seeds in at most `count` runs of neighbours, none empty, whose lengths differ by one at most."""
    start = 0
    for index in range(count):
        end = len(seeds) * (index + 1) // count
        if end > start:
            yield seeds[start:end]
        start = end


def _awaited(task: Future[list[PackedResult]]) -> list[PackedResult]:
    while not wait([task], _GLANCE_SECONDS).done:
        stop_if_cancelled()
    return task.result()


@contextmanager
def _starting() -> Iterator[None]:
    """Processes started within this begin deaf to Ctrl-C, and do not run the main program of this one.

    Until they are ready, Ctrl-C could only make them print a traceback. And a program that does not ask for
    its `__name__` would begin its experiment again in each of them.
    """
    # When it starts, it lets interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_made: Simulator | ExprecError | None = None
"""In a worker: its simulator, or why there is none."""


def _begin(spec: SimulatorSpec, alive: Connection) -> None:
    """Make this process a worker."""
    global _made
    # A handler that does nothing, rather than none: programs that a simulator starts shall still hear Ctrl-C.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with suppress(OSError):
        # Standard output belongs to the display.
        os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    try:
        _made = spec.load()
    except ExprecError as error:
        # Raised with the first task: from here it would only be logged.
        _made = error


def _end_with_parent(alive: Connection) -> None:
    alive.poll(None)
    # Not sys.exit: a simulation may run for hours before the main thread hears of it.
    os._exit(0)


def _simulate(policies: bytes, seeds: Sequence[int]) -> list[PackedResult]:
    """In a worker: simulate."""
    if isinstance(_made, ExprecError):
        raise WorkerFailed(f"a worker process cannot load the simulator: {_made}")
    assert _made is not None, "the worker has begun"
    value: Any = canonical_json.decode(policies)
    return [
        (result.arrivals, result.settled, [(agent, each.as_dict()) for agent, each in result.agents.items()])
        for result in _made.simulate_each(value, seeds)
    ]


def _unpacked(packed: PackedResult) -> Result:
    arrivals, settled, agents = packed
    return Result(arrivals, settled, {agent: AgentCosts(figures) for agent, figures in agents})
