"""The proposer that asks a language model, through pydantic-ai."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from exprec.recorder.errors import InvalidInput, ModelFailure, ModelUnavailable, Problem
from exprec.recorder.proposers.observed_http import observe_http
from exprec.recorder.proposers.protocol import Answer, Message, ProposalRequest
from exprec.recorder.requirements import install_command, install_extra

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.usage import RequestUsage

_TRANSPORT_RETRIES = 3
"""How often the client retries a request after a timeout, a rate limit or a server error, with backoff."""
_LONGEST_WAIT_SECONDS = 60.0
"""The longest time that a client waits between two attempts at the request of the endpoint."""

_INSTEAD = "--model search needs neither a package nor a key"

_STATUS = {429: "too many requests"}
_PERMANENT = {
    401: "the key was refused; set a valid one",
    403: "access was refused; get access for the key",
    404: "there is no such model or endpoint; make it available, or correct the URL",
}
"""Status codes after which no later request is answered, and what to do."""
_QUOTA = ("insufficient_quota", "billing_hard_limit", "billing_not_active", "credit balance is too low")
"""What a provider says when nothing is left to pay with, beside a status that has other causes too."""

_PROVIDER_SETTINGS: dict[str, dict[str, Callable[[Any], dict[str, Any]]]] = {
    "openai": {
        "reasoning_effort": lambda value: {"openai_reasoning_effort": value},
        "reasoning_summary": lambda value: {"openai_reasoning_summary": value},
    },
    "anthropic": {
        "thinking_budget": lambda value: {"anthropic_thinking": {"type": "enabled", "budget_tokens": value}},
        "thinking_config": lambda value: {"anthropic_thinking": value},
    },
    "google": {
        "thinking_config": lambda value: {"google_thinking_config": value},
        "thinking_budget": lambda value: {"google_thinking_config": {"thinking_budget": value}},
    },
}
"""How settings that only some providers have are passed to them."""


class ModelProposer:
    """Asks one model; its client reads the key and the URL of the endpoint from the environment."""

    is_model = True

    def __init__(self, name: str, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        """Prepare a client.

        Args:
            name: `provider:model`.
            settings: Settings of the model, passed to the providers that support them.
            timeout_seconds: Timeout of one attempt.

        Raises:
            InvalidInput: The extra `llm` is not installed, the key is not set, or the provider does not accept the
                name or a setting.
        """
        self._timeout_seconds = timeout_seconds
        self._settings = {
            **_provider_settings(name, settings),
            "timeout": timeout_seconds,
            "max_retries": _TRANSPORT_RETRIES,
        }
        self._model = _client(name)

    async def propose(self, request: ProposalRequest) -> Answer:
        """Send the messages of the request.

        Raises ModelFailure once the client has given up, ModelUnavailable where asking again cannot help.
        The message of the failure is recorded, so it contains nothing of the client's error, which may contain a URL,
        a header or a key.
        """
        clock = asyncio.get_running_loop().time
        # A connection for each request: none is left open when the event loop ends, however it ends.
        async with self._model:
            began = clock()
            with observe_http(self._model, clock) as observed:
                try:
                    response = await self._request(request.messages)
                except Exception as error:
                    if (permanent := _permanent_reason(error)) is not None:
                        raise ModelUnavailable(permanent) from error
                    raise ModelFailure(
                        _reason(error, self._timeout_seconds),
                        _elapsed(clock() - began),
                        usage=observed.usage(),
                        http=observed.fields(_elapsed, timed_out=_is_timeout(error)),
                    ) from error
            return _answer(response, _elapsed(clock() - began), observed.fields(_elapsed))

    async def _request(self, messages: Sequence[Message]) -> ModelResponse:
        """Send messages and return the response, whatever it is."""
        from pydantic_ai.direct import model_request

        # The timeout of a client counts from byte to byte: an endpoint that sends blanks to keep the
        # connection would be waited for without end.
        limit = (self._timeout_seconds + _LONGEST_WAIT_SECONDS) * (_TRANSPORT_RETRIES + 1)
        async with asyncio.timeout(limit):
            with warnings.catch_warnings():
                # A setting that a model has no use for is left out with a warning; it is in the record.
                warnings.simplefilter("ignore")
                return await model_request(
                    self._model,
                    _wire_messages(messages),
                    model_settings=cast("ModelSettings", self._settings),
                )


def _answer(response: ModelResponse, latency: float, http: Mapping[str, Any] | None) -> Answer:
    details, usage = response.provider_details or {}, response.usage
    refusal = details.get("refusal")
    # What a provider says of a refusal is left out by some clients, which have a word of their own instead.
    reason = details.get("finish_reason") or (response.finish_reason if refusal is None else None)
    return Answer(
        response.text,
        # An endpoint that does not count is reported as having counted nothing.
        usage.input_tokens or None,
        usage.output_tokens or None,
        latency,
        cached_tokens=usage.cache_read_tokens or None,
        reasoning_tokens=_reasoning_tokens(usage),
        tool_calls=tuple(
            {"id": _call_id(call.tool_call_id), "name": call.tool_name, "arguments": call.args}
            for call in response.tool_calls
        ),
        refusal=refusal if isinstance(refusal, str) else None,
        finish_reason=str(reason) if reason is not None else None,
        model=response.model_name,
        http=http,
    )


def _call_id(made: str) -> str | None:
    # pydantic-ai makes a random one for a call without an id.
    return None if made.startswith("pyd_ai_") else made


def _reasoning_tokens(usage: RequestUsage) -> int | None:
    # Under `details` before pydantic-ai 2.65.
    return getattr(usage, "output_reasoning_tokens", 0) or usage.details.get("reasoning_tokens") or None


def _client(name: str) -> Model[Any]:
    def refused(message: str) -> InvalidInput:
        return InvalidInput([Problem(("llm", "model"), f"{message}; {_INSTEAD}", "llm.model")])

    try:
        from pydantic_ai import exceptions
        from pydantic_ai.models import infer_model
    except ImportError:
        raise refused(f"'{name}' needs a package that is not installed: {install_extra('llm')}") from None
    if not hasattr(exceptions, "ModelTimeoutError"):
        raise refused(f"'{name}' needs a later version of pydantic-ai: {install_extra('llm')}")
    provider, _, model = name.partition(":")
    # Chat completions are what every OpenAI-compatible endpoint speaks.
    wire_name = f"openai-chat:{model}" if provider == "openai" else name
    try:
        return infer_model(wire_name)
    except ImportError as error:
        raise refused(f"'{name}' needs a package that is not installed: {_package(str(error))}") from None
    except Exception as error:
        # Not the message of the client: it may contain an address or a key.
        variable = _VARIABLE.search(str(error))
        if variable is not None:
            message = f"'{name}' needs the environment variable {variable[1]}, which is not set"
        elif isinstance(error, exceptions.UserError):
            message = f"'{name}' is not the name of a model; write PROVIDER:NAME, such as openai:gpt-5-mini"
        else:
            message = f"'{name}' cannot be called; the settings of its provider in the environment are not valid"
        raise refused(message) from None


_VARIABLE = re.compile(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`")
_GROUP = re.compile(r"pydantic-ai-slim\[([\w-]+)\]")


def _package(message: str) -> str:
    """The packages to install, from the message of a failed import."""
    group = _GROUP.search(message)
    if group is None or group[1] in ("openai", "anthropic"):
        return install_extra("llm")
    return install_command(f"pydantic-ai-slim[{group[1]}]")


def _provider_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings under the names of the provider. Raises InvalidInput for unknown ones."""
    provider = name.partition(":")[0].partition("-")[0]
    known = _PROVIDER_SETTINGS.get(provider, {})
    passed: dict[str, Any] = {}
    problems = []
    for key, value in settings.items():
        if key in ("temperature", "max_tokens"):
            passed[key] = value
        elif key in known:
            passed |= known[key](value)
        else:
            listed = ", ".join(("temperature", "max_tokens", *known))
            message = f"the provider '{provider}' does not know this setting; leave it out (known: {listed})"
            problems.append(Problem(("llm", key), message, f"llm.{key}"))
    if problems:
        raise InvalidInput(problems)
    if passed.get("anthropic_thinking", {}).get("type", "disabled") != "disabled":
        # A model of this provider that thinks refuses a request with any temperature.
        passed.pop("temperature", None)
    return passed


