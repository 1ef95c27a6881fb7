"""The proposer that asks an object of the caller's program: any client with `generate_policy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from exprec.recorder.errors import ModelFailure, NotEncodable
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.protocol import Answer, ProposalRequest


class PolicyClient(Protocol):
    """Proposes policies in place of the model that an experiment names."""

    async def generate_policy(self, **request: Any) -> Mapping[str, Any] | str:
        """Return a policy document, or the JSON text of one.

        Args:
            request: `agent_id` (text), `iteration` and `attempt` (from 1), `current_policy` and `starting_policy`
                (documents), `history` (a dict per earlier proposal of this agent: iteration, policy, cost and
                current_cost, accepted, reason), `constraints` (a dict per parameter that a policy may set:
                name, kind, minimum, maximum, values) and `messages` (the request to a model: dicts with role and
                content). More may be added.

        Whatever it raises is recorded as a failed request, and the experiment continues.
        """
        ...


class ClientProposer:
    """Answers with what a client returns; its answers are checked, retried and recorded like those of a model."""

    is_model = True

    def __init__(self, client: PolicyClient) -> None:
        self._client = client

    async def propose(self, request: ProposalRequest) -> Answer:
        """Ask the client. Raises ModelFailure for a value that is not a policy, and what the client raises."""
        answer: object = await self._client.generate_policy(
            agent_id=request.agent_id,
            iteration=request.iteration,
            attempt=request.attempt,
            current_policy=request.current_policy,
            starting_policy=request.starting_policy,
            history=list(request.history),
            constraints=[asdict(parameter) for parameter in request.parameters],
            messages=[message.as_dict() for message in request.messages],
        )
        if isinstance(answer, str):
            return Answer(answer)
        if not isinstance(answer, Mapping):
            kind = type(answer).__name__
            raise ModelFailure(f"generate_policy must return a policy (a mapping, or its JSON text), not {kind}")
        try:
            return Answer(canonical_json.encode(dict(answer)).decode())
        except NotEncodable as error:
            raise ModelFailure(f"the policy cannot be recorded: {error.reason}") from error
