"""The proposer that answers from the exchanges of a recorded run, without model, network or key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprec.recorder.diff import difference_lines, differences
from exprec.recorder.errors import ModelFailure, UnrecordedRequest
from exprec.recorder.exchanges import Exchange, ExchangeSource, RecordedExchanges, request_fields
from exprec.recorder.proposers.protocol import Answer, ModelDescription, ProposalRequest, Proposer


class RecordedProposer:
    """Answers each request with the recorded response to the same request, and each response once.

    Two requests are the same if agent, iteration, attempt, model, settings and messages are equal.
    """

    is_model = True

    def __init__(self, exchanges: ExchangeSource, model: ModelDescription, then: Proposer | None = None) -> None:
        """Answer from `exchanges`, those of a recorded run: `RunDirectory.exchange_reader()`, or a list of them.

        `model` is the model that the experiment asks now (`ExperimentConfig.llm`). `then` answers once every recorded
        exchange has been used, to continue an interrupted run; without it, any further request is unrecorded.
        """
        self._exchanges = RecordedExchanges(exchanges)
        self._model = model.display_name
        self._settings = dict(model.request_settings)
        self._then = then

    @property
    def unused(self) -> int:
        """The number of recorded exchanges that have not been used."""
        return len(self._exchanges)

    @property
    def continues(self) -> bool:
        """Whether another proposer answers once every recorded exchange has been used."""
        return self._then is not None

    async def propose(self, request: ProposalRequest) -> Answer:
        """Return the recorded answer, with its recorded tokens and latency (in seconds).

        Raises:
            UnrecordedRequest: No unused exchange has this request.
            ModelFailure: The model failed then.
        """
        if not self._exchanges and self._then is not None:
            return await self._then.propose(request)
        request_content = {
            "agent_id": request.agent_id,
            "iteration": request.iteration,
            "attempt": request.attempt,
            "model": self._model,
            "settings": self._settings,
            "messages": [message.as_dict() for message in request.messages],
        }
        exchange = self._exchanges.take(request_content)
        if exchange is None:
            raise self._unrecorded(request_content)
        return _answer(exchange)

    def _unrecorded(self, request_content: Mapping[str, Any]) -> UnrecordedRequest:
        nearest = self._exchanges.find_nearest(request_content, lambda old, new: len(differences(old, new)))
        if nearest is None:
            return UnrecordedRequest(request_content, None, (), ())
        found = differences(request_fields(nearest), request_content)
        return UnrecordedRequest(request_content, nearest["index"], found, difference_lines(found))


def _answer(exchange: Exchange) -> Answer:
    """Return the answer of an exchange. Raises ModelFailure if the model failed."""
    answer, usage = exchange["answer"], exchange["usage"] or {}
    if answer is None:
        error = exchange["origin"]["error"] or ""
        raise ModelFailure(error, exchange["latency_seconds"], usage=usage, http=exchange)
    return Answer(
        answer["text"],
        usage.get("input_tokens"),
        usage.get("output_tokens"),
        exchange["latency_seconds"],
        cached_tokens=usage.get("cached_tokens"),
        reasoning_tokens=usage.get("reasoning_tokens"),
        tool_calls=tuple(answer["tool_calls"]),
        refusal=answer["refusal"],
        finish_reason=answer["finish_reason"],
        model=answer["model"],
        http=exchange,
    )
