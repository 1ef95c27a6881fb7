"""The best policies of an experiment, compared on the same seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from exprec.recorder.errors import SimulationError
from exprec.recorder.experiment.evaluation import Evaluation, Evaluator, Policies
from exprec.recorder.experiment.stats import Cost


@dataclass(frozen=True, slots=True)
class BestPolicies:
    """The policies that cost least in total: the first iteration that evaluated them, and their costs."""

    iteration: int
    total_cost: Cost
    costs_per_agent: Mapping[str, Cost]
    policies: Policies

    def as_dict(self) -> dict[str, Any]:
        """The fields of an `experiment_end`."""
        return {
            "best_iteration": self.iteration,
            "best_total_cost": self.total_cost,
            "best_costs_per_agent": dict(self.costs_per_agent),
            "best_policies": dict(self.policies),
        }


class _Entry(NamedTuple):
    iteration: int
    policies: Policies


class EvaluatedPolicies:
    """The policies that the iterations of an experiment evaluated."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def add(self, iteration: int, policies: Policies) -> None:
        """Add the policies of an iteration, unless an earlier one had the same."""
        if all(entry.policies != policies for entry in self._entries):
            self._entries.append(_Entry(iteration, policies))

    def find_best(
        self, evaluator: Evaluator, iteration: int, last_policies: Policies, last: Evaluation
    ) -> BestPolicies | None:
        """Evaluate all of them on the seeds of the last iteration, and return the first of those that cost least.

        `last` is the evaluation of that iteration, and `last_policies` are those that it evaluated.

        The totals of the iterations themselves do not compare, because each iteration has seeds of its own. Policies
        whose simulation fails on these seeds are left out; None if that leaves none.
        """
        best: BestPolicies | None = None
        for entry in self._entries:
            try:
                is_known = entry.policies == last_policies
                evaluation = last if is_known else evaluator.evaluate(entry.policies, iteration)
            except SimulationError:
                continue
            if best is None or evaluation.total_cost < best.total_cost:
                best = BestPolicies(entry.iteration, evaluation.total_cost, evaluation.costs_per_agent, entry.policies)
        return best
