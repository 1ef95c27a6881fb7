"""The payment simulator: a scenario, checked once, and the outcome of any policies and seed in it.

What happens within a day is in `engine`. Both caches are bounded and hold only what depends on their
keys, so they change how long a simulation takes and nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from exprec.recorder.errors import InvalidInput, NotEncodable, Problem, SimulationError
from exprec.recorder.format.canonical_json import decode, encode
from exprec.recorder.payments.engine import run_day
from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.policy.checks import check_policy
from exprec.recorder.payments.policy.tree import Policy, compile_policy, fifo_policy, start_document
from exprec.recorder.payments.result import Outcome
from exprec.recorder.payments.rng import MAX_SEED
from exprec.recorder.payments.scenario.arrivals import draw_day
from exprec.recorder.payments.scenario.checks import check_scenario
from exprec.recorder.payments.scenario.distributions import add_up
from exprec.recorder.payments.scenario.scenario import Scenario, compile_scenario
from exprec.recorder.schema.engine import unknown_word

_CACHED_PAYMENTS = 200_000
_CACHED_POLICIES = 256


class PaymentSimulator:
    """Simulates one scenario. `agents` are the ids in the order of the scenario file, `rng_seed` its own seed."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        """Raises InvalidInput with every problem of the scenario."""
        if problems := check_scenario(scenario):
            raise InvalidInput(problems)
        self._scenario: Scenario = compile_scenario(scenario)
        self.agents = self._scenario.ids
        self.ticks_per_day = self._scenario.ticks
        self.rng_seed = self._scenario.seed
        self._documents = {agent.id: agent.policy for agent in self._scenario.agents if agent.policy is not None}
        self._compile = lru_cache(_CACHED_POLICIES)(_compile_encoded)
        self._own_policies = [
            compile_policy(agent.policy) if agent.policy is not None else fifo_policy(agent.fraction)
            for agent in self._scenario.agents
        ]
        size = self.ticks_per_day * (1 + add_up([process.rate for process in self._scenario.processes]))
        self._arrivals = lru_cache(max(1, int(_CACHED_PAYMENTS / size)))(self._draw_arrivals)

    def has_policy(self, agent: str) -> bool:
        """Whether the scenario gives this agent a policy document."""
        return agent in self._documents

    def starting_policy(self, agent: str) -> dict[str, Any]:
        """The policy document that an optimisation of this agent starts from: the scenario's own, or the default."""
        document = self._documents.get(agent)
        return start_document() if document is None else copy.deepcopy(dict(document))

    def simulate(self, policies: Mapping[str, Mapping[str, Any]], seed: int | None = None) -> Outcome:
        """The outcome of a day under these policy documents, by agent id; deterministic.

        An agent without a document keeps the policy of the scenario; `seed`, 0 to 2^64 − 1, takes the place
        of the scenario's. Raises InvalidInput before the first tick, its paths relative to `policies`, and
        SimulationError where the run itself has to stop.
        """
        seed = self.rng_seed if seed is None else _checked_seed(seed)
        return self._outcome(self._in_force(policies), seed)

    def simulate_each(self, policies: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]) -> Iterator[Outcome]:
        """The outcomes of `simulate` for each of these seeds, in order; the policies are made ready only once."""
        in_force = self._in_force(policies)
        for seed in seeds:
            yield self._outcome(in_force, _checked_seed(seed))

    def _outcome(self, in_force: Sequence[Policy], seed: int) -> Outcome:
        try:
            return run_day(self._scenario, in_force, self._arrivals(seed))
        except OverflowError as error:
            raise SimulationError(f"an amount is beyond what floating point can hold ({error})") from error

    def _in_force(self, policies: Mapping[str, Mapping[str, Any]]) -> list[Policy]:
        if not isinstance(policies, Mapping):
            raise InvalidInput([Problem((), "must be a mapping of agents to policies", "policies")])
        problems: list[Problem] = []
        compiled: dict[str, Policy] = {}
        for agent, document in policies.items():
            if agent not in self.agents:
                problems.append(_of_agent(agent, Problem((), unknown_word("agent", agent, list(self.agents)))))
                continue
            try:
                compiled[agent] = self._compile(encode(document))
            except (InvalidInput, NotEncodable):
                problems += [_of_agent(agent, problem) for problem in check_policy(document)]
        if problems:
            raise InvalidInput(problems)
        return [
            compiled.get(agent.id, own) for agent, own in zip(self._scenario.agents, self._own_policies, strict=True)
        ]

    def _draw_arrivals(self, seed: int) -> Sequence[Sequence[Payment]]:
        scenario = self._scenario
        drawn = draw_day(scenario.processes, scenario.ticks, seed)
        return [(*listed, *random) for listed, random in zip(scenario.timetable.payments, drawn, strict=True)]


def _compile_encoded(document: bytes) -> Policy:
    """Compile a policy document from its canonical bytes. Raises InvalidInput."""
    value = decode(document)
    if problems := check_policy(value):
        raise InvalidInput(problems)
    return compile_policy(value)


def _of_agent(agent: str, problem: Problem) -> Problem:
    key = f"policies[{agent}]" + (f".{problem.key}" if problem.key else "")
    return replace(problem, path=(agent, *problem.path), key=key)


def _checked_seed(seed: int) -> int:
    if type(seed) is not int or not 0 <= seed <= MAX_SEED:
        raise InvalidInput([Problem(("seed",), f"must be an integer from 0 to {MAX_SEED}, not {seed!r}", "seed")])
    return seed
