"""The messages of a request to a model: a pure function of what the agent may know.

The messages are recorded, and replayed by equality: they contain no clock and no id, and changing a word changes the
run id of experiments. They contain no other agent's policy, costs or balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.constraints import PolicyConstraints
from exprec.recorder.experiment.convergence import TEMPORAL
from exprec.recorder.experiment.evaluation import Evaluation
from exprec.recorder.experiment.stats import truncated_mean
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers import Message


@dataclass(frozen=True, slots=True)
class Attempt:
    """An earlier proposal of the agent, and whether it was accepted."""

    iteration: int
    policy: Mapping[str, Any] | None
    cost: int | None
    """The agent's cost with it, in cents; None if it was not evaluated."""
    accepted: bool
    reason: str


def request_messages(
    config: ExperimentConfig,
    rules: str,
    agent_id: str,
    policy: Mapping[str, Any],
    evaluation: Evaluation,
    history: Sequence[Attempt],
) -> tuple[Message, ...]:
    """The system and the user message that ask for an agent's next policy.

    `rules` is the simulator's description of the game, `policy` the agent's current policy, `evaluation` its last
    evaluation, and `history` the agent's own earlier proposals.
    """
    parts = [
        f"You decide the policy of {agent_id}. Propose one that lowers its total cost.",
        _section("Current policy", _json(policy)),
        _section("Its result in the last evaluation", _result(evaluation, agent_id)),
        _section("Earlier proposals", "\n".join(map(_attempt, history)) or "none"),
    ]
    guidance = [config.prompt_customization[key] for key in ("all", agent_id) if config.prompt_customization.get(key)]
    if guidance:
        parts.append(_section("Further guidance", "\n".join(guidance)))
    parts.append("Answer with the complete policy document as one JSON object and nothing else.")
    system = config.llm.system_prompt or _system(rules, config.policy_constraints, config.evaluation.mode)
    return Message("system", system), Message("user", "\n\n".join(parts))


def correction_messages(answer: str, errors: Sequence[str]) -> tuple[Message, ...]:
    """The messages that return an unusable answer to the model, with everything that is wrong with it."""
    listed = "\n".join(f"- {error}" for error in errors)
    return (
        Message("assistant", answer),
        Message(
            "user",
            f"This cannot be used:\n{listed}\n"
            "Answer with the complete, corrected policy document as one JSON object and nothing else.",
        ),
    )


_TAKEN_IF_BETTER = (
    "Each proposal is simulated beside the policy in force, and takes its place only if it costs your agent less: "
    "to propose the policy in force, or one that was rejected, is a round lost."
)
_TAKEN = {
    TEMPORAL: "Each valid proposal takes the place of the policy in force at once, also if it costs "
    "more: go back to an earlier policy when a change was for the worse."
}
"""How a proposal is treated, by evaluation mode."""


def _system(rules: str, constraints: PolicyConstraints | None, mode: str) -> str:
    opening = (
        "You are an expert in optimisation. You improve the policy of one agent, one proposal an iteration, so that "
        f"the total cost of this agent becomes as low as it can. {_TAKEN.get(mode, _TAKEN_IF_BETTER)} The other agents "
        "improve theirs meanwhile, so what an earlier policy cost then it need not cost now. A proposal beyond the "
        "limits below is not simulated at all."
    )
    limits = _section("Limits of a proposal", _limits(constraints) if constraints else "any valid policy")
    return "\n\n".join([opening, rules, limits])


def _limits(constraints: PolicyConstraints) -> str:
    lines = []
    for parameter in constraints.allowed_parameters or ():
        described = f": {parameter.description}" if parameter.description else ""
        if parameter.param_type == "enum":
            values = f"one of {_json(list(parameter.allowed_values or ()))}"
        else:
            bounds = (("at least", parameter.min_value), ("at most", parameter.max_value))
            values = ", ".join(
                [parameter.param_type, *(f"{word} {bound}" for word, bound in bounds if bound is not None)]
            )
        lines.append(f"- parameter {parameter.name}, {values}{described}")
    if constraints.allowed_parameters is not None:
        lines.append("- no other parameters" if lines else "- no parameters")
    if constraints.allowed_fields is not None:
        lines.append(f"- fields: {', '.join(constraints.allowed_fields) or 'none'}")
    for tree, actions in (constraints.allowed_actions or {}).items():
        lines.append(f"- actions of {tree}: {', '.join(actions) or 'none'}")
    if not constraints.lsm_enabled:
        lines.append("- there is no liquidity saving: do not rely on offsetting")
    return "\n".join(lines) or "any valid policy"


def _result(evaluation: Evaluation, agent_id: str) -> str:
    breakdowns = [sample.result.agents[agent_id].as_dict() for sample in evaluation.samples]
    count = len(breakdowns)
    lines = [f"- {key}: {truncated_mean([part[key] for part in breakdowns])} cents" for key in breakdowns[0]]
    settled = sum(sample.result.settled for sample in evaluation.samples)
    arrived = sum(sample.result.arrivals for sample in evaluation.samples)
    if arrived:
        # A custom simulator has no payments.
        lines.append(f"- payments settled in the whole system: {settled} of {arrived}")
    return (f"means of {count} simulations\n" if count > 1 else "") + "\n".join(lines)


def _attempt(attempt: Attempt) -> str:
    verdict = "accepted" if attempt.accepted else "rejected"
    cost = "" if attempt.cost is None else f", cost {attempt.cost} cents"
    policy = "" if attempt.policy is None else f": {_json(attempt.policy)}"
    return f"- iteration {attempt.iteration}, {verdict}{cost} ({attempt.reason}){policy}"


def _section(title: str, body: str) -> str:
    return f"## {title}\n{body}"


def _json(value: Any) -> str:
    return canonical_json.encode(value).decode().rstrip("\n")
