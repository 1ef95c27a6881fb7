"""The kinds of events of an optimization experiment, in the order in which they occur.

Costs are in the unit that `experiment_start` names, else in cents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict

from exprec.recorder.diagnostics import key_name, show_value
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.events.spec import Event, EventSpec

Cost = float
"""An integer, or a float if the costs of the experiment are numbers; those of an experiment are all alike."""


class ExperimentStartFields(TypedDict):
    """What the experiment is."""

    experiment_name: str
    description: str
    max_iterations: int
    num_samples: int | None
    """Simulations in one evaluation; None where it is a single one."""
    evaluation_mode: str
    model: str
    agents: list[str]
    """In the order of optimization."""
    costs: NotRequired[dict[str, str]]
    """`unit` and `type` (`integer` or `number`); absent for integer cents."""


class IterationStartFields(TypedDict):
    """What the current policies cost."""

    total_cost: Cost
    costs_per_agent: dict[str, Cost]


class SampleFields(TypedDict):
    """One simulation of an evaluation."""

    seed: int
    cost: Cost
    settled: NotRequired[int]
    """Payments that settled; this and the next two are absent for a simulator without payments."""
    total: NotRequired[int]
    """Payments that arrived."""
    settlement_rate: NotRequired[float]
    costs_per_agent: dict[str, Cost]


class BootstrapEvaluationFields(TypedDict):
    """The evaluation of the current policies on a set of seeds."""

    seed_results: list[SampleFields]
    mean_cost: Cost
    """Truncated toward zero, as `std_cost` is, if costs are integers."""
    std_cost: Cost


class LlmCallFields(TypedDict):
    """One attempt to get a policy from a model."""

    agent_id: str
    model: str
    attempt: int
    """From 1, for each proposal anew."""
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_seconds: float
    cached_tokens: int | None
    """Of the request."""
    reasoning_tokens: int | None
    """Of the answer."""
    answering_model: str | None
    """As the response names it: the snapshot behind an alias."""
    finish_reason: str | None
    """In the word of the provider."""
    exchange: int
    """Index of the request and its response in exchanges.jsonl, from 0."""
    outcome: str


class PolicyChangeFields(TypedDict):
    """A proposal that was simulated, and whether it was accepted."""

    agent_id: str
    old_policy: dict[str, Any]
    new_policy: dict[str, Any]
    old_cost: Cost
    new_cost: Cost
    accepted: bool
    acceptance_reason: str
    deltas: list[Cost]
    """Old minus new cost in each simulation."""


class PolicyRejectedFields(TypedDict):
    """A proposal that could not be used."""

    agent_id: str
    proposed_policy: dict[str, Any] | None
    rejection_reason: str
    validation_errors: list[str]


class IterationEndFields(TypedDict):
    """The state of the experiment after an iteration."""

    costs_per_agent: dict[str, Cost]
    accepted_changes: dict[str, bool]
    policies: dict[str, Any]
    convergence: NotRequired[dict[str, Any]]


class ExperimentEndFields(TypedDict):
    """The result of the experiment."""

    final_cost: Cost
    best_cost: Cost
    converged: bool
    convergence_reason: str
    num_iterations: int
    proposals: NotRequired[dict[str, int]]
    """How many proposals were usable, rejected and failed; absent if there were none."""
    best_iteration: NotRequired[int]
    """The first iteration that evaluated the best policies; absent, as the next three, if none were compared."""
    best_total_cost: NotRequired[Cost]
    """On the seeds of the last iteration, on which the policies of all iterations are compared."""
    best_costs_per_agent: NotRequired[dict[str, Cost]]
    best_policies: NotRequired[dict[str, Any]]


PROPOSAL_COUNTS = ("usable", "rejected", "failed")
"""What the proposals of an experiment are counted by: those compared, those rejected for what they are, those that
never came."""

LLM_ERROR = "llm_error"
"""The reason of a `policy_rejected` where the model gave no answer."""

CENTS = "cents"
"""The unit of costs of an experiment that names none."""


def cost_unit(fields: Mapping[str, Any]) -> str:
    """The unit of costs, given the fields of an `experiment_start` or the config.json of an experiment."""
    costs = fields.get("costs")
    unit = costs.get("unit") if isinstance(costs, dict) else None
    return unit if isinstance(unit, str) else CENTS


def read_cost(value: Any, fields: Mapping[str, Any]) -> Cost | None:
    """Return a value of a result if it is a cost, else None; see `cost_unit`. A float is one if costs are numbers."""
    costs = fields.get("costs")
    is_number = type(value) is float and isinstance(costs, dict) and costs.get("type") == "number"
    return value if type(value) is int or is_number else None


EXPERIMENT_START = EventSpec("experiment_start", ExperimentStartFields, "experiment")
ITERATION_START = EventSpec("iteration_start", IterationStartFields, "iteration", switch="iterations")
BOOTSTRAP_EVALUATION = EventSpec("bootstrap_evaluation", BootstrapEvaluationFields, "iteration", switch="bootstrap")
LLM_CALL = EventSpec(
    "llm_call",
    LlmCallFields,
    "iteration",
    switch="llm",
    exchange_field="exchange",
    measured_fields=frozenset(("latency_seconds",)),
)
POLICY_CHANGE = EventSpec(
    "policy_change", PolicyChangeFields, "iteration", switch="policy", rejected_switch="rejections"
)
POLICY_REJECTED = EventSpec("policy_rejected", PolicyRejectedFields, "iteration", switch="rejections")
ITERATION_END = EventSpec("iteration_end", IterationEndFields, "iteration", switch="metrics")
EXPERIMENT_END = EventSpec("experiment_end", ExperimentEndFields, "experiment", outcome="result")

SPECS = (
    EXPERIMENT_START,
    ITERATION_START,
    BOOTSTRAP_EVALUATION,
    LLM_CALL,
    POLICY_CHANGE,
    POLICY_REJECTED,
    ITERATION_END,
    EXPERIMENT_END,
)

_COST_FIELDS = {
    ITERATION_START.event_type: ("total_cost", "costs_per_agent"),
    BOOTSTRAP_EVALUATION.event_type: ("mean_cost", "std_cost", "seed_results"),
    POLICY_CHANGE.event_type: ("old_cost", "new_cost", "deltas"),
    ITERATION_END.event_type: ("costs_per_agent",),
    EXPERIMENT_END.event_type: ("final_cost", "best_cost", "best_total_cost", "best_costs_per_agent"),
}
"""The fields with costs, by event type."""
_OF_SAMPLE = ("cost", "costs_per_agent")
_INTEGER = frozenset((int,))


class CostTypes:
    """Checks the types of costs in the events of one log, in their order."""

    event_types = frozenset((EXPERIMENT_START.event_type, *_COST_FIELDS))
    """The types of events that have to be checked."""

    def __init__(self) -> None:
        self._has_numbers = False

    def check(self, event: Event) -> list[Problem]:
        """Return a problem for each cost that must be an integer; the event is one of `event_types` and valid."""
        event_type = event["event_type"]
        if event_type == EXPERIMENT_START.event_type:
            self._has_numbers = event.get("costs", {}).get("type") == "number"
            return []
        names = _COST_FIELDS[event_type]
        if self._has_numbers or all(_has_integers(event.get(name, 0)) for name in names):
            return []
        return [
            Problem(path, f"must be an integer, not {show_value(cost)}", key_name(path))
            for name in names
            if name in event
            for path, cost in _costs_in(event[name], (name,))
            if type(cost) is not int
        ]


def _has_integers(value: Any) -> bool:
    """Whether all costs in a field are integers; finding each with its path takes three times as long."""
    if type(value) is int:
        return True
    if type(value) is dict:
        return _INTEGER.issuperset(map(type, value.values()))
    if type(value) is list:
        return _INTEGER.issuperset(map(type, value)) or all(
            type(sample) is dict and all(_has_integers(sample[name]) for name in _OF_SAMPLE) for sample in value
        )
    return False


def _costs_in(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each cost in a field, with its path."""
    if path == ("seed_results",):
        for index, sample in enumerate(value):
            for name in _OF_SAMPLE:
                yield from _costs_in(sample[name], (*path, index, name))
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, cost in items:
            yield (*path, key), cost
    else:
        yield path, value
