"""Audited exchanges: a request and its answer, with what became of its answer according to the events of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from exprec.recorder.events import Event, exchange_index, optimization
from exprec.recorder.exchanges import Exchange, call_fields, request_fields

_LLM_CALL = optimization.LLM_CALL.event_type
_POLICY_CHANGE = optimization.POLICY_CHANGE.event_type
_POLICY_REJECTED = optimization.POLICY_REJECTED.event_type


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a proposal was accepted, and why. Values from events have the types of their schemas in valid runs."""

    accepted: bool
    reason: str
    errors: Sequence[str] = ()
    """What is wrong with a proposal that cannot be used."""
    old_cost: int | None = None
    """None, as `new_cost`, if the proposal was not compared with the current policy."""
    new_cost: int | None = None


@dataclass(frozen=True, slots=True)
class AuditedExchange:
    """A request to a model for a policy, the answer, and what became of it."""

    index: int
    iteration: int
    agent_id: str
    attempt: int
    model: str
    settings: Mapping[str, Any]
    messages: Sequence[Mapping[str, str]]
    answer: str | None
    """The text of the answer; None if there is no answer, or none with text."""
    refusal: str | None
    tool_calls: Sequence[Mapping[str, Any]]
    finish_reason: str | None
    answering_model: str | None
    """The model that answered, as the endpoint names it."""
    error: str | None
    """Why there is no answer; None if there is one."""
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    latency_seconds: float
    outcome: str | None
    """What the answer is, such as `usable` or `invalid_json`; None if that was not recorded."""
    retried: bool
    """Whether the request was retried, because the answer is not usable."""
    decision: Decision | None
    """The decision on the proposal; None if the request was retried, or if the run ends before."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self)


def audit_exchanges(exchanges: Iterable[Exchange], events: Iterable[Event]) -> Iterator[AuditedExchange]:
    """Read the events of a run, then yield the exchanges of its experiment. Raises what reading them raises."""
    verdicts = _Verdicts()
    for event in events:
        verdicts.add(event)
    for exchange in exchanges:
        index, origin, answer = exchange["index"], exchange["origin"], exchange["answer"] or {}
        if origin is None:
            continue
        yield AuditedExchange(
            index=index,
            **request_fields(exchange) | call_fields(exchange),
            answer=answer.get("text"),
            refusal=answer.get("refusal"),
            tool_calls=answer.get("tool_calls", []),
            error=origin["error"],
            outcome=verdicts.outcomes.get(index),
            retried=index in verdicts.retried,
            decision=verdicts.decisions.get(index),
        )


class _Verdicts:
    """What the events tell about exchanges, by index."""

    def __init__(self) -> None:
        self.outcomes: dict[int, str] = {}
        self.retried: set[int] = set()
        self.decisions: dict[int, Decision] = {}
        self._open: dict[tuple[int, str], int] = {}
        """The last exchange of each iteration and agent, until there is a decision."""

    def add(self, event: Event) -> None:
        event_type, agent = event["event_type"], event.get("agent_id")
        if event_type not in (_LLM_CALL, _POLICY_CHANGE, _POLICY_REJECTED) or not isinstance(agent, str):
            return
        before = self._open.pop((event["iteration"], agent), None)
        if event_type == _LLM_CALL:
            index = exchange_index(event)
            if not isinstance(index, int):
                return
            self.outcomes[index] = str(event.get("outcome"))
            self._open[event["iteration"], agent] = index
            if before is not None:
                self.retried.add(before)
        elif before is not None:
            self.decisions[before] = _read_decision(event)


def _read_decision(event: Event) -> Decision:
    if event["event_type"] == _POLICY_REJECTED:
        errors = event.get("validation_errors")
        listed = tuple(map(str, errors)) if isinstance(errors, list) else ()
        return Decision(accepted=False, reason=str(event.get("rejection_reason")), errors=listed)
    return Decision(
        accepted=event.get("accepted") is True,
        reason=str(event.get("acceptance_reason")),
        old_cost=event.get("old_cost"),
        new_cost=event.get("new_cost"),
    )
