"""The exchanges with models in two runs to the texts that differ, in one pass over both.

What an exchange has in common with its `llm_call` event (model, tokens, latency) is compared there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, NamedTuple

from exprec.recorder.diff.align import paired
from exprec.recorder.diff.collector import Kept, weight
from exprec.recorder.diff.json_values import Difference, differences
from exprec.recorder.diff.result import EventChange, Listed, TextChange
from exprec.recorder.diff.text import hunks
from exprec.recorder.diff.unmatched import Pair, Record

EXCHANGE = "exchange"
"""Stands for the type of event of an exchange."""

_SHARED = ("index", "model", "prompt_tokens", "completion_tokens", "latency_seconds")
_MESSAGES = "messages"
_ANSWERS = ("answer", "error")
_SETTINGS = "settings"

Exchange = dict[str, Any]


@dataclass(slots=True)
class _Text:
    change: TextChange
    repeated: int = 0


class ExchangeComparison:
    """What the exchanges of two runs differ in, once `run` has read them."""

    def __init__(self, limit: int, *, has_other_config: bool) -> None:
        """Keep `limit` differences of a kind. With another config, settings repeat what differs there."""
        self._limit = limit
        self._has_other_config = has_other_config
        self._texts: Kept[_Text] = Kept(limit)
        self._by_lines: dict[tuple[Any, ...], _Text] = {}
        self.events: Kept[EventChange] = Kept(limit)
        """What is no text: settings, and the roles of messages."""
        self.only_old = self.only_new = 0

    def run(self, old: Iterable[Exchange], new: Iterable[Exchange]) -> None:
        """Read the exchanges of both to their ends. Raises what reading them raises."""
        for found in paired(_records(old), _records(new)):
            if isinstance(found, Pair):
                self._take(found)

    def texts(self) -> Listed[TextChange]:
        changes = (replace(text.change, repeated=text.repeated) for text in self._texts.items)
        return Listed(tuple(changes), self._texts.count)

    def _take(self, pair: Pair) -> None:
        old, new, ordinal, _ = pair
        if old is None or new is None:
            self.only_old += new is None
            self.only_new += old is None
        else:
            self._compare(old, new, ordinal)

    def _compare(self, old: Record, new: Record, ordinal: int) -> None:
        for text in _changed_texts(old, new):
            self._add_text(text)
        ignored = (*_SHARED, *_ANSWERS, *([_SETTINGS] if self._has_other_config else []))
        # A message that only one of them has is a text that differs, and its role is told with that.
        shared = min(len(record.value[_MESSAGES]) for record in (old, new))
        before, after = (
            {key: value for key, value in record.value.items() if key not in ignored}
            | {_MESSAGES: [{"role": message["role"]} for message in record.value[_MESSAGES][:shared]]}
            for record in (old, new)
        )
        fields: Kept[Difference] = Kept(self._limit)
        for difference in differences(before, after):
            fields.add(difference, weight(difference))
        if fields.count:
            agent = str(old.key[0])
            change = EventChange(old.iteration, EXCHANGE, agent, ordinal, old.position, new.position, fields.listed())
            self.events.add(change, sum(map(weight, fields.items)))

    def _add_text(self, text: _Changed) -> None:
        found = hunks(text.old, text.new)
        # Where the lines stand in the text does not matter: a prompt grows with the iterations.
        lines = (text.field, *((hunk.old, hunk.new) for hunk in found))
        known = self._by_lines.get(lines)
        if known is not None:
            known.repeated += 1
            self._texts.count += 1
            return
        place = text.record
        agent, attempt = place.key
        change = TextChange(place.iteration, str(agent), int(attempt or 0), text.field, text.role, found)
        added = _Text(change)
        size = sum(len(line) for hunk in found for part in hunk[2:] for line in part)
        if self._texts.add(added, size):
            self._by_lines[lines] = added


def _records(exchanges: Iterable[Exchange]) -> Iterator[Record]:
    for exchange in exchanges:
        # What waits for its partner is weighed by its texts: they are nearly all of it.
        size = sum(len(message["content"]) for message in exchange[_MESSAGES]) + len(exchange["answer"] or "")
        key = (exchange["agent_id"], exchange["attempt"])
        yield Record(exchange["iteration"], key, exchange["index"], exchange, size)


class _Changed(NamedTuple):
    record: Record
    field: str
    role: str | None
    old: str | None
    new: str | None


def _changed_texts(old: Record, new: Record) -> Iterator[_Changed]:
    before, after = old.value[_MESSAGES], new.value[_MESSAGES]
    for position, (left, right) in enumerate(zip_longest(before, after)):
        texts = [None if message is None else message["content"] for message in (left, right)]
        if texts[0] != texts[1]:
            roles = {message["role"] for message in (left, right) if message is not None}
            yield _Changed(old, f"{_MESSAGES}[{position}]", roles.pop() if len(roles) == 1 else None, *texts)
    for field in _ANSWERS:
        if old.value[field] != new.value[field]:
            yield _Changed(old, field, None, old.value[field], new.value[field])
