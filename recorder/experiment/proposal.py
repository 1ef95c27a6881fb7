"""From a request to a usable policy: ask, check, send back what is wrong, record every attempt.

Whether the policy is any better is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from exprec.recorder import events
from exprec.recorder.documents.parsers import MAX_DEPTH
from exprec.recorder.errors import NotEncodable
from exprec.recorder.exchanges import call_fields
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.constraints import violations
from exprec.recorder.experiment.evaluation.evaluator import Simulator
from exprec.recorder.experiment.prompts import correction
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.protocol import Answer, ModelFailure, ProposalRequest, Proposer
from exprec.recorder.state.provider import LiveStateProvider

USABLE = "usable"
INVALID_JSON = "invalid_json"
INVALID_POLICY = "invalid_policy"
CONSTRAINT_VIOLATION = "constraint_violation"
LLM_ERROR = "llm_error"
SIMULATION_ERROR = "simulation_error"

# Each run of blanks can be matched in one way only: a model may answer with any number of empty lines.
_FENCED = re.compile(r"```(?:json)?[ \t\r]*\n(.*)\n[ \t]*```", re.DOTALL)
# Longer digit strings are beyond 64 bits anyway, and Python refuses to convert very long ones.
_MAX_DIGITS = 40
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer was: the document in it, if any, and everything wrong with it."""

    outcome: str
    policy: dict[str, Any] | None
    errors: tuple[str, ...] = ()


class Negotiation:
    """Asks one proposer for policies on behalf of all agents."""

    def __init__(
        self, proposer: Proposer, simulator: Simulator, config: ExperimentConfig, provider: LiveStateProvider
    ) -> None:
        self._proposer = proposer
        self._simulator = simulator
        self._config = config
        self._provider = provider

    async def obtain(self, request: ProposalRequest) -> Verdict:
        """Ask until an answer is usable, at most `max_retries` times more; returns the last verdict.

        A model that fails ends the negotiation: repeating a call that failed is the client's business.
        """
        while True:
            try:
                answer = await self._ask(request)
            except ModelFailure as failure:
                verdict = Verdict(LLM_ERROR, None, (str(failure) or "the model failed and gave no reason",))
                self._record(request, verdict, Answer("", latency_seconds=failure.latency_seconds))
                return verdict
            verdict = self._check(answer.text)
            self._record(request, verdict, answer)
            if verdict.outcome == USABLE or request.attempt > self._config.llm.max_retries:
                return verdict
            request = replace(
                request,
                attempt=request.attempt + 1,
                messages=request.messages + correction(answer.text, verdict.errors),
            )

    async def _ask(self, request: ProposalRequest) -> Answer:
        """One answer. Raises ModelFailure also for one that the log cannot hold."""
        answer = await self._proposer.propose(request)
        try:
            canonical_json.encode(answer.text)
        except NotEncodable as error:
            raise ModelFailure(f"the answer cannot be recorded: {error.reason}", answer.latency_seconds) from error
        return answer

    def _check(self, text: str) -> Verdict:
        constraints = self._config.policy_constraints

        def limits(policy: Mapping[str, Any]) -> list[str]:
            return [] if constraints is None else [str(problem) for problem in violations(policy, constraints)]

        def form(policy: Mapping[str, Any]) -> list[str]:
            return [str(problem) for problem in self._simulator.check_policy(policy)]

        return judge(text, form, limits)

    def _record(self, request: ProposalRequest, verdict: Verdict, answer: Answer) -> None:
        if not self._proposer.is_model:
            return
        failed = verdict.outcome == LLM_ERROR
        exchange = {
            "agent_id": request.agent_id,
            "iteration": request.iteration,
            "attempt": request.attempt,
            "model": self._config.llm.display_name,
            "settings": self._config.llm.request_settings,
            "messages": [message.as_dict() for message in request.messages],
            "answer": None if failed else answer.text,
            "error": verdict.errors[0] if failed else None,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "latency_seconds": answer.latency_seconds,
        }
        index = self._provider.record_exchange(exchange)
        self._provider.record_event(
            request.iteration,
            events.LLM_CALL,
            {**call_fields(exchange), "exchange": index, "outcome": verdict.outcome},
        )


def judge(
    text: str,
    form: Callable[[Mapping[str, Any]], list[str]],
    limits: Callable[[Mapping[str, Any]], list[str]],
) -> Verdict:
    """What an answer is. `form` and `limits` name everything wrong with a document's form and its content."""
    policy, errors = parse_answer(text)
    if policy is None:
        return Verdict(INVALID_JSON, None, tuple(errors))
    try:
        canonical_json.encode(policy)
    except NotEncodable as error:
        return Verdict(INVALID_POLICY, None, (str(error),))
    malformed, exceeded = form(policy), limits(policy)
    if malformed:
        return Verdict(INVALID_POLICY, policy, (*malformed, *exceeded))
    if exceeded:
        return Verdict(CONSTRAINT_VIOLATION, policy, tuple(exceeded))
    return Verdict(USABLE, policy)


def parse_answer(text: str) -> tuple[dict[str, Any] | None, Sequence[str]]:
    """The JSON object in an answer, which may stand in a Markdown fence; or None and what is wrong."""
    fenced = _FENCED.fullmatch(text.strip())
    try:
        value = json.loads(
            fenced.group(1) if fenced else text,
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        return None, [_syntax_error(error)]
    except ValueError as error:
        return None, [f"not valid JSON: {error}"]
    except RecursionError:
        return None, [_TOO_DEEP]
    if not isinstance(value, dict):
        return None, [f"the answer must be a JSON object, not {type(value).__name__}"]
    return (None, [_TOO_DEEP]) if _is_deep(value) else (value, [])


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


def _is_deep(value: Any) -> bool:
    """Whether a value is nested deeper than a policy in a file may be, and than the log can hold."""
    pending = [(value, 0)]
    while pending:
        part, depth = pending.pop()
        if depth > MAX_DEPTH:
            return True
        if isinstance(part, dict | list):
            pending.extend((child, depth + 1) for child in (part.values() if isinstance(part, dict) else part))
    return False


def _syntax_error(error: json.JSONDecodeError) -> str:
    """Where a text stops being JSON.

    Not in the words of Python's reader, nor always at its position: it is recorded, and versions differ.
    """
    text, position = error.doc, error.pos
    if error.msg.startswith("Illegal trailing comma"):
        # Since 3.13 at the comma; before, at the bracket after it.
        position = len(text) - len(text[position + 1 :].lstrip(" \t\n\r"))
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    found = ascii(text[position : position + _SHOWN]) if position < len(text) else "the end"
    return f"not valid JSON: line {line}, column {column}: unexpected {found}"


def _integer(digits: str) -> int:
    return int(digits[:_MAX_DIGITS])


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!a} stands twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON has")
