"""Requests to models and their responses: the format of an exchange, and finding the recorded one of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.exchanges.consistency import ConsistencyChecker as ConsistencyChecker
    from exprec.recorder.exchanges.exchange import EXCHANGE_SCHEMA as EXCHANGE_SCHEMA
    from exprec.recorder.exchanges.exchange import Exchange as Exchange
    from exprec.recorder.exchanges.exchange import call_fields as call_fields
    from exprec.recorder.exchanges.exchange import current_form as current_form
    from exprec.recorder.exchanges.exchange import new_exchange as new_exchange
    from exprec.recorder.exchanges.exchange import record_schema as record_schema
    from exprec.recorder.exchanges.exchange import request_fields as request_fields
    from exprec.recorder.exchanges.matching import ExchangeSource as ExchangeSource
    from exprec.recorder.exchanges.matching import RecordedExchanges as RecordedExchanges

_MODULES = {
    "ConsistencyChecker": "consistency",
    "EXCHANGE_SCHEMA": "exchange",
    "Exchange": "exchange",
    "ExchangeSource": "matching",
    "RecordedExchanges": "matching",
    "call_fields": "exchange",
    "current_form": "exchange",
    "new_exchange": "exchange",
    "record_schema": "exchange",
    "request_fields": "exchange",
}

if not TYPE_CHECKING:
    # Lazily, because every command that reads a run needs the form of an exchange, and few compare or match any.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
