"""The kinds of events of an optimization experiment, in the order in which they occur. All costs are in cents."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from exprec.recorder.events.spec import EventSpec


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


class IterationStartFields(TypedDict):
    """What the current policies cost."""

    total_cost: int
    costs_per_agent: dict[str, int]


class SampleFields(TypedDict):
    """One simulation of an evaluation."""

    seed: int
    cost: int
    settled: int
    total: int
    """Payments that arrived."""
    settlement_rate: float
    costs_per_agent: dict[str, int]


class BootstrapEvaluationFields(TypedDict):
    """The evaluation of the current policies on a set of seeds."""

    seed_results: list[SampleFields]
    mean_cost: int
    """Truncated toward zero, as `std_cost` is."""
    std_cost: int


class LlmCallFields(TypedDict):
    """One attempt to get a policy from a model."""

    agent_id: str
    model: str
    attempt: int
    """From 1, for each proposal anew."""
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_seconds: float
    exchange: int
    """Index of the request and its response in exchanges.jsonl, from 0."""
    outcome: str


class PolicyChangeFields(TypedDict):
    """A proposal that was simulated, and whether it was accepted."""

    agent_id: str
    old_policy: dict[str, Any]
    new_policy: dict[str, Any]
    old_cost: int
    new_cost: int
    accepted: bool
    acceptance_reason: str
    deltas: list[int]
    """Old minus new cost in each simulation."""


class PolicyRejectedFields(TypedDict):
    """A proposal that could not be used."""

    agent_id: str
    proposed_policy: dict[str, Any] | None
    rejection_reason: str
    validation_errors: list[str]


class IterationEndFields(TypedDict):
    """The state of the experiment after an iteration."""

    costs_per_agent: dict[str, int]
    accepted_changes: dict[str, bool]
    policies: dict[str, Any]
    convergence: NotRequired[dict[str, Any]]


class ExperimentEndFields(TypedDict):
    """The result of the experiment."""

    final_cost: int
    best_cost: int
    converged: bool
    convergence_reason: str
    num_iterations: int


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
