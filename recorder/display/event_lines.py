"""Events to lines of text, each event by itself: the same event always gives the same lines.

How lines are wrapped and coloured is told in `console`; which events are shown, in VerboseConfig.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from exprec.recorder import events
from exprec.recorder.diagnostics import json_text, key_name
from exprec.recorder.diff.json_values import ABSENT, differences
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.display.text import BLANK, Line, Span, counted, line, new_line
from exprec.recorder.errors import NotEncodable
from exprec.recorder.events import Event
from exprec.recorder.schema.display_template import Template

_INNER = 2
_HANG = 2
_DETAIL = 6
_MOST_DIFFERENCES = 8
_LONGEST_NUMBER = 8
_SIMPLE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]{0,39}")
_NUMBERS = frozenset((int, float))
"""The types that Python writes as JSON does, except with an exponent."""
_DEEP = "…"
"""For a value that is nested too deeply to be written."""
NO_LINES = (TypeError, ValueError)
"""What it raises to print the lines of an event whose fields are of other types than its type has."""
_FIGURES = {
    "relative_change": "change",
    "stable_changes": "stable changes",
    "fraction_range": "fraction range",
    "coefficient_of_variation": "variation",
    "trend_s": "trend S",
    "trend_p": "p",
    "regret": "regret",
}
"""The figures of convergence as they are displayed, in this order."""


def event_lines(event: Event, config: VerboseConfig, template: Template | None = None) -> list[Line]:
    """The lines of an event; one of a type that is not exprec's own is shown by its template, or in a generic form."""
    lines = _LINES.get(event["event_type"])
    if lines is None:
        return list(_other(event, template))
    try:
        return list(lines(event, config))
    except (*NO_LINES, KeyError, AttributeError, NotEncodable, RecursionError):
        return list(unknown_lines(event))


def unknown_lines(event: Event) -> Iterator[Line]:
    """The lines of a known type with other fields: written by a later version. Shown, not dropped and not fatal."""
    described = "  ".join(f"{key} {_value(value)}" for key, value in events.fields(event).items())
    yield line((str(event["event_type"]), "strong"), f"  {described}", indent=_INNER if event["iteration"] else 0)


def closing_lines(run_id: str) -> Iterator[Line]:
    """The last line of a sealed run."""
    yield Line((("Run ", ""), (run_id, "strong")), whole=True)


