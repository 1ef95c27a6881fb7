"""Proposals: ask for a policy, check the answer, return what is wrong with it, record every attempt.

The messages about wrong answers are recorded, and sent to models: changing one changes the run id of experiments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from exprec.recorder.documents import InvalidJson, find_objects, parse_json
from exprec.recorder.errors import ExprecError, ModelFailure, NotEncodable, SecretFound
from exprec.recorder.events import optimization
from exprec.recorder.exchanges import call_fields, new_exchange
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.constraints import violations
from exprec.recorder.experiment.evaluation import Simulator
from exprec.recorder.experiment.prompts import correction_messages
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.proposers import Answer, Message, ProposalRequest, Proposer, RecordedProposer
from exprec.recorder.sessions import Session, error_text

USABLE = "usable"
INVALID_JSON = "invalid_json"
INVALID_POLICY = "invalid_policy"
CONSTRAINT_VIOLATION = "constraint_violation"
LLM_ERROR = optimization.LLM_ERROR
SIMULATION_ERROR = "simulation_error"

_EXCERPT_LENGTH = 40


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """The check of an answer: its outcome, the policy in it, if any, and everything that is wrong with it."""

    outcome: str
    policy: dict[str, Any] | None
    errors: tuple[str, ...] = ()
    is_exploring: bool = False
    """Whether the proposer has values left that it must try first; see `Answer`."""


class ProposalSession:
    """Obtains policies from one proposer for all agents of an experiment, and records the exchanges with a model."""

    def __init__(self, proposer: Proposer, simulator: Simulator, config: ExperimentConfig, session: Session) -> None:
        self._proposer = proposer
        self._simulator = simulator
        self._config = config
        self._session = session
        self._provider = session.provider

    @property
    def asks_model(self) -> bool:
        """Whether proposals come from a model that answers now, not from a computation or a recorded run."""
        if isinstance(self._proposer, RecordedProposer):
            return self._proposer.continues
        return self._proposer.is_model

    @property
    def reads_messages(self) -> bool:
        """Whether proposals depend on the messages of a request: those of a computation do not."""
        return self._proposer.is_model

    async def obtain_policy(self, request: ProposalRequest) -> AnswerCheck:
        """Ask until an answer is usable, with at most `max_retries` retries; returns the check of the last answer.

        A failed request is not retried here, because the client of a model retries it.
        """
        while True:
            request = self._admitted(request)
            try:
                answer = await self._ask(request)
            except ModelFailure as failure:
                check = AnswerCheck(
                    LLM_ERROR, None, (error_text(failure, empty="the model failed and gave no reason"),)
                )
                self._record(request, check, failure)
                return check
            check = replace(self._check(answer), is_exploring=answer.is_exploring)
            self._record(request, check, answer)
            if check.outcome == USABLE or request.attempt > self._config.llm.max_retries:
                return check
            request = replace(
                request,
                attempt=request.attempt + 1,
                messages=request.messages + correction_messages(answer.text, check.errors),
            )

    async def _ask(self, request: ProposalRequest) -> Answer:
        """Ask once; returns the answer as it is recorded, so that a repetition gets the same.

        Raises ModelFailure, also for an answer that cannot be recorded, and for whatever else the caller's own model
        raises; SecretFound.
        """
        try:
            answer = await self._proposer.propose(request)
        except ExprecError:
            raise
        except Exception as error:
            if not self._proposer.is_model:
                raise
            raise ModelFailure(error_text(error, empty=type(error).__name__)) from error
        try:
            canonical_json.encode(answer.content)
        except NotEncodable as error:
            reason = f"the answer cannot be recorded: {error.reason}"
            raise ModelFailure(reason, answer.latency_seconds, usage=answer.usage, http=answer.http) from error
        return self._admitted_answer(answer) if self._proposer.is_model else answer

    def _admitted_answer(self, answer: Answer) -> Answer:
        """Return an answer as it may be recorded. Raises SecretFound."""
        response = {} if answer.http is None else {"response": answer.http["response"]}
        admitted = self._session.admit("exchange", {"answer": answer.content, **response})
        content = admitted.pop("answer")
        content["tool_calls"] = tuple(content["tool_calls"])
        return replace(answer, **content, http=None if answer.http is None else {**answer.http, **admitted})

    def _admitted_failure(self, failure: ModelFailure) -> Mapping[str, Any] | None:
        """Return what is known of the HTTP request of a failure, without a response that contains a secret."""
        if failure.http is None:
            return None
        try:
            return {**failure.http, **self._session.admit("exchange", {"response": failure.http["response"]})}
        except SecretFound:
            # Endpoints repeat a wrong key in their errors.
            return {**failure.http, "response": None}

    def _admitted(self, request: ProposalRequest) -> ProposalRequest:
        """Return a request as it may be sent to a model. Raises SecretFound for one that may not."""
        if not self._proposer.is_model:
            return request
        messages = [message.as_dict() for message in request.messages]
        sent = self._session.admit_request({"messages": messages})["messages"]
        return request if sent == messages else replace(request, messages=tuple(Message(**each) for each in sent))

    def _check(self, answer: Answer) -> AnswerCheck:
        constraints = self._config.policy_constraints

        def find_violations(policy: Mapping[str, Any]) -> list[str]:
            return [] if constraints is None else [str(problem) for problem in violations(policy, constraints)]

        def find_problems(policy: Mapping[str, Any]) -> list[str]:
            return [str(problem) for problem in self._simulator.check_policy(policy)]

        check = check_answer(answer.text or "", find_problems, find_violations)
        fault = answer.fault if check.outcome == INVALID_JSON else None
        return check if fault is None else AnswerCheck(fault.outcome, None, (fault.message,))

    def _record(self, request: ProposalRequest, check: AnswerCheck, result: Answer | ModelFailure) -> None:
        """Record an exchange with a model and its event; a computation is repeated instead."""
        if not self._proposer.is_model:
            return
        answer = result if isinstance(result, Answer) else None
        exchange = new_exchange(
            {
                "agent_id": request.agent_id,
                "iteration": request.iteration,
                "attempt": request.attempt,
                "model": self._config.llm.display_name,
                "settings": self._config.llm.request_settings,
                "messages": [message.as_dict() for message in request.messages],
            },
            None if answer is None else answer.content,
            error=check.errors[0] if answer is None else None,
            latency_seconds=result.latency_seconds,
            usage=result.usage,
            http=self._admitted_failure(result) if isinstance(result, ModelFailure) else result.http,
        )
        index = self._provider.record_exchange(exchange)
        self._provider.record_event(
            request.iteration,
            optimization.LLM_CALL.event_type,
            {**call_fields(exchange), "exchange": index, "outcome": check.outcome},
        )


def check_answer(
    text: str,
    find_problems: Callable[[Mapping[str, Any]], list[str]],
    find_violations: Callable[[Mapping[str, Any]], list[str]],
) -> AnswerCheck:
    """Check an answer: its JSON, the validity of the policy (`find_problems`), its constraints (`find_violations`)."""
    try:
        policy = parse_answer(text)
    except InvalidAnswer as error:
        return AnswerCheck(INVALID_JSON, None, (str(error),))
    try:
        canonical_json.encode(policy)
    except NotEncodable as error:
        return AnswerCheck(INVALID_POLICY, None, (str(error),))
    problems, violated = find_problems(policy), find_violations(policy)
    if problems:
        return AnswerCheck(INVALID_POLICY, policy, (*problems, *violated))
    if violated:
        return AnswerCheck(CONSTRAINT_VIOLATION, policy, tuple(violated))
    return AnswerCheck(USABLE, policy)


class InvalidAnswer(ValueError):
    """An answer is not a JSON object; the message is recorded."""


def parse_answer(text: str) -> dict[str, Any]:
    """Parse the one JSON object in an answer, whatever text or Markdown fence is around it. Raises InvalidAnswer."""
    try:
        value = _whole_or_only_object(text)
    except InvalidJson as error:
        raise InvalidAnswer(str(error)) from None
    if not isinstance(value, dict):
        raise InvalidAnswer(f"the answer must be a JSON object, not {type(value).__name__}")
    return value


def _whole_or_only_object(text: str) -> Any:
    """Return the value of an answer; if it has none, the only object in it. Raises InvalidJson, InvalidAnswer."""
    try:
        return parse_json(text, layout.MAX_DOCUMENT_DEPTH)
    except InvalidJson:
        found = list(find_objects(text, layout.MAX_DOCUMENT_DEPTH))
        begin = text.strip()[:_EXCERPT_LENGTH]
        if not found and begin and begin[0] not in "{[":
            raise InvalidAnswer(f"the answer has no JSON object; it begins {begin!a}") from None
        if not found:
            raise
    if len(found) > 1:
        lines = [text.count("\n", 0, position) + 1 for position, _ in found[:2]]
        raise InvalidAnswer(
            f"the answer must have one JSON object, but it has {len(found)}: "
            f"the first at line {lines[0]}, the second at line {lines[1]}"
        )
    return found[0][1]
