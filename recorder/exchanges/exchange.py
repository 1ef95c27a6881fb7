"""The format of an exchange, one line of exchanges.jsonl, and what of it is the request, the response, and the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXCHANGE_SCHEMA = "exchange.v2"
"""The name of the schema of an exchange."""

_EARLIER_SCHEMA = "exchange.v1"
"""The schema of the exchanges of exprec 0.1."""

Exchange = Mapping[str, Any]
"""A request to a model with its response, in the form of `EXCHANGE_SCHEMA`."""

REQUEST_FIELDS = ("agent_id", "iteration", "attempt", "model", "settings", "messages")
"""The identity of a request for a policy: two requests are the same if all fields are equal."""

_USAGE_FIELDS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_WITHOUT_HTTP: Mapping[str, Any] = {
    "method": None,
    "path": None,
    "headers": {},
    "request": None,
    "continues": None,
    "response": None,
    "first_byte_seconds": None,
}
_HTTP_FIELDS = frozenset((*_WITHOUT_HTTP, "end"))


def new_exchange(
    request: Mapping[str, Any],
    answer: Mapping[str, Any] | None,
    *,
    error: str | None,
    latency_seconds: float,
    usage: Mapping[str, int | None] | None = None,
    http: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the exchange of a request for a policy.

    Args:
        request: The `REQUEST_FIELDS`.
        answer: What the model answered: `text`, `tool_calls`, `refusal`, `finish_reason` and `model`, each null or
            left out if the response does not have it; None if there is no answer.
        error: Why there is no answer; None if there is one.
        latency_seconds: The time until the whole response.
        usage: The tokens: `input_tokens`, `cached_tokens`, `output_tokens`, `reasoning_tokens`.
        http: The HTTP request and its response, as far as they are known: an exchange, or those of its fields.
    """
    provider, colon, model = request["model"].partition(":")
    counted = {field: (usage or {}).get(field) for field in _USAGE_FIELDS}
    empty: dict[str, Any] = {"text": None, "tool_calls": [], "refusal": None, "finish_reason": None, "model": None}
    return {
        "provider": provider if colon else None,
        "model": model if colon else provider,
        **_WITHOUT_HTTP,
        "end": "unreachable" if answer is None else "whole",
        **{field: value for field, value in (http or {}).items() if field in _HTTP_FIELDS},
        "answer": None if answer is None else {**empty, **answer},
        "usage": counted if any(count is not None for count in counted.values()) else None,
        "latency_seconds": latency_seconds,
        "origin": {**{field: request[field] for field in REQUEST_FIELDS if field != "model"}, "error": error},
    }


def current_form(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded exchange in the form of `EXCHANGE_SCHEMA`; those of exprec 0.1 have another."""
    if record_schema(record) == EXCHANGE_SCHEMA:
        return dict(record)
    answered = record["answer"] is not None
    exchange = new_exchange(
        record,
        {"text": record["answer"]} if answered else None,
        error=record["error"],
        latency_seconds=record["latency_seconds"],
        usage={"input_tokens": record["prompt_tokens"], "output_tokens": record["completion_tokens"]},
    )
    return {**exchange, **dict.fromkeys(("index", "arrival", "after"), record["index"])}


def record_schema(record: Mapping[str, Any]) -> str:
    """Return the name of the schema that a recorded exchange is written by."""
    return EXCHANGE_SCHEMA if "origin" in record else _EARLIER_SCHEMA


def request_fields(exchange: Exchange) -> dict[str, Any]:
    """The `REQUEST_FIELDS` of an exchange, which has an origin."""
    origin = exchange["origin"]
    fields = {field: origin[field] for field in REQUEST_FIELDS if field != "model"}
    return {**fields, "model": _model_name(exchange)}


def call_fields(exchange: Exchange) -> dict[str, Any]:
    """The fields of an exchange that its `llm_call` event repeats, null without an origin or an answer."""
    origin, usage, answer = (exchange[field] or {} for field in ("origin", "usage", "answer"))
    return {
        **{field: origin.get(field) for field in ("agent_id", "iteration", "attempt")},
        "model": _model_name(exchange),
        "latency_seconds": exchange["latency_seconds"],
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "cached_tokens": usage.get("cached_tokens"),
        "reasoning_tokens": usage.get("reasoning_tokens"),
        "finish_reason": answer.get("finish_reason"),
        "answering_model": answer.get("model"),
    }


def _model_name(exchange: Exchange) -> str:
    """The requested model with its provider: `openai:gpt-5-mini`."""
    return ":".join(part for part in (exchange["provider"], exchange["model"]) if part is not None)
