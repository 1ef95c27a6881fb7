"""The differences between the exchanges of two runs with models, found in one pass over both.

Fields that are repeated in the `llm_call` event (model, tokens, latency, finish reason) are left to the comparison of
events. The bytes of requests and responses are not compared: what matters of them is in the messages and the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

from exprec.recorder.diff.align import Pair, Record, RecordStreams, Unmatched, align
from exprec.recorder.diff.collector import Collector, collect_differences
from exprec.recorder.diff.json_values import differences
from exprec.recorder.diff.result import EventChange, ExchangeDiff, TextChange, Truncated
from exprec.recorder.diff.text import text_hunks
from exprec.recorder.exchanges import Exchange
from exprec.recorder.store import RunDirectory

EXCHANGE = "exchange"
"""The event type that exchanges are listed under."""

_MESSAGES = "messages"
_SETTINGS = "settings"
_TEXTS = ("answer", "refusal", "error")
"""The texts that came back."""


def compare_exchanges(old: RunDirectory, new: RunDirectory, limit: int, *, has_other_config: bool) -> ExchangeDiff:
    """Return the differences between the exchanges of two runs, at most `limit` of each kind.

    With `has_other_config`, settings are left out: they repeat the differences between the configs. Raises Damaged,
    naming file and line, and StorageFailure.
    """
    comparison = _ExchangeComparison(limit, has_other_config=has_other_config)
    only = [0, 0]
    for aligned in align(RecordStreams(_records(old), _records(new))):
        if isinstance(aligned, Pair):
            comparison.add(*aligned)
        elif isinstance(aligned, Unmatched):
            only[aligned.side] += 1
    return comparison.finish(*only)


def _records(run: RunDirectory) -> Iterator[Record]:
    for exchange in run.exchange_reader():
        origin = exchange["origin"]
        if origin is None:
            continue
        value = _compared_fields(exchange)
        # The texts are nearly all of it.
        size = sum(len(message["content"]) for message in value[_MESSAGES]) + len(value["answer"] or "")
        key = (origin["agent_id"], origin["attempt"])
        yield Record(origin["iteration"], key, exchange["index"], value, size)


def _compared_fields(exchange: Exchange) -> dict[str, Any]:
    origin, answer, response = exchange["origin"], exchange["answer"] or {}, exchange["response"] or {}
    return {
        _MESSAGES: origin[_MESSAGES],
        _SETTINGS: origin[_SETTINGS],
        "answer": answer.get("text"),
        "refusal": answer.get("refusal"),
        "error": origin["error"],
        "tool_calls": answer.get("tool_calls", []),
        # Without HTTP it only repeats whether there is an answer.
        "end": exchange["end"] if exchange["method"] is not None else None,
        "status": response.get("status"),
    }


@dataclass(slots=True)
class _RepeatedText:
    change: TextChange
    repeated: int = 0


class _ExchangeComparison:
    """The state of `compare_exchanges`."""

    def __init__(self, limit: int, *, has_other_config: bool) -> None:
        self._limit = limit
        self._ignored = (*_TEXTS, *([_SETTINGS] if has_other_config else []))
        self._texts: Collector[_RepeatedText] = Collector(limit)
        self._by_lines: dict[tuple[Any, ...], _RepeatedText] = {}
        self._settings: Collector[EventChange] = Collector(limit)

    def add(self, old: Record, new: Record, ordinal: int) -> None:
        """Compare an exchange that both runs have."""
        for text in _changed_texts(old, new):
            self._add_text(text)
        # A message that one exchange alone has is a text that differs; its role is part of that.
        shared = min(len(record.value[_MESSAGES]) for record in (old, new))
        before, after = (self._settings_of(record, shared) for record in (old, new))
        fields = collect_differences(differences(before, after), self._limit)
        if fields.count:
            agent = str(old.key[0])
            positions = old.position, new.position
            change = EventChange(old.iteration, EXCHANGE, agent, ordinal, *positions, fields.truncated())
            self._settings.add(change, fields.size)

    def finish(self, old_only: int, new_only: int) -> ExchangeDiff:
        """Return the differences, with how many exchanges either run alone has."""
        changes = (text.change._replace(repeated=text.repeated) for text in self._texts.items)
        texts = Truncated(tuple(changes), self._texts.count)
        return ExchangeDiff(texts, self._settings.truncated(), old_only, new_only)

    def _settings_of(self, record: Record, messages: int) -> dict[str, Any]:
        settings = {key: value for key, value in record.value.items() if key not in self._ignored}
        return settings | {_MESSAGES: [{"role": message["role"]} for message in record.value[_MESSAGES][:messages]]}

    def _add_text(self, text: _ChangedText) -> None:
        hunks = text_hunks(text.old, text.new)
        # Without the line numbers: a prompt grows with the iterations.
        lines = (text.field, *((hunk.old, hunk.new) for hunk in hunks))
        known = self._by_lines.get(lines)
        if known is not None:
            known.repeated += 1
            self._texts.skip()
            return
        agent, attempt = text.record.key
        change = TextChange(text.record.iteration, str(agent), int(attempt or 0), text.field, text.role, hunks)
        added = _RepeatedText(change)
        if self._texts.add(added, sum(hunk.size for hunk in hunks)):
            self._by_lines[lines] = added


class _ChangedText(NamedTuple):
    record: Record
    field: str
    role: str | None
    old: str | None
    new: str | None


def _changed_texts(old: Record, new: Record) -> Iterator[_ChangedText]:
    before, after = old.value[_MESSAGES], new.value[_MESSAGES]
    for index, (left, right) in enumerate(zip_longest(before, after)):
        texts = [None if message is None else message["content"] for message in (left, right)]
        if texts[0] != texts[1]:
            roles = {message["role"] for message in (left, right) if message is not None}
            yield _ChangedText(old, f"{_MESSAGES}[{index}]", roles.pop() if len(roles) == 1 else None, *texts)
    for field in _TEXTS:
        if old.value[field] != new.value[field]:
            yield _ChangedText(old, field, None, old.value[field], new.value[field])
