"""The last HTTP request of a model's client and its response, in the form of an exchange, without what is secret."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from exprec.recorder.errors import NotEncodable
from exprec.recorder.format import canonical_json

_REQUEST_HEADERS = ("anthropic-version", "anthropic-beta", "openai-beta")
_RESPONSE_HEADERS = (
    *("content-type", "location", "retry-after", "retry-after-ms", "x-should-retry"),
    *("openai-poll-after-ms", "x-request-id", "request-id"),
)
_RATE_LIMITS = ("x-ratelimit-", "anthropic-ratelimit-")
_SECRET_PARAMETERS = ("key", "api_key", "api-key", "access_token", "token")
"""Names of parameters in a query, in lower case."""


class ObservedHttp:
    """What a client of HTTPX sent and received last: of an attempt that it made again, only the repetition."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._began = 0.0
        self._first_byte: float | None = None
        self._request: Any = None
        self._response: Any = None
        """None until it is whole."""

    async def sent(self, request: Any) -> None:
        """Take a request that is about to be sent."""
        self._request, self._response, self._first_byte = request, None, None
        self._began = self._clock()

    async def received(self, response: Any) -> None:
        """Take a response whose body is still to come, and read it. Raises what reading it raises."""
        self._first_byte = self._clock() - self._began
        await response.aread()
        self._response = response

    def fields(self, rounded: Callable[[float], float], *, timed_out: bool = False) -> dict[str, Any] | None:
        """Return the fields of the exchange; None if no request was observed.

        `rounded` rounds seconds; `timed_out` is whether the client gave up.
        """
        request, response = self._request, self._response
        if request is None:
            return None
        broken = "unreachable" if self._first_byte is None else "upstream"
        return {
            "method": request.method,
            "path": _without_secrets(request.url.raw_path.decode("ascii", "replace")),
            "headers": {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers},
            "request": _request_body(request),
            "response": None if response is None else _response_fields(response),
            "end": "whole" if response is not None else "client" if timed_out else broken,
            "first_byte_seconds": None if self._first_byte is None else rounded(self._first_byte),
        }

    def usage(self) -> dict[str, int | None] | None:
        """Return the tokens that the response counts, although the client could not use it; None if it counts none."""
        try:
            counted = canonical_json.decode(self._response.content)["usage"]
            of_input = counted.get("prompt_tokens_details") or counted.get("input_tokens_details") or {}
            of_output = counted.get("completion_tokens_details") or counted.get("output_tokens_details") or {}
            usage = {
                "input_tokens": counted.get("prompt_tokens", counted.get("input_tokens")),
                "cached_tokens": of_input.get("cached_tokens"),
                "output_tokens": counted.get("completion_tokens", counted.get("output_tokens")),
                "reasoning_tokens": of_output.get("reasoning_tokens"),
            }
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        return {key: count if type(count) is int and count >= 0 else None for key, count in usage.items()}


@contextmanager
def observe_http(model: Any, clock: Callable[[], float]) -> Iterator[ObservedHttp]:
    """Observe the requests of a model of pydantic-ai; those of a client that is not based on HTTPX are not seen."""
    observed = ObservedHttp(clock)
    # Where the clients of OpenAI and Anthropic, and those made like them, have the client of HTTPX.
    client = getattr(getattr(model, "client", None), "_client", None)
    hooks = getattr(client, "event_hooks", None)
    if client is None or not isinstance(hooks, Mapping):
        yield observed
        return
    client.event_hooks = {
        "request": [*hooks.get("request", ()), observed.sent],
        "response": [*hooks.get("response", ()), observed.received],
    }
    try:
        yield observed
    finally:
        client.event_hooks = hooks


def _without_secrets(path: str) -> str:
    path, mark, query = path.partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0].lower() not in _SECRET_PARAMETERS]
    return f"{path}{mark}{'&'.join(kept)}" if any(kept) else path


def _request_body(request: Any) -> dict[str, Any] | None:
    try:
        data: bytes = request.content
    except RuntimeError:
        # HTTPX does not keep a body that it reads while it sends it.
        return None
    if not data:
        return None
    try:
        value = canonical_json.decode(data)
        canonical_json.encode(value)
    except (ValueError, NotEncodable):
        return _body(data)
    return {"json": value}


def _response_fields(response: Any) -> dict[str, Any]:
    headers = {
        name: value
        for name, value in response.headers.items()
        if name in _RESPONSE_HEADERS or name.startswith(_RATE_LIMITS)
    }
    return {"status": response.status_code, "headers": headers, **_body(response.content)}


def _body(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
