"""Requests to models and their responses: their format, finding the one of a request, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.exchanges.audit import AuditedExchange as AuditedExchange
    from exprec.recorder.exchanges.audit import audit_exchanges as audit_exchanges
    from exprec.recorder.exchanges.exchange import EXCHANGE_SCHEMA as EXCHANGE_SCHEMA
    from exprec.recorder.exchanges.exchange import RESPONSE_FIELDS as RESPONSE_FIELDS
    from exprec.recorder.exchanges.exchange import USAGE_FIELDS as USAGE_FIELDS
    from exprec.recorder.exchanges.exchange import Exchange as Exchange
    from exprec.recorder.exchanges.exchange import call_fields as call_fields
    from exprec.recorder.exchanges.exchange import request_fields as request_fields
    from exprec.recorder.exchanges.matching import ExchangeSource as ExchangeSource
    from exprec.recorder.exchanges.matching import RecordedExchanges as RecordedExchanges

_MODULES = {
    "EXCHANGE_SCHEMA": "exchange",
    "RESPONSE_FIELDS": "exchange",
    "USAGE_FIELDS": "exchange",
    "AuditedExchange": "audit",
    "Exchange": "exchange",
    "ExchangeSource": "matching",
    "RecordedExchanges": "matching",
    "audit_exchanges": "audit",
    "call_fields": "exchange",
    "request_fields": "exchange",
}

if not TYPE_CHECKING:
    # Lazily, because every command needs the name of the schema, and few read exchanges.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
