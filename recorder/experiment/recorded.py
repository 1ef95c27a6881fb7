"""The proposer that answers from the exchanges of an earlier run, and from nothing else.

It needs no network, no key and no model: an experiment that cost money runs again for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exprec.recorder.diff.json_values import Difference, differences
from exprec.recorder.errors import ExprecError
from exprec.recorder.experiment.config import ModelConfig
from exprec.recorder.experiment.proposer_setup import model_settings
from exprec.recorder.proposers.protocol import Answer, ModelFailure, ProposalRequest, Proposer
from exprec.recorder.replay.messages import difference_lines

Exchange = Mapping[str, Any]

_ASKED = ("agent_id", "iteration", "attempt", "model", "settings", "messages")
"""The fields of an exchange that say what was asked; the others say what came back."""


class UnrecordedRequest(ExprecError):
    """A request was made that the recorded run never made: the experiment took another course.

    `differences` are those from the nearest recorded request, whose index is `nearest`; None when no
    recorded exchange is left to compare with.
    """

    exit_code = 1

    def __init__(self, asked: Mapping[str, Any], nearest: int | None, found: list[Difference]) -> None:
        self.nearest, self.differences = nearest, tuple(found)
        place = f"iteration {asked['iteration']}, {asked['agent_id']}, attempt {asked['attempt']}"
        lines = [f"this request was not recorded: {place}"]
        if nearest is None:
            lines.append("no recorded exchange is left to compare it with")
        else:
            lines.append(f"the nearest recorded one is exchange {nearest}; it differs in:")
            lines += difference_lines(found)
        super().__init__("\n".join(lines))


class RecordedProposer:
    """Answers a request as it was answered in the recorded run, strictly: the same request, each answer once."""

    is_model = True

    def __init__(self, exchanges: Iterable[Exchange], model: ModelConfig, then: Proposer | None = None) -> None:
        """`exchanges` are those of the recorded run; `model` is what requests are made to now.

        `then` answers once all of them were asked for, to go on where the recorded run was cut off.
        """
        self._then = then
        self._left = {exchange["index"]: exchange for exchange in exchanges}
        self._model = model.display_name
        self._settings = model_settings(model)

    @property
    def unused(self) -> int:
        """How many of the recorded exchanges have not been asked for so far."""
        return len(self._left)

    async def propose(self, request: ProposalRequest) -> Answer:
        """The recorded answer. Raises UnrecordedRequest, or ModelFailure where the model failed then."""
        if not self._left and self._then is not None:
            return await self._then.propose(request)
        asked = {
            "agent_id": request.agent_id,
            "iteration": request.iteration,
            "attempt": request.attempt,
            "model": self._model,
            "settings": self._settings,
            "messages": [message.as_dict() for message in request.messages],
        }
        exchange = next((each for each in self._left.values() if _question(each) == asked), None)
        if exchange is None:
            raise self._unrecorded(asked)
        del self._left[exchange["index"]]
        if exchange["answer"] is None:
            raise ModelFailure(exchange["error"] or "", exchange["latency_seconds"])
        return Answer(
            exchange["answer"],
            exchange["prompt_tokens"],
            exchange["completion_tokens"],
            exchange["latency_seconds"],
        )

    def _unrecorded(self, asked: Mapping[str, Any]) -> UnrecordedRequest:
        if not self._left:
            return UnrecordedRequest(asked, None, [])
        nearest = min(self._left.values(), key=lambda exchange: _distance(_question(exchange), asked))
        return UnrecordedRequest(asked, nearest["index"], differences(_question(nearest), asked))


def _question(exchange: Exchange) -> dict[str, Any]:
    return {field: exchange[field] for field in _ASKED}


def _distance(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[bool, int, bool, int]:
    """How far a recorded request is from the one made: first by whose it was and when, then by what differs."""
    return (
        recorded["agent_id"] != asked["agent_id"],
        abs(recorded["iteration"] - asked["iteration"]),
        recorded["attempt"] != asked["attempt"],
        len(differences(recorded, asked)),
    )