def _wire_messages(messages: Sequence[Message]) -> list[ModelMessage]:
    from pydantic_ai.messages import ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart

    wire: list[ModelMessage] = []
    for message in messages:
        if message.role == "assistant":
            wire.append(ModelResponse(parts=[TextPart(message.content)]))
        else:
            part = (SystemPromptPart if message.role == "system" else UserPromptPart)(message.content)
            if wire and isinstance(wire[-1], ModelRequest):
                wire[-1] = ModelRequest(parts=[*wire[-1].parts, part])
            else:
                wire.append(ModelRequest(parts=[part]))
    return wire


def _reason(error: Exception, timeout_seconds: float) -> str:
    """Why the call failed, without URLs, keys or headers, because it is recorded."""
    from pydantic_ai.exceptions import AgentRunError, ModelConnectionError, ModelHTTPError

    if isinstance(error, ModelHTTPError):
        known = _STATUS.get(error.status_code)
        return f"the model's endpoint answered with status {error.status_code}" + (f": {known}" if known else "")
    if _is_timeout(error):
        return f"the model did not answer within {timeout_seconds:g} seconds"
    if isinstance(error, ModelConnectionError):
        return "the model's endpoint cannot be reached"
    if isinstance(error, AgentRunError):
        return f"the model's answer cannot be used ({type(error).__name__})"
    return f"the model's client failed ({type(error).__name__})"


def _is_timeout(error: Exception) -> bool:
    from pydantic_ai.exceptions import ModelTimeoutError

    return isinstance(error, ModelTimeoutError | TimeoutError)


def _permanent_reason(error: Exception) -> str | None:
    """Return why no later request will be answered, and what to do; None if a later one may be.

    Without URLs, keys or headers, because it is kept beside the run.
    """
    from pydantic_ai.exceptions import ModelHTTPError

    if not isinstance(error, ModelHTTPError):
        return None
    body = error.body if isinstance(error.body, Mapping) else {}
    detail = body["error"] if isinstance(body.get("error"), Mapping) else body
    words = " ".join(str(detail.get(key)) for key in ("code", "type", "message")).lower()
    if error.status_code == 402 or any(word in words for word in _QUOTA):
        why: str | None = "the quota is exhausted; add credit"
    elif "model_not_found" in words:
        why = _PERMANENT[404]
    else:
        why = _PERMANENT.get(error.status_code)
    return why and f"the model's endpoint answered with status {error.status_code}: {why}, then resume the run"


def _elapsed(seconds: float) -> float:
    return round(seconds, 3)
