"""Evaluation of policies: the seeds that are simulated, and the costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from exprec.recorder.errors import Problem
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation.seeds import iteration_seed, sample_seed
from exprec.recorder.experiment.stats import Cost, mean_cost, sum_costs
from exprec.recorder.format import canonical_json

Policies = Mapping[str, Mapping[str, Any]]


class AgentResult(Protocol):
    """The result of a simulation for one agent."""

    @property
    def total(self) -> Cost:
        """Total cost."""
        ...

    def as_dict(self) -> Mapping[str, Cost]:
        """The total and its components."""
        ...


class SimulationResult(Protocol):
    """The result of one simulation: the number of payments, and the agents' costs."""

    @property
    def arrivals(self) -> int:
        """Number of payments that arrived."""
        ...

    @property
    def settled(self) -> int:
        """Number of payments that settled."""
        ...

    @property
    def agents(self) -> Mapping[str, AgentResult]:
        """Results by agent id."""
        ...


class AgentCosts(NamedTuple):
    """An `AgentResult` made of numbers by name."""

    figures: Mapping[str, Cost]

    @property
    def total(self) -> Cost:
        """Total cost."""
        return self.figures["total"]

    def as_dict(self) -> dict[str, Cost]:
        """A copy of the numbers."""
        return dict(self.figures)


class Result(NamedTuple):
    """A `SimulationResult` made of numbers only, as every simulator and worker process can return it."""

    arrivals: int
    settled: int
    agents: Mapping[str, AgentCosts]


class Simulator(Protocol):
    """Simulates policies; the same policies and seed always give the same result."""

    def simulate_each(self, policies: Policies, seeds: Sequence[int]) -> Iterator[SimulationResult]:
        """Yield the result for each seed, in order; each is computed when it is asked for.

        Raises InvalidInput for an invalid policy, SimulationError for one that cannot be simulated.
        """
        ...

    def check_policy(self, policy: Any) -> list[Problem]:
        """The problems of a policy; none if it can be simulated."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One simulation: its seed and its result."""

    seed: int
    result: SimulationResult

    def cost(self, agent_id: str) -> Cost:
        """The agent's cost."""
        return self.result.agents[agent_id].total

    @property
    def settlement(self) -> dict[str, float]:
        """The payments that settled, those that arrived, and their ratio, which is 1 if none arrived."""
        settled, arrived = self.result.settled, self.result.arrivals
        return {"settled": settled, "total": arrived, "settlement_rate": settled / arrived if arrived else 1.0}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The simulations of the same policies, one for each seed of an evaluation."""

    agents: tuple[str, ...]
    samples: tuple[Sample, ...]

    def costs(self, agent_id: str) -> list[Cost]:
        """The agent's cost in each sample."""
        return [sample.cost(agent_id) for sample in self.samples]

    def mean_cost(self, agent_id: str) -> Cost:
        """The agent's mean cost, truncated toward zero if costs are integers."""
        return mean_cost(self.costs(agent_id))

    @property
    def costs_per_agent(self) -> dict[str, Cost]:
        """The mean cost of each optimized agent; see `mean_cost`."""
        return {agent: self.mean_cost(agent) for agent in self.agents}

    @property
    def total_cost(self) -> Cost:
        """The sum of the optimized agents' mean costs."""
        return sum_costs(self.costs_per_agent.values())

    @property
    def sample_totals(self) -> list[Cost]:
        """The sum of the optimized agents' costs in each sample."""
        return [sum_costs(sample.cost(agent) for agent in self.agents) for sample in self.samples]


SimulateBatch = Callable[[bytes, Sequence[int]], Sequence[SimulationResult]]
"""Simulates policies, in canonical JSON, with each of some seeds, in other processes."""


class Evaluator:
    """Simulates policies on the seeds that the experiment prescribes for an iteration."""

    def __init__(
        self, simulator: Simulator, config: ExperimentConfig, simulate_batch: SimulateBatch | None = None
    ) -> None:
        """Evaluate with `simulate_batch`, if given, whenever there are several seeds, else with `simulator`."""
        self._simulator = simulator
        self._simulate_batch = simulate_batch
        self._agents = config.optimized_agents
        self._master_seed = config.master_seed
        self._samples = config.evaluation.num_samples if config.evaluation.mode == "bootstrap" else None
        self._iteration = 0
        self._done: dict[tuple[bytes, int], SimulationResult] = {}
        """The simulations of the current iteration by policies and seed: most comparisons repeat one side."""

    def evaluate(self, policies: Policies, iteration: int, agent_id: str | None = None) -> Evaluation:
        """Simulate `policies` for an iteration (from 1), on the seeds of `agent_id` or, without one, of the iteration.

        Raises:
            SimulationError: The simulation cannot continue.
            CancelledError: The task is being cancelled.
        """
        if iteration != self._iteration:
            self._iteration, self._done = iteration, {}
        key = canonical_json.encode(policies)
        seeds = self.seeds(iteration, agent_id or self._agents[0])
        # Seeds may repeat, although that is unlikely; each is simulated once.
        missing = [seed for seed in dict.fromkeys(seeds) if (key, seed) not in self._done]
        for seed, result in zip(missing, self._simulated(policies, key, missing), strict=True):
            self._done[key, seed] = result
        return Evaluation(self._agents, tuple(Sample(seed, self._done[key, seed]) for seed in seeds))

    def _simulated(self, policies: Policies, key: bytes, seeds: Sequence[int]) -> Iterator[SimulationResult]:
        if self._simulate_batch is not None and len(seeds) > 1:
            yield from self._simulate_batch(key, seeds)
            return
        for result in self._simulator.simulate_each(policies, seeds):
            yield result
            stop_if_cancelled()

    def seeds(self, iteration: int, agent_id: str) -> list[int]:
        """The seeds for the comparison of an agent's policies; in a bootstrap, all agents share the samples."""
        if self._samples is None or self._samples == 1:
            return [iteration_seed(self._master_seed, iteration - 1, agent_id)]
        base = iteration_seed(self._master_seed, iteration - 1, self._agents[0])
        return [sample_seed(base, sample) for sample in range(self._samples)]


def stop_if_cancelled() -> None:
    """Raise CancelledError if the current task is being cancelled.

    Ctrl-C cancels the task, which would not notice until all simulations are done, because they never wait.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
