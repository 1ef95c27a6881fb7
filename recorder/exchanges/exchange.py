"""The format of an exchange, one line of exchanges.jsonl: which fields are the request, and which the response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXCHANGE_SCHEMA = "exchange.v1"
"""The name of the schema of an exchange."""

Exchange = Mapping[str, Any]
"""A request to a model with its response, and its `index`, the position in the file from 0."""

REQUEST_FIELDS = ("agent_id", "iteration", "attempt", "model", "settings", "messages")
"""The identity of a request: two requests are the same if all fields are equal."""

RESPONSE_FIELDS = ("answer", "error")
"""What came back: one of the two is null."""

USAGE_FIELDS = ("prompt_tokens", "completion_tokens", "latency_seconds")
"""What the response took: tokens, which are null when the model did not count them, and seconds."""

CALL_FIELDS = ("agent_id", "model", "attempt", *USAGE_FIELDS)
"""The fields that the `llm_call` event of an exchange repeats."""


def request_fields(exchange: Exchange) -> dict[str, Any]:
    """The fields of an exchange that are its request."""
    return {field: exchange[field] for field in REQUEST_FIELDS}


def call_fields(exchange: Exchange) -> dict[str, Any]:
    """The fields of an exchange that its `llm_call` event repeats."""
    return {field: exchange[field] for field in CALL_FIELDS}
