"""The messages of a request to a model: a pure function of what the agent may know.

The messages are recorded, and replayed by equality: they contain no clock and no id, and changing a word changes the
run id of experiments. They contain no other agent's policy, costs or balance, and are bounded in size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.recorder.display import short_cost
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.config_checks import PAYMENTS
from exprec.recorder.experiment.constraints import PolicyConstraints
from exprec.recorder.experiment.convergence import TEMPORAL
from exprec.recorder.experiment.evaluation import Evaluation
from exprec.recorder.experiment.stats import Cost, cost_deviation, mean_cost
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers import Message

_MAX_REASON = 600
"""The maximum length of a reason or an error, in characters."""

_MAX_ERRORS = 30
"""The maximum number of errors of an answer."""

_MAX_EARLIER_POLICY = 2_000
"""The maximum length of an earlier policy, in characters; the current policy is always complete."""

_MAX_SCENARIO = 10_000
"""The maximum length of the scenario of a custom simulator, in characters."""

_NAMES_OF_POLICIES = ("parameters", "policy_id", "description")
"""The keys of a policy in which two policies may differ and still decide by the same rules."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An earlier proposal of the agent, and whether it was accepted."""

    iteration: int
    policy: Mapping[str, Any] | None
    cost: Cost | None
    """The agent's cost with it; None if it was not evaluated."""
    accepted: bool
    reason: str
    current_cost: Cost | None = None
    """The agent's cost with its current policy at that time, in the same simulations."""


@dataclass(frozen=True, slots=True)
class SampleDay:
    """A simulated day as the agent observes it; `sample` is its position in the evaluation."""

    sample: int
    text: str


def notable_samples(evaluation: Evaluation, agent_id: str) -> tuple[int, ...]:
    """The positions of the samples that cost the agent least and most; of equal ones, the first."""
    costs = evaluation.costs(agent_id)
    return tuple(dict.fromkeys((costs.index(min(costs)), costs.index(max(costs)))))


def request_messages(
    config: ExperimentConfig,
    rules: str,
    agent_id: str,
    policy: Mapping[str, Any],
    evaluation: Evaluation,
    history: Sequence[Attempt],
    days: Sequence[SampleDay] = (),
) -> tuple[Message, ...]:
    """The system and the user message that ask for an agent's next policy.

    `rules` is the simulator's description of the game, `policy` the agent's current policy, `evaluation` its last
    evaluation, `history` the agent's own earlier proposals, and `days` those of the `notable_samples`, if there are
    days.
    """
    constraints = config.policy_constraints
    parts = [
        f"You decide the policy of {agent_id}. Propose one that lowers its total cost.",
        _section("Current policy", _json(policy)),
        _section("Its cost in the last evaluation", _result(config, evaluation, agent_id)),
        *(_describe_day(day, evaluation, agent_id) for day in days),
        _section("Your earlier proposals", _trajectory(history, config, policy)),
        _section("Limits of a proposal", _limits(constraints) if constraints else _NO_LIMITS),
    ]
    guidance = [config.prompt_customization[key] for key in ("all", agent_id) if config.prompt_customization.get(key)]
    if guidance:
        parts.append(_section("Further guidance", "\n".join(guidance)))
    parts.append("Answer with the complete policy document as one JSON object and nothing else.")
    system = config.llm.system_prompt or _system(config, rules, agent_id)
    return Message("system", system), Message("user", "\n\n".join(parts))


def correction_messages(answer: str | None, errors: Sequence[str]) -> tuple[Message, ...]:
    """The messages that return an unusable answer to the model, with everything that is wrong with it.

    Of many errors the first are listed. An answer without text is not returned: providers refuse empty messages.
    """
    listed = "\n".join(_list_errors(errors))
    returned = (Message("assistant", answer),) if answer and answer.strip() else ()
    opening = "This cannot be used" if returned else "Your last answer cannot be used"
    return (
        *returned,
        Message(
            "user",
            f"{opening}:\n{listed}\n"
            "Answer with the complete, corrected policy document as one JSON object and nothing else.",
        ),
    )


_TAKEN_IF_BETTER = (
    "Each proposal is simulated beside the current policy, and takes its place only if it costs your agent less: "
    "to propose the current policy, or one that was rejected, is a round lost."
)
_TAKEN = {
    TEMPORAL: "Each valid proposal takes the place of the current policy at once, also if it costs "
    "more: go back to an earlier policy when a change was for the worse."
}
"""How a proposal is treated, by evaluation mode."""

_OTHERS = "The other agents improve theirs meanwhile, so what an earlier policy cost then it need not cost now. "
_CUSTOM_FORM = 'A policy is a JSON object. The values of its parameters are under the key "parameters".'
_NO_LIMITS = "any valid policy"


def _system(config: ExperimentConfig, rules: str, agent_id: str) -> str:
    opening = (
        "You are an expert in optimisation. You improve the policy of one agent, one proposal an iteration, so that "
        "the total cost of this agent becomes as low as it can. "
        f"{_TAKEN.get(config.evaluation.mode, _TAKEN_IF_BETTER)} {_OTHERS if len(config.optimized_agents) > 1 else ''}"
        "A proposal beyond its limits is not simulated at all."
    )
    if config.simulator == PAYMENTS:
        return f"{opening}\n\n{rules}"
    problem = "\n\n".join(text for text in (config.description.strip(), rules) if text)
    scenario = _clip(_json(_known_scenario(config.scenario, agent_id)), _MAX_SCENARIO)
    sections = [("The problem", problem), ("Its scenario", scenario), ("The form of a policy", _CUSTOM_FORM)]
    return "\n\n".join([opening, *(_section(*each) for each in sections)])


