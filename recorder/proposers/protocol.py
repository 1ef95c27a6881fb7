"""The interface of proposers: requests, answers, and the descriptions of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Policy = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a request to a model; `role` is system, user or assistant."""

    role: str
    content: str

    def as_dict(self) -> dict[str, str]:
        """Return the value as plain JSON types."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that a policy may set: `kind` is int, float or enum; bounds are inclusive."""

    name: str
    kind: str
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposalRequest:
    """A request for a better policy of one agent.

    It contains what this agent may know: its own policies and decisions, never another agent's. `decisions` tells for
    each earlier proposal of this agent, in order, whether it was accepted; `history` is the whole proposal, with its
    cost. `iteration` and `attempt`, the number of requests for this proposal, count from 1.
    """

    agent_id: str
    messages: tuple[Message, ...]
    starting_policy: Policy
    current_policy: Policy
    decisions: tuple[bool, ...]
    parameters: tuple[Parameter, ...]
    iteration: int = 1
    attempt: int = 1
    history: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: text that should be a policy, its tokens (None if unknown), and the latency in seconds."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_seconds: float = 0.0


class Proposer(Protocol):
    """Answers requests for policies."""

    @property
    def is_model(self) -> bool:
        """Whether requests are recorded as exchanges; a computation is repeated instead."""
        ...

    async def propose(self, request: ProposalRequest) -> Answer:
        """Answer a request. Raises ModelFailure when it fails."""
        ...


class ModelDescription(Protocol):
    """The proposer that an experiment names: the `llm` section of its configuration."""

    @property
    def model(self) -> str:
        """`search`, `scripted:<file name>#sha256=<digest>` or `provider:name`."""
        ...

    @property
    def display_name(self) -> str:
        """The name of the model in events and exchanges."""
        ...

    @property
    def request_settings(self) -> Mapping[str, Any]:
        """The settings that are part of each request."""
        ...

    @property
    def timeout_seconds(self) -> float:
        """The time limit of a request to a model."""
        ...

    @property
    def script(self) -> Path | None:
        """The file of a scripted proposer, if it is known."""
        ...
