"""The simulators: the built-in payment system, and custom functions.

The messages of SimulationError are recorded: changing one changes the run id of experiments.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import InvalidInput, NotEncodable, Problem, SimulationError
from exprec.recorder.experiment.config import CostsConfig, ExperimentConfig
from exprec.recorder.experiment.config_checks import PAYMENTS
from exprec.recorder.experiment.constraints import ParameterConstraint, PolicyConstraints
from exprec.recorder.experiment.evaluation.evaluator import AgentCosts, Policies, Result, Simulator
from exprec.recorder.experiment.evaluation.user_costs import InvalidCost, read_cost
from exprec.recorder.experiment.evaluation.user_module import (
    NotImportable,
    UserFunction,
    describe_exception,
    load_function,
    traceback_within,
)
from exprec.recorder.experiment.stats import Cost
from exprec.recorder.format import canonical_json
from exprec.recorder.payments import (
    DEFAULT_LIQUIDITY_FRACTION,
    LIQUIDITY_FRACTION,
    PaymentSimulator,
    check_policy,
    describe_rules,
)

_WITHOUT_DOCSTRING = "A program computes from the policies of all agents what each of them has to pay."
_CENTS = CostsConfig()


class Payments(PaymentSimulator):
    """The built-in payment system, with the description of its rules for proposers."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        super().__init__(scenario)
        self.rules = describe_rules(scenario)
        """The description of the game and of the form of a policy."""

    def starting_policy(self, agent: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The given policy, that of the scenario, or the default."""
        return super().starting_policy(agent) if given is None else copy.deepcopy(dict(given))

    def check_policy(self, policy: Any) -> list[Problem]:
        """The problems of a policy; none if it can be simulated."""
        return check_policy(policy)


class UserSimulator:
    """A custom simulator: a function that computes costs from a scenario, policies and a seed.

    It gets copies, so that it cannot change the experiment. It has no payments.
    """

    def __init__(
        self,
        function: UserFunction,
        scenario: bytes,
        agents: Sequence[str],
        costs: CostsConfig = _CENTS,
        constraints: PolicyConstraints | None = None,
    ) -> None:
        """Simulate with `function`; `scenario` is in canonical JSON, `agents` are those with `costs`."""
        self._function = function
        self._scenario = scenario
        self._agents = tuple(agents)
        self._costs = costs
        self._constraints = constraints
        self.rules = function.docstring or _WITHOUT_DOCSTRING
        """The docstring of the function, which is the description for proposers."""

    def starting_policy(self, agent: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The given policy, that in the agent's entry of the scenario, or the default one, which only has parameters.

        A given policy gets the parameters of the default one that it lacks.

        If the experiment lists the parameters that policies may have, it has each of them, in the middle of its bounds
        or with the first of its values; otherwise the one that a search changes by default.
        """
        if given is not None:
            parameters = {**self._default_parameters(), **given.get("parameters", {})}
            return copy.deepcopy({**given, "parameters": parameters})
        entries = canonical_json.decode(self._scenario).get("agents")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("id") == agent and isinstance(entry.get("policy"), dict):
                return copy.deepcopy(dict(entry["policy"]))
        return {"parameters": self._default_parameters()}

    def _default_parameters(self) -> dict[str, Any]:
        if self._constraints is None or self._constraints.allowed_parameters is None:
            return {LIQUIDITY_FRACTION: DEFAULT_LIQUIDITY_FRACTION}
        return {each.name: _middle(each) for each in self._constraints.allowed_parameters}

    def check_policy(self, policy: Any) -> list[Problem]:
        """The problems of a policy: none for any JSON object, whose content is up to the function."""
        if not isinstance(policy, dict):
            return [Problem((), f"a policy must be a JSON object, not {show_value(policy)}")]
        try:
            canonical_json.encode(policy)
        except NotEncodable as error:
            return [Problem((), error.reason, error.field)]
        return []

    def simulate_each(self, policies: Policies, seeds: Sequence[int]) -> Iterator[Result]:
        """Yield the costs that the function returns for each seed, in order.

        Raises SimulationError when it raises, and when a cost is not of the type of costs.
        """
        encoded = canonical_json.encode(policies)
        for seed in seeds:
            # Decoded each time: the key order is then always the same, and the function may change its arguments.
            yield self._called(canonical_json.decode(self._scenario), canonical_json.decode(encoded), seed)

    def _called(self, scenario: Any, policies: Any, seed: int) -> Result:
        try:
            returned = self._function(scenario, policies, seed)
            costs = dict(returned) if isinstance(returned, Mapping) else None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            details = traceback_within(self._function.folder, error)
            raise SimulationError(f"{self._name} raised {describe_exception(error)}", details) from error
        if costs is None:
            wanted = f"a mapping of agents to costs in {self._costs.unit}"
            raise SimulationError(f"{self._name} must return {wanted}, not {show_value(returned)}")
        return Result(0, 0, {agent: AgentCosts({"total": self._cost(costs, agent)}) for agent in self._agents})

    def _cost(self, costs: Mapping[Any, Any], agent: str) -> Cost:
        if agent not in costs:
            raise self._no_cost(agent, "has no cost in what it returned")
        try:
            return read_cost(costs[agent], self._costs)
        except InvalidCost as error:
            raise self._no_cost(agent, f"its cost {error}") from None

    def _no_cost(self, agent: str, reason: str) -> SimulationError:
        return SimulationError(f"agent '{agent}', {self._name}: {reason}", agent=agent)

    @property
    def _name(self) -> str:
        return f"simulator {self._function.name}"


@dataclass(frozen=True, slots=True)
class SimulatorSpec:
    """What another process needs to load the same simulator; `scenario` is in canonical JSON."""

    simulator: str
    scenario: bytes
    agents: tuple[str, ...]
    folder: Path
    costs: CostsConfig = _CENTS

    @classmethod
    def of_config(cls, config: ExperimentConfig, config_dir: Path) -> SimulatorSpec:
        """The spec of the simulator of an experiment."""
        folder = config.function.folder if config.function is not None else config_dir.absolute()
        return cls(
            config.simulator, canonical_json.encode(config.scenario), config.optimized_agents, folder, config.costs
        )

    def load(self) -> Simulator:
        """Load the simulator. Raises InvalidInput."""
        if self.simulator == PAYMENTS:
            return Payments(canonical_json.decode(self.scenario))
        return UserSimulator(_imported(self.simulator, self.folder), self.scenario, self.agents, self.costs)


def load_simulator(config: ExperimentConfig, config_dir: Path) -> Payments | UserSimulator:
    """Load the simulator of an experiment; a custom one is imported from `config_dir` unless it is loaded.

    Raises InvalidInput for a scenario that it cannot simulate, and for a function that cannot be imported.
    """
    if config.simulator == PAYMENTS:
        return Payments(config.scenario)
    function = config.function or _imported(config.simulator, config_dir)
    scenario = canonical_json.encode(config.scenario)
    return UserSimulator(function, scenario, config.optimized_agents, config.costs, config.policy_constraints)


def _imported(name: str, folder: Path) -> UserFunction:
    try:
        return load_function(name, folder)
    except NotImportable as error:
        raise InvalidInput([Problem(("simulator",), str(error), "simulator")]) from error


def _middle(parameter: ParameterConstraint) -> int | float | str:
    """The start of a search: the middle of the bounds, the only bound, 0 without any, or the first value."""
    if parameter.param_type == "enum":
        return parameter.allowed_values[0]
    bounds = [bound for bound in (parameter.min_value, parameter.max_value) if bound is not None]
    if parameter.param_type == "int":
        return int(sum(bounds) // len(bounds)) if bounds else 0
    # Divided before they are added, because the sum of two finite numbers may be infinite.
    return float(sum(bound / len(bounds) for bound in bounds)) if bounds else 0.0
