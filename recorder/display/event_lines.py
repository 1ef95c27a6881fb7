"""Events to lines of text, each event by itself: the same event always gives the same lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from exprec.recorder.diagnostics import key_name
from exprec.recorder.diff import differences
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.display.short_values import short_cost, short_costs, short_value, value_as_json
from exprec.recorder.display.terminal_text import Line, Span, count_noun, new_line
from exprec.recorder.errors import NotEncodable
from exprec.recorder.events import Event, EventSpec, common, event_fields, optimization
from exprec.recorder.schema import DisplayTemplate

_INNER = 2
_HANG = 2
_DETAIL = 6
_MOST_DIFFERENCES = 8
NO_LINES = (TypeError, ValueError)
"""What printing the lines of an event raises if its fields have other types than its schema says."""
_METRICS = {
    "relative_change": "change",
    "stable_changes": "stable changes",
    "fraction_range": "fraction range",
    "coefficient_of_variation": "variation",
    "trend_s": "trend S",
    "trend_p": "p",
    "regret": "regret",
}
"""The labels of the convergence metrics, in the order of display."""

_Renderer = Callable[[Event, VerboseConfig], Iterable[Line]]
_RENDERERS: dict[str, _Renderer] = {}


def _renders(spec: EventSpec[Any]) -> Callable[[_Renderer], _Renderer]:
    """Register a function as the renderer of a kind of event."""

    def register(renderer: _Renderer) -> _Renderer:
        _RENDERERS[spec.event_type] = renderer
        return renderer

    return register


def event_lines(event: Event, config: VerboseConfig, template: DisplayTemplate | None = None) -> list[Line]:
    """Return the lines of an event; those of custom types follow their template, or a generic form without one."""
    renderer = _RENDERERS.get(event["event_type"])
    if renderer is None:
        return list(_custom_event(event, template))
    try:
        return list(renderer(event, config))
    except (*NO_LINES, KeyError, AttributeError, NotEncodable, RecursionError):
        return list(unknown_lines(event))


def unknown_lines(event: Event) -> Iterator[Line]:
    """Yield the lines of a built-in type with unexpected fields, as a later version may write it."""
    described = "  ".join(f"{key} {value_as_json(value)}" for key, value in event_fields(event).items())
    yield Line.of((str(event["event_type"]), "strong"), f"  {described}", indent=_INNER if event["iteration"] else 0)


def closing_lines(run_id: str) -> Iterator[Line]:
    """Yield the last line of a sealed run."""
    yield Line((("Run ", ""), (run_id, "strong")), whole=True)


@_renders(optimization.EXPERIMENT_START)
def _experiment_start(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield Line.of((event["experiment_name"], "strong"))
    description = event["description"].rstrip("\n")
    for text in description.split("\n") if description else ():
        yield Line.of((text, "quiet"), indent=_INNER, hang=0)
    samples = f", {event['num_samples']} samples" if event["num_samples"] is not None else ""
    limit = count_noun(event["max_iterations"], "iteration")
    yield Line.of(f"{event['evaluation_mode']}{samples}, model {event['model']}, at most {limit}", indent=_INNER)
    unit = optimization.cost_unit(event)
    yield Line.of(f"agents {', '.join(event['agents'])}; all costs in {unit}", indent=_INNER)


@_renders(optimization.ITERATION_START)
def _iteration_start(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield Line()
    heading: Span = (f"Iteration {event['iteration']}", "strong")
    yield Line.of(heading, "  total ", (short_cost(event["total_cost"]), "strong"), *_costs(event["costs_per_agent"]))


@_renders(optimization.BOOTSTRAP_EVALUATION)
def _bootstrap_evaluation(event: Event, config: VerboseConfig) -> Iterator[Line]:
    results = event["seed_results"]
    yield Line.of(
        f"{count_noun(len(results), 'sample')}  mean {short_cost(event['mean_cost'])}  "
        f"deviation {short_cost(event['std_cost'])}{_settlement(results)}",
        indent=_INNER,
    )
    if config.metrics:
        for result in results:
            yield Line.of(
                (f"seed {result['seed']:<10}", "quiet"),
                f"  cost {short_cost(result['cost'])}{_settlement([result])}",
                *_costs(result["costs_per_agent"]),
                indent=_DETAIL,
            )


def _settlement(results: Sequence[Mapping[str, Any]]) -> str:
    """Return how many payments settled in simulations; empty for a simulator without payments."""
    if all("settled" not in result for result in results):
        return ""
    settled, total = (sum(result[key] for result in results) for key in ("settled", "total"))
    return f"  settled {settled} of {total}"


@_renders(optimization.LLM_CALL)
def _llm_call(event: Event, _: VerboseConfig) -> Iterator[Line]:
    tokens = [event["prompt_tokens"], event["completion_tokens"]]
    counted = "" if None in tokens else f", {tokens[0]} + {tokens[1]} tokens"
    # Absent in runs of exprec 0.1.
    parts = [f"{event[f'{which}_tokens']} {which}" for which in ("cached", "reasoning") if event.get(f"{which}_tokens")]
    if counted and parts:
        counted += f" ({', '.join(parts)})"
    answering = event.get("answering_model")
    is_another = answering is not None and not f":{event['model']}".endswith(f":{answering}")
    answered = f" ({answering} answered)" if is_another else ""
    style = "good" if event["outcome"] == "usable" else "bad"
    yield Line.of(
        (event["agent_id"], "agent"),
        f"  asked {event['model']}{answered}, attempt {event['attempt']}: ",
        (event["outcome"], style),
        (f"{counted}, {event['latency_seconds']} s", "quiet"),
        indent=_INNER,
    )


@_renders(optimization.POLICY_CHANGE)
def _policy_change(event: Event, config: VerboseConfig) -> list[Line]:
    spans = (
        (event["agent_id"], "agent"),
        ("  ", ""),
        ("accepted", "good") if event["accepted"] else ("rejected", "bad"),
        (f"  {short_costs(event['old_cost'], event['new_cost'])}  ", ""),
        (event["acceptance_reason"], "quiet"),
    )
    lines = [new_line((spans, _INNER, _HANG, False))]
    lines += _policy_differences(event["old_policy"], event["new_policy"], whole=config.metrics)
    if config.metrics:
        deltas = " ".join(short_cost(delta, signed=True) for delta in event["deltas"])
        lines.append(Line.of(f"deltas {deltas}", indent=_DETAIL))
    return lines


@_renders(optimization.POLICY_REJECTED)
def _policy_rejected(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield Line.of(
        (event["agent_id"], "agent"), "  ", ("unusable", "bad"), f"  {event['rejection_reason']}", indent=_INNER
    )
    for error in event["validation_errors"]:
        yield Line.of((error, ""), indent=_DETAIL)


@_renders(optimization.ITERATION_END)
def _iteration_end(event: Event, config: VerboseConfig) -> Iterator[Line]:
    changed = [agent for agent, accepted in event["accepted_changes"].items() if accepted]
    yield Line.of(
        (f"end of iteration {event['iteration']}: ", "quiet"),
        f"new policy for {', '.join(changed)}" if changed else "no policy changed",
        indent=_INNER,
    )
    if config.metrics and "convergence" in event:
        yield _convergence(event["convergence"])
        if exploring := event["convergence"].get("exploring"):
            yield Line.of(f"still exploring: {', '.join(exploring)}; not converged before", indent=_DETAIL)
    if without := event.get("convergence", {}).get("without_proposal"):
        agents = ", ".join(f"{agent} ({reason})" for agent, reason in without.items())
        yield Line.of(f"no usable proposal: {agents}; the next total does not count for stability", indent=_DETAIL)


def _convergence(found: Mapping[str, Any]) -> Line:
    """Return the convergence criterion and the metrics that are defined so far."""
    metrics = [f"  {name} {value_as_json(found[key])}" for key, name in _METRICS.items() if found.get(key) is not None]
    verdict = f"{found['criterion']} {'met' if found['met'] else 'not met'}"
    return Line.of((verdict, "quiet"), *metrics, indent=_DETAIL)


@_renders(optimization.EXPERIMENT_END)
def _experiment_end(event: Event, _: VerboseConfig) -> Iterator[Line]:
    count = count_noun(event["num_iterations"], "iteration")
    yield Line()
    outcome: Span = (
        (f"Converged after {count}", "good") if event["converged"] else (f"Stopped after {count}, not converged", "bad")
    )
    costs = f": final cost {short_cost(event['final_cost'])}, best cost {short_cost(event['best_cost'])}"
    yield Line.of(outcome, f" ({event['convergence_reason']})", costs)
    if "proposals" in event:
        counts = event["proposals"]
        unusable = tuple((f", {counts[key]} {key}", "bad" if counts[key] else "") for key in ("rejected", "failed"))
        yield Line.of(f"Proposals: {counts['usable']} usable", *unusable)
    if "best_policies" in event:
        yield from _best_policies(event)


def _best_policies(event: Event) -> Iterator[Line]:
    """Return the best policies: the parameters of each, if it has any, and what the agent pays."""
    first, last = event["best_iteration"], event["num_iterations"]
    total = short_cost(event["best_total_cost"])
    yield Line.of(f"Best policies: of iteration {first}, total {total} on the seeds of iteration {last}")
    for agent, policy in event["best_policies"].items():
        parameters = policy.get("parameters")
        shown = short_value(parameters) if parameters else "no parameters"
        yield Line.of((agent, "agent"), f"  {short_cost(event['best_costs_per_agent'][agent])}  {shown}", indent=_INNER)


@_renders(common.EXPERIMENT_FAILED)
def _experiment_failed(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield Line()
    yield Line.of(("Failed", "bad"), f": {event['error_type']}: {event['message']}")


@_renders(common.COMMAND_END)
def _command_end(event: Event, _: VerboseConfig) -> Iterator[Line]:
    status, signal = event["exit_status"], event["signal"]
    if status is not None:
        yield Line.of((f"Exit status {status}", "bad" if status else "good"))
    else:
        yield Line.of(("Not started", "bad") if signal is None else (f"Ended by {signal}", "bad"))


@_renders(common.RUN_END)
def _run_end(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield Line.of(("Completed", "good"), *_fields(event))


def _custom_event(event: Event, template: DisplayTemplate | None) -> Iterator[Line]:
    """Yield the lines of an event of a type that exprec does not define."""
    if template is not None:
        yield Line.of(template.render(event))
        return
    iteration = f" {event['iteration']}" if event["iteration"] else ""
    yield Line.of((f"{event['event_type']}{iteration}", "strong"), *_fields(event))


def _fields(event: Event) -> Iterator[Span]:
    for name, value in event_fields(event).items():
        yield "  ", ""
        yield name, "quiet"
        yield f" {short_value(value)}", ""


def _policy_differences(old: Any, new: Any, *, whole: bool) -> list[Line]:
    found = differences(old, new)
    shown = found if whole else found[:_MOST_DIFFERENCES]
    lines = []
    for path, before, after in shown:
        values = f"  {value_as_json(before, whole=whole)} → {value_as_json(after, whole=whole)}"
        lines.append(new_line((((_path_name(path), "quiet"), (values, "")), _DETAIL, _HANG, False)))
    if len(shown) < len(found):
        lines.append(Line.of((f"and {count_noun(len(found) - len(shown), 'other change')}", "quiet"), indent=_DETAIL))
    return lines


_path_name = lru_cache(maxsize=1024)(key_name)
"""The name of a path in a policy; an experiment has few of them."""


def _costs(costs: Mapping[str, float]) -> Iterator[Span]:
    for agent, cost in costs.items():
        yield "  ", ""
        yield agent, "agent"
        yield f" {short_cost(cost)}", ""