def _known_scenario(scenario: Mapping[str, Any], agent_id: str) -> dict[str, Any]:
    """The scenario of a custom simulator without the starting policies of other agents."""
    agents = scenario.get("agents")
    if not isinstance(agents, list):
        return dict(scenario)
    known = [
        {key: value for key, value in entry.items() if key != "policy"}
        if isinstance(entry, dict) and entry.get("id") != agent_id
        else entry
        for entry in agents
    ]
    return {**scenario, "agents": known}


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
    return "\n".join(lines) or _NO_LIMITS


def _result(config: ExperimentConfig, evaluation: Evaluation, agent_id: str) -> str:
    unit = config.costs.unit
    breakdowns = [sample.result.agents[agent_id].as_dict() for sample in evaluation.samples]
    lines = [f"- {key}: {short_cost(mean_cost([part[key] for part in breakdowns]))} {unit}" for key in breakdowns[0]]
    if len(breakdowns) > 1:
        costs = evaluation.costs(agent_id)
        lines.insert(0, f"means of {len(costs)} simulations")
        lines.append(
            f"- total in single simulations: {short_cost(min(costs))} to {short_cost(max(costs))} {unit}, "
            f"standard deviation {short_cost(cost_deviation(costs))} {unit}"
        )
    if config.evaluation.acceptance.min_settlement_rate is not None:
        # Only where a proposal is judged by it, because it is about the payments of all agents.
        settled = sum(sample.result.settled for sample in evaluation.samples)
        arrived = sum(sample.result.arrivals for sample in evaluation.samples)
        lines.append(f"- payments settled in the whole system: {settled} of {arrived}")
    return "\n".join(lines)


def _describe_day(day: SampleDay, evaluation: Evaluation, agent_id: str) -> str:
    costs = evaluation.costs(agent_id)
    if len(costs) == 1:
        return _section("The simulated day", day.text)
    cost = costs[day.sample]
    extremes = [word for word, extreme in (("least", min(costs)), ("most", max(costs))) if cost == extreme]
    title = f"The day that cost {' and '.join(extremes)}: simulation {day.sample + 1} of {len(costs)}, {cost} cents"
    breakdown = evaluation.samples[day.sample].result.agents[agent_id].as_dict()
    kinds = ", ".join(f"{key} {value}" for key, value in breakdown.items() if key not in ("balance", "total"))
    return _section(title, f"Costs in cents: {kinds}\n{day.text}")


def _trajectory(history: Sequence[Attempt], config: ExperimentConfig, current: Mapping[str, Any]) -> str:
    """The last proposals in order, with their parameters and costs."""
    limit = config.llm.history_limit
    recent = history[len(history) - limit :] if limit < len(history) else history
    lines = [_describe_attempt(attempt, current, config.costs.unit) for attempt in recent]
    if len(recent) < len(history):
        lines.insert(0, f"{len(history) - len(recent)} earlier ones left out")
    return "\n".join(lines) or "none"


def _describe_attempt(attempt: Attempt, current: Mapping[str, Any], unit: str) -> str:
    verdict = f"{'accepted' if attempt.accepted else 'rejected'} ({_clip(attempt.reason, _MAX_REASON)})"
    clauses = [verdict]
    if attempt.cost is not None:
        instead = "" if attempt.current_cost is None else f" instead of {short_cost(attempt.current_cost)} {unit}"
        clauses.insert(0, f"cost {short_cost(attempt.cost)} {unit}{instead}")
    policy = attempt.policy
    if policy is not None:
        parameters = policy.get("parameters")
        if isinstance(parameters, Mapping) and parameters:
            values = ", ".join(f"{name} = {_json(value)}" for name, value in parameters.items())
            clauses.insert(0, _clip(values, _MAX_EARLIER_POLICY))
        if _decisions(policy) != _decisions(current):
            clauses.append(f"policy {_clip(_json(policy), _MAX_EARLIER_POLICY)}")
    return f"- iteration {attempt.iteration}: {'; '.join(clauses)}"


def _decisions(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy without its parameters and names."""
    return {key: value for key, value in policy.items() if key not in _NAMES_OF_POLICIES}


def _clip(text: str, limit: int) -> str:
    left_out = len(text) - limit
    return text if left_out <= 0 else f"{text[:limit]}... ({left_out} more characters left out)"


def _list_errors(errors: Sequence[str]) -> Iterator[str]:
    yield from (f"- {_clip(error, _MAX_REASON)}" for error in errors[:_MAX_ERRORS])
    if len(errors) > _MAX_ERRORS:
        yield f"and {len(errors) - _MAX_ERRORS} more"


def _section(title: str, body: str) -> str:
    return f"## {title}\n{body}"


def _json(value: Any) -> str:
    return canonical_json.encode(value).decode().rstrip("\n")
