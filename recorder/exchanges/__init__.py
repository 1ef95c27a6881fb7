"""Requests to models and their responses: the format of an exchange, and finding the recorded one of a request."""

from exprec.recorder.exchanges.exchange import (
    CALL_FIELDS,
    EXCHANGE_SCHEMA,
    RESPONSE_FIELDS,
    USAGE_FIELDS,
    Exchange,
    call_fields,
    request_fields,
)
from exprec.recorder.exchanges.matching import ExchangeSource, RecordedExchanges

__all__ = [
    "CALL_FIELDS",
    "EXCHANGE_SCHEMA",
    "RESPONSE_FIELDS",
    "USAGE_FIELDS",
    "Exchange",
    "ExchangeSource",
    "RecordedExchanges",
    "call_fields",
    "request_fields",
]
