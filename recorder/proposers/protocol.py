"""The interface of proposers: requests, answers, and the descriptions of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

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
    """An answer: text that should be a policy, its tokens (None if unknown), and the latency in seconds.

    `finish_reason` is the provider's word for why it ends, `model` the model that answered, and `http` the exchange
    with the HTTP request and its response, or those of its fields.
    """

    text: str | None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_seconds: float = 0.0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    refusal: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    http: Mapping[str, Any] | None = None
    is_exploring: bool = False
    """Whether the proposer has values left that it must try before stable costs can show convergence."""

    @property
    def content(self) -> dict[str, Any]:
        """The `answer` of its exchange."""
        return {
            "text": self.text,
            "tool_calls": list(self.tool_calls),
            "refusal": self.refusal,
            "finish_reason": self.finish_reason,
            "model": self.model,
        }

    @property
    def usage(self) -> dict[str, int | None]:
        """The `usage` of its exchange."""
        return {
            "input_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "output_tokens": self.completion_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }

    @property
    def fault(self) -> Fault | None:
        """Why its text has no policy, if what the provider said beside it explains that."""
        reason = (self.finish_reason or "").lower()
        if self.refusal is not None or reason in _REFUSALS:
            quoted = f": {self.refusal[:_EXCERPT_LENGTH]!a}" if self.refusal else ""
            return Fault("refusal", f"the answer is a refusal{quoted}")
        if reason in _FILTERS:
            return Fault("content_filter", "the answer was stopped by the content filter of the provider")
        if reason in _LIMITS:
            return Fault("length", "the answer was cut off at the length limit; answer more briefly")
        if self.tool_calls:
            name = self.tool_calls[0]["name"][:_EXCERPT_LENGTH]
            return Fault("tool_call", f"the answer calls the tool {name!a}, but there are no tools; answer with text")
        if not (self.text or "").strip():
            return Fault("empty", "the answer is empty")
        return None


class Fault(NamedTuple):
    """Why an answer has no policy: the outcome of its `llm_call`, and the message for the model."""

    outcome: str
    message: str


_EXCERPT_LENGTH = 200
"""Characters of a refusal, or of the name of a tool, in a message."""
# The words of providers for the end of an answer, in lower case.
_REFUSALS = ("refusal",)
_FILTERS = (
    *("content_filter", "content_filtered", "guardrail_intervened", "error_toxic"),
    *("safety", "recitation", "blocklist", "prohibited_content", "spii"),
)
_LIMITS = ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded")


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
