"""PaymentSimulator: a validated scenario that is simulated with any policies and seeds.

Two bounded caches (compiled policies, drawn arrivals) make repeated simulations faster; entries depend on their keys
alone, so they never change a result.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

from exprec.recorder.diagnostics import unknown_word
from exprec.recorder.errors import InvalidInput, NotEncodable, Problem, SimulationError
from exprec.recorder.format import canonical_json
from exprec.recorder.payments.day_text import BankDay
from exprec.recorder.payments.engine import Day, run_day
from exprec.recorder.payments.observation import ObservedDay, Observer
from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.policy import Policy, check_policy, compile_policy, default_policy
from exprec.recorder.payments.result import SimulationResult
from exprec.recorder.payments.rng import MAX_SEED
from exprec.recorder.payments.scenario import Scenario, check_scenario, compile_scenario, draw_day, sum_in_order

_CACHED_PAYMENTS = 200_000
_CACHED_POLICIES = 256


class PaymentSimulator:
    """Simulates one scenario.

    Attributes:
        agents: Agent ids in the order of the scenario file.
        ticks_per_day: Length of the day in ticks.
        rng_seed: The scenario's own seed.
        MAX_SEED: The largest seed.
    """

    MAX_SEED: ClassVar[int] = MAX_SEED

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        """Validate and compile a scenario.

        Raises:
            InvalidInput: The scenario is invalid; the error has every problem.
        """
        if problems := check_scenario(scenario):
            raise InvalidInput(problems)
        self._scenario: Scenario = compile_scenario(scenario)
        self.agents = self._scenario.ids
        self.ticks_per_day = self._scenario.ticks
        self.rng_seed = self._scenario.seed
        self._documents = {agent.id: agent.policy for agent in self._scenario.agents if agent.policy is not None}
        self._compile = lru_cache(_CACHED_POLICIES)(_compile_encoded)
        self._own_policies = [
            compile_policy(agent.policy) if agent.policy is not None else Policy.release_all(agent.fraction)
            for agent in self._scenario.agents
        ]
        size = self.ticks_per_day * (1 + sum_in_order([process.rate for process in self._scenario.processes]))
        self._arrivals = lru_cache(max(1, int(_CACHED_PAYMENTS / size)))(self._draw_arrivals)

    def has_policy(self, agent: str) -> bool:
        """Return whether the scenario contains a policy document for this agent."""
        return agent in self._documents

    def starting_policy(self, agent: str) -> dict[str, Any]:
        """Return the policy document that an optimization starts from: that of the scenario, or the default."""
        document = self._documents.get(agent)
        return default_policy() if document is None else copy.deepcopy(dict(document))

    def simulate(
        self, policies: Mapping[str, Mapping[str, Any]], seed: int | None = None, observer: Observer | None = None
    ) -> SimulationResult:
        """Simulate a day under policy documents; deterministic.

        Args:
            policies: Policy documents by agent id; an agent without one keeps the policy of the scenario.
            seed: 0 to 2^64 − 1; the scenario's own seed if absent.
            observer: Is called with each event of the day, in order; the result does not depend on it.

        Raises:
            InvalidInput: A policy or the seed is invalid; paths of problems are relative to `policies`.
            SimulationError: The simulation cannot continue, for example after a division by zero in a policy.
        """
        seed = self.rng_seed if seed is None else _checked_seed(seed)
        return self._run(self._compile_policies(policies), seed, observer)

    def describe_day(self, policies: Mapping[str, Mapping[str, Any]], seed: int, agent: str) -> str:
        """Return a day as one agent observes it: bounded text for a proposer of policies. See `simulate`."""
        day = BankDay(agent)
        self.simulate(policies, seed, day.observe)
        return day.describe()

    def simulate_each(
        self, policies: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]
    ) -> Iterator[SimulationResult]:
        """Yield the results of `simulate` for each seed, in order; the policies are compiled only once."""
        compiled = self._compile_policies(policies)
        for seed in seeds:
            yield self._run(compiled, _checked_seed(seed))

    def _run(self, policies: Sequence[Policy], seed: int, observer: Observer | None = None) -> SimulationResult:
        scenario = self._scenario
        try:
            day = Day(scenario, policies) if observer is None else ObservedDay(scenario, policies, observer)
            return run_day(day, self._arrivals(seed))
        except OverflowError as error:
            raise SimulationError("an amount is beyond what floating point can hold") from error

    def _compile_policies(self, policies: Mapping[str, Mapping[str, Any]]) -> list[Policy]:
        if not isinstance(policies, Mapping):
            raise InvalidInput([Problem((), "must be a mapping of agents to policies", "policies")])
        problems: list[Problem] = []
        compiled: dict[str, Policy] = {}
        for agent, document in policies.items():
            if agent not in self.agents:
                problems.append(_prefix_agent(agent, Problem((), unknown_word("agent", agent, list(self.agents)))))
                continue
            try:
                compiled[agent] = self._compile(canonical_json.encode(document))
            except (InvalidInput, NotEncodable):
                problems += [_prefix_agent(agent, problem) for problem in check_policy(document)]
        if problems:
            raise InvalidInput(problems)
        return [
            compiled.get(agent.id, own) for agent, own in zip(self._scenario.agents, self._own_policies, strict=True)
        ]

    def _draw_arrivals(self, seed: int) -> Sequence[Sequence[Payment]]:
        scenario = self._scenario
        random = draw_day(scenario.processes, scenario.ticks, seed)
        return [(*listed, *drawn) for listed, drawn in zip(scenario.schedule.payments, random, strict=True)]


def _compile_encoded(document: bytes) -> Policy:
    """Compile a policy document from its canonical JSON; raises InvalidInput."""
    value = canonical_json.decode(document)
    if problems := check_policy(value):
        raise InvalidInput(problems)
    return compile_policy(value)


def _prefix_agent(agent: str, problem: Problem) -> Problem:
    key = f"policies[{agent}]" + (f".{problem.key}" if problem.key else "")
    return replace(problem, path=(agent, *problem.path), key=key)


def _checked_seed(seed: int) -> int:
    if type(seed) is not int or not 0 <= seed <= MAX_SEED:
        raise InvalidInput([Problem(("seed",), f"must be an integer from 0 to {MAX_SEED}, not {seed!r}", "seed")])
    return seed
