"""Requests to models and their responses: the format of an exchange, and finding the recorded one of a request."""

from exprec.recorder.exchanges.consistency import ConsistencyChecker
from exprec.recorder.exchanges.exchange import (
    EXCHANGE_SCHEMA,
    Exchange,
    call_fields,
    current_form,
    new_exchange,
    record_schema,
    request_fields,
)
from exprec.recorder.exchanges.matching import ExchangeSource, RecordedExchanges

__all__ = [
    "EXCHANGE_SCHEMA",
    "ConsistencyChecker",
    "Exchange",
    "ExchangeSource",
    "RecordedExchanges",
    "call_fields",
    "current_form",
    "new_exchange",
    "record_schema",
    "request_fields",
]
