"""Worker processes: the same simulations as in this process, on several cores, with equal results."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
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
from exprec.recorder.experiment.stats import Cost
from exprec.recorder.format import canonical_json

_START_METHOD = "spawn"
_DIED = "a worker process died (killed, or out of memory); try again with fewer jobs"
_GLANCE_SECONDS = 0.1
"""How often waiting for results is interrupted to check whether the task is being cancelled."""

PackedResult = tuple[int, int, list[tuple[str, Mapping[str, Cost]]]]
"""A result as it is sent between processes: payments that arrived and settled, and each agent's costs."""


class Workers:
    """Simulates in up to `jobs` processes, which are started when they are needed."""

    def __init__(self, spec: SimulatorSpec, jobs: int) -> None:
        self._spec = spec
        self._jobs = jobs
        # One pool for each process, so that a process gets the same seeds again and finds their draws in its caches.
        self._pools: list[ProcessPoolExecutor] = []
        self._context = multiprocessing.get_context(_START_METHOD)
        self._alive: tuple[Connection, Connection] | None = None
        """A pipe without data: when this end is closed, by whatever means, the workers terminate."""

    def simulate(self, policies: bytes, seeds: Sequence[int]) -> list[Result]:
        """The results of policies, in canonical JSON, for each seed, in order.

        Raises what the first failing simulation, in order, raises; WorkerFailed; CancelledError if the current task is
        being cancelled.
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
        """Terminate the processes, also during a simulation."""
        if self._alive is not None:
            for end in self._alive:
                end.close()
            self._alive = None
        pools, self._pools = self._pools, []
        for pool in pools:
            pool.shutdown(cancel_futures=True)

    def _started(self, count: int) -> list[ProcessPoolExecutor]:
        """The pools, after starting as many as `count` tasks need."""
        if self._alive is None:
            self._alive = self._context.Pipe(duplex=False)
        while len(self._pools) < count:
            arguments = (self._spec, self._alive[0])
            self._pools.append(ProcessPoolExecutor(1, self._context, initializer=_begin, initargs=arguments))
        return self._pools


def _chunks(seeds: Sequence[int], count: int) -> Iterator[Sequence[int]]:
    """Split the seeds into at most `count` consecutive chunks, none empty, whose lengths differ by at most one."""
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
    """A context in which processes start with SIGINT blocked, and do not run the main program of this one.

    Until a worker is ready, Ctrl-C could only print a traceback. And a program that does not check its `__name__`
    would start its experiment again in each worker.
    """
    # Started before SIGINT is blocked, because its start unblocks SIGINT.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_made: Simulator | ExprecError | None = None
"""The simulator of this worker process, or why it cannot be loaded."""


def _begin(spec: SimulatorSpec, alive: Connection) -> None:
    """Initialize a worker process."""
    global _made
    # An empty handler instead of SIG_IGN, which programs that a simulator starts would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with suppress(OSError):
        # Stdout is that of the display.
        os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    try:
        _made = spec.load()
    except ExprecError as error:
        # Raised with the first task, because an error raised here is only logged.
        _made = error


def _end_with_parent(alive: Connection) -> None:
    alive.poll(None)
    # Not sys.exit, because the main thread may be busy in a simulation for hours.
    os._exit(0)


def _simulate(policies: bytes, seeds: Sequence[int]) -> list[PackedResult]:
    """Simulate in a worker process."""
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
