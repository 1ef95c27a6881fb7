"""`python -m benchmarks.search_games`: `search` against random policies at the same budget, on five games.

The budget is a number of iterations, N. `search` gets the cheapest policies of its first N iterations; its rival is the
cheapest of N policies that are drawn uniformly within the bounds of the parameters. All policies are evaluated on the
same seeds. The figure is the probability that the rival is cheaper: 1 - (1 - p)^N, where p is the share of cheaper
policies among those drawn. At 50 % the two are equally good.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.constraints import search_space
from exprec.recorder.experiment.evaluation import load_simulator
from exprec.recorder.experiment.loop import OptimizationLoop
from exprec.recorder.proposers import Parameter

BUDGETS = (5, 10, 25, 50)
_SEEDS = range(1, 21)
_EXAMPLES = Path(__file__).parent.parent / "examples" / "castro"

INVENTORY = '''
import random

def evaluate(scenario, policies, seed):
    """Order up to a level when the stock falls below a point; stock, orders and lost sales cost."""
    costs = {}
    for agent, policy in policies.items():
        point, level = (policy["parameters"][name] for name in ("reorder_point", "order_up_to"))
        draw = random.Random(seed)
        stock, orders, cost = level, [], 0
        for day in range(60):
            stock += sum(amount for due, amount in orders if due == day)
            orders = [order for order in orders if order[0] > day]
            demand = draw.randrange(0, 21)
            cost += 90 * max(0, demand - stock)
            stock = max(0, stock - demand)
            position = stock + sum(amount for _, amount in orders)
            if position < point and level > position:
                orders.append((day + 3, level - position))
                cost += 300
            cost += 2 * stock
        costs[agent] = cost
    return costs
'''
"""An inventory with two parameters, in which either one alone is worth little."""

BATCHING = '''
def evaluate(scenario, policies, seed):
    """Batch requests of a queue: a longer timeout fills batches and lets requests wait; the kind has a fixed price."""
    costs = {}
    for agent, policy in policies.items():
        size, timeout, kind = (policy["parameters"][name] for name in ("size", "timeout", "kind"))
        speed, price = {"small": (1.0, 100), "medium": (3.0, 260), "large": (6.0, 900)}[kind]
        rate = scenario["rate"]
        filled = min(size, 1 + rate * timeout)
        service = (4.0 + 0.2 * filled) / speed
        load = rate * service / filled
        queueing = 400.0 * load * load / (1.0 - load) if load < 0.98 else 400.0 * 50 * load
        costs[agent] = round(price + 12.0 * min(timeout, filled / rate) + 3.0 * size + queueing)
    return costs
'''
"""A batching queue: an integer, a float over four orders of magnitude, and an enumeration."""


class Score(NamedTuple):
    """The cost of the best policies of `search` within a budget, and the probability that random ones are cheaper."""

    budget: int
    start: float
    cost: float
    median: float
    """The median cost of the best of as many random policies."""
    beaten: float


class Game(NamedTuple):
    """An experiment of at least 50 iterations, and the folder of its files."""

    name: str
    config: ExperimentConfig
    folder: Path


def games(folder: Path) -> Iterator[Game]:
    """The five games; writes the simulators into `folder`."""
    for name in ("two-period", "three-period", "twelve-period"):
        config = ExperimentConfig.load(_EXAMPLES / f"{name}.yaml")
        yield Game(name, config, _EXAMPLES)
    (folder / "inventory.py").write_text(INVENTORY, "utf-8")
    (folder / "batching.py").write_text(BATCHING, "utf-8")
    number = {"param_type": "int", "min_value": 0, "max_value": 200}
    yield _own_game(
        folder,
        "inventory",
        {"mode": "bootstrap", "num_samples": 10},
        {},
        {"reorder_point": number, "order_up_to": number},
    )
    parameters = {
        "size": {"param_type": "int", "min_value": 1, "max_value": 64},
        "timeout": {"param_type": "float", "min_value": 0.001, "max_value": 10.0},
        "kind": {"param_type": "enum", "allowed_values": ["small", "medium", "large"]},
    }
    yield _own_game(folder, "batching", {"mode": "deterministic"}, {"rate": 5.0}, parameters)


def _own_game(
    folder: Path, name: str, evaluation: Mapping[str, Any], scenario: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Game:
    value = {
        "name": name,
        "simulator": f"{name}:evaluate",
        "scenario": scenario,
        "optimized_agents": ["ONE"],
        "evaluation": {"ticks": 1, **evaluation},
        "convergence": {"max_iterations": max(BUDGETS)},
        "llm": {"model": "search"},
        "policy_constraints": {"allowed_parameters": [{"name": key, **each} for key, each in parameters.items()]},
    }
    return Game(name, ExperimentConfig.from_mapping(value, folder), folder)


class Contest:
    """One game: what policies cost on the same seeds."""

    def __init__(self, game: Game) -> None:
        """Prepare the simulator."""
        # No stability ends the search before the budget does.
        limits = replace(game.config.convergence, max_iterations=max(BUDGETS), stability_window=max(BUDGETS) + 1)
        self._game = game
        self._config = replace(game.config, convergence=limits)
        self._simulator = load_simulator(game.config, game.folder)

    def cost(self, policies: Mapping[str, Any]) -> float:
        """The mean total cost over the seeds."""
        results = self._simulator.simulate_each(policies, _SEEDS)
        return sum(each.total for result in results for each in result.agents.values()) / len(_SEEDS)

    def searched(self) -> list[float]:
        """The cost of the current policies at the start of each iteration of `search`."""
        loop = OptimizationLoop(self._config, self._game.folder)
        asyncio.run(loop.run())
        agents = self._config.optimized_agents
        start = {agent: self._simulator.starting_policy(agent) for agent in agents}
        ends = [
            event["policies"]
            for event in loop.state_provider.get_all_events()
            if event["event_type"] == "iteration_end"
        ]
        return [self.cost(policies) for policies in [start, *ends[:-1]]]

    def drawn(self, count: int, seed: int = 42) -> list[float]:
        """The costs of random policies, in increasing order."""
        draw = random.Random(seed)
        return sorted(self.cost(self._random_policies(draw)) for _ in range(count))

    def _random_policies(self, draw: random.Random) -> dict[str, Any]:
        space = search_space(self._config.policy_constraints)
        policies = {}
        for agent in self._config.optimized_agents:
            policy = self._simulator.starting_policy(agent)
            values = {each.name: _random_value(each, draw) for each in space}
            policies[agent] = {**policy, "parameters": {**policy.get("parameters", {}), **values}}
        return policies


def _random_value(parameter: Parameter, draw: random.Random) -> Any:
    if parameter.kind == "enum":
        return draw.choice(parameter.values)
    low, high = parameter.minimum or 0, parameter.maximum or 0
    return draw.randint(int(low), int(high)) if parameter.kind == "int" else draw.uniform(low, high)


def compare(searched: Sequence[float], drawn: Sequence[float]) -> Iterator[Score]:
    """The score at each budget; `drawn` is sorted."""
    for budget in BUDGETS:
        cost = min(searched[:budget])
        better = sum(each < cost for each in drawn) / len(drawn)
        at_median = drawn[int(len(drawn) * (1 - 0.5 ** (1 / budget)))]
        yield Score(budget, searched[0], cost, at_median, 1 - (1 - better) ** budget)


def main() -> None:
    """Print the scores as the rows of a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=1000, help="random policies per game")
    options = parser.parse_args()
    print("| game | iterations | start | best of `search` | median of the best random one | P(random is better) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="exprec-search-") as folder:
        for game in games(Path(folder)):
            contest = Contest(game)
            for score in compare(contest.searched(), contest.drawn(options.policies)):
                costs = f"{score.start:.0f} | {score.cost:.0f} | {score.median:.0f}"
                print(f"| {game.name} | {score.budget} | {costs} | {score.beaten:.1%} |")


if __name__ == "__main__":
    main()