def _experiment_start(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield line((event["experiment_name"], "strong"))
    description = event["description"].rstrip("\n")
    for text in description.split("\n") if description else ():
        yield line((text, "quiet"), indent=_INNER, hang=0)
    samples = f", {event['num_samples']} samples" if event["num_samples"] is not None else ""
    limit = counted(event["max_iterations"], "iteration")
    yield line(f"{event['evaluation_mode']}{samples}, model {event['model']}, at most {limit}", indent=_INNER)
    yield line(f"agents {', '.join(event['agents'])}; all costs in cents", indent=_INNER)


def _iteration_start(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield BLANK
    heading: Span = (f"Iteration {event['iteration']}", "strong")
    yield line(heading, "  total ", (str(event["total_cost"]), "strong"), *_costs(event["costs_per_agent"]))


def _bootstrap_evaluation(event: Event, config: VerboseConfig) -> Iterator[Line]:
    results = event["seed_results"]
    settled, total = (sum(result[key] for result in results) for key in ("settled", "total"))
    yield line(
        f"{counted(len(results), 'sample')}  mean {event['mean_cost']}  deviation {event['std_cost']}  "
        f"settled {settled} of {total}",
        indent=_INNER,
    )
    if config.metrics:
        for result in results:
            yield line(
                (f"seed {result['seed']:<10}", "quiet"),
                f"  cost {result['cost']}  settled {result['settled']} of {result['total']}",
                *_costs(result["costs_per_agent"]),
                indent=_DETAIL,
            )


def _llm_call(event: Event, _: VerboseConfig) -> Iterator[Line]:
    tokens = [event["prompt_tokens"], event["completion_tokens"]]
    counted = "" if None in tokens else f", {tokens[0]} + {tokens[1]} tokens"
    style = "good" if event["outcome"] == "usable" else "bad"
    yield line(
        (event["agent_id"], "agent"),
        f"  asked {event['model']}, attempt {event['attempt']}: ",
        (event["outcome"], style),
        (f"{counted}, {event['latency_seconds']} s", "quiet"),
        indent=_INNER,
    )


def _policy_change(event: Event, config: VerboseConfig) -> list[Line]:
    spans = (
        (event["agent_id"], "agent"),
        ("  ", ""),
        ("accepted", "good") if event["accepted"] else ("rejected", "bad"),
        (f"  {event['old_cost']} → {event['new_cost']}  ", ""),
        (event["acceptance_reason"], "quiet"),
    )
    lines = [new_line((spans, _INNER, _HANG, False))]
    lines += _policy_differences(event["old_policy"], event["new_policy"], whole=config.metrics)
    if config.metrics:
        lines.append(line(f"deltas {' '.join(f'{delta:+}' for delta in event['deltas'])}", indent=_DETAIL))
    return lines


def _policy_rejected(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield line((event["agent_id"], "agent"), "  ", ("unusable", "bad"), f"  {event['rejection_reason']}", indent=_INNER)
    for error in event["validation_errors"]:
        yield line((error, ""), indent=_DETAIL)


def _iteration_end(event: Event, config: VerboseConfig) -> Iterator[Line]:
    changed = [agent for agent, accepted in event["accepted_changes"].items() if accepted]
    yield line(
        (f"end of iteration {event['iteration']}: ", "quiet"),
        f"new policy for {', '.join(changed)}" if changed else "no policy changed",
        indent=_INNER,
    )
    if config.metrics and "convergence" in event:
        yield _convergence(event["convergence"])


def _convergence(found: Mapping[str, Any]) -> Line:
    """The criterion and the figures that are defined already."""
    figures = [f"  {name} {_value(found[key])}" for key, name in _FIGURES.items() if found.get(key) is not None]
    verdict = f"{found['criterion']} {'met' if found['met'] else 'not met'}"
    return line((verdict, "quiet"), *figures, indent=_DETAIL)


def _experiment_end(event: Event, _: VerboseConfig) -> Iterator[Line]:
    count = counted(event["num_iterations"], "iteration")
    yield BLANK
    outcome: Span = (
        (f"Converged after {count}", "good") if event["converged"] else (f"Stopped after {count}, not converged", "bad")
    )
    costs = f": final cost {event['final_cost']}, best cost {event['best_cost']}"
    yield line(outcome, f" ({event['convergence_reason']})", costs)


def _experiment_failed(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield BLANK
    yield line(("Failed", "bad"), f": {event['error_type']}: {event['message']}")


def _command_end(event: Event, _: VerboseConfig) -> Iterator[Line]:
    status, signal = event["exit_status"], event["signal"]
    if status is not None:
        yield line((f"Exit status {status}", "bad" if status else "good"))
    else:
        yield line(("Not started", "bad") if signal is None else (f"Ended by {signal}", "bad"))


def _run_end(event: Event, _: VerboseConfig) -> Iterator[Line]:
    yield line(("Completed", "good"), *_fields(event))


def _other(event: Event, template: Template | None) -> Iterator[Line]:
    """An event of a type that the author of the run made up."""
    if template is not None:
        yield line(template.filled(event))
        return
    iteration = f" {event['iteration']}" if event["iteration"] else ""
    yield line((f"{event['event_type']}{iteration}", "strong"), *_fields(event))


def _fields(event: Event) -> Iterator[Span]:
    for name, value in events.fields(event).items():
        yield "  ", ""
        yield name, "quiet"
        yield f" {short_value(value)}", ""


_LINES: dict[str, Callable[[Event, VerboseConfig], Iterable[Line]]] = {
    events.EXPERIMENT_START: _experiment_start,
    events.ITERATION_START: _iteration_start,
    events.BOOTSTRAP_EVALUATION: _bootstrap_evaluation,
    events.LLM_CALL: _llm_call,
    events.POLICY_CHANGE: _policy_change,
    events.POLICY_REJECTED: _policy_rejected,
    events.ITERATION_END: _iteration_end,
    events.EXPERIMENT_END: _experiment_end,
    events.EXPERIMENT_FAILED: _experiment_failed,
    events.COMMAND_END: _command_end,
    events.RUN_END: _run_end,
}


def _policy_differences(old: Any, new: Any, *, whole: bool) -> list[Line]:
    found = differences(old, new)
    shown = found if whole else found[:_MOST_DIFFERENCES]
    lines = []
    for path, before, after in shown:
        values = f"  {_value(before, whole)} → {_value(after, whole)}"
        lines.append(new_line((((_place(path), "quiet"), (values, "")), _DETAIL, _HANG, False)))
    if len(shown) < len(found):
        lines.append(line((f"and {counted(len(found) - len(shown), 'other change')}", "quiet"), indent=_DETAIL))
    return lines


_place = lru_cache(maxsize=1024)(key_name)
"""The name of a path in a policy: of one experiment, always the same few."""


def _costs(costs: Mapping[str, int]) -> Iterator[Span]:
    for agent, cost in costs.items():
        yield "  ", ""
        yield agent, "agent"
        yield f" {cost}", ""


def _value(value: Any, whole: bool = False) -> str:
    if type(value) in _NUMBERS and "e" not in (number := repr(value)):
        return number
    if value is ABSENT:
        return "absent"
    try:
        return json_text(value, longest=None) if whole else json_text(value)
    except NotEncodable:
        # What is read may be nested more deeply than what is ever written.
        return _DEEP


def short_value(value: Any) -> str:
    """A value for reading at a glance: simple words without quotes, numbers with six digits that count, all else as
    JSON, cut where it is long."""
    if isinstance(value, float):
        return short_number(value)
    if isinstance(value, dict | list):
        try:
            return _value(_rounded(value))
        except RecursionError:
            return _DEEP
    if isinstance(value, str) and _SIMPLE_WORD.fullmatch(value) and value not in ("true", "false", "null"):
        return value
    return _value(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(short_number(value)) if isinstance(value, float) else value


def short_number(value: float) -> str:
    """A floating-point number with six digits that count, and all those before the point."""
    text = json_text(value)
    if len(text) <= _LONGEST_NUMBER:
        return text
    return f"{value:.1f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"
