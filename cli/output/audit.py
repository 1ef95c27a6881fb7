"""Exchanges with models as lines: each prompt and answer in full, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from exprec.recorder.display import Line, Span
from exprec.recorder.format import canonical_json

if TYPE_CHECKING:
    from exprec.recorder.state import AuditedExchange

_LABEL_INDENT = 2
_TEXT_INDENT = 4
_HANG = 4
"""No row begins to the left of the texts but with words of exprec, so that no text can look like its outcome."""
_ANSWER = "assistant"
_ERROR = "error"
_LABELS = {"system": "System prompt", "user": "User prompt", _ANSWER: "Earlier answer"}
_USABLE = "usable"


def audit_lines(exchanges: Iterable[AuditedExchange]) -> Iterator[Line]:
    """Yield the lines of exchanges; a prompt that was printed before is named instead."""
    texts = _Texts()
    for number, exchange in enumerate(exchanges):
        if number:
            yield Line()
        yield from _exchange_lines(exchange, texts)


class _Texts:
    """Prints texts, and remembers their digests: prompts of many iterations would fill the memory."""

    def __init__(self) -> None:
        self._places: dict[bytes, str] = {}

    def prompt(self, role: str, text: str, place: str) -> Iterator[Line]:
        """Yield the text of a message below its label, or where it was printed before."""
        label: Span = (_LABELS.get(role, role), "strong")
        before = self._places.get(_digest(role, text))
        if before is None:
            yield _labeled(label)
            yield from self.body(role, text, place)
        else:
            yield _labeled(label, (f"  same as above ({before})", "quiet"))

    def body(self, role: str, text: str, place: str) -> Iterator[Line]:
        """Yield the lines of a text."""
        self._places[_digest(role, text)] = place
        for line in text.removesuffix("\n").split("\n"):
            yield Line.of(line, indent=_TEXT_INDENT, hang=0)


def _digest(role: str, text: str) -> bytes:
    return hashlib.sha256(f"{role}\n{text}".encode()).digest()


def _labeled(*parts: Span | str) -> Line:
    return Line.of(*parts, indent=_LABEL_INDENT, hang=_HANG)


def _exchange_lines(exchange: AuditedExchange, texts: _Texts) -> Iterator[Line]:
    place = f"iteration {exchange.iteration}, {exchange.agent_id}, attempt {exchange.attempt}"
    settings = f"  {_as_json(exchange.settings)}" if exchange.settings else ""
    yield Line.of(
        (f"Iteration {exchange.iteration}", "strong"),
        "  ",
        (exchange.agent_id, "agent"),
        f"  attempt {exchange.attempt}  {exchange.model}",
        (settings, "quiet"),
        hang=_HANG,
    )
    for message in exchange.messages:
        yield from texts.prompt(message["role"], message["content"], place)
    yield from _answer_lines(exchange, texts, place)
    yield _outcome_line(exchange)
    for error in exchange.decision.errors if exchange.decision else ():
        if error != exchange.error:
            yield from texts.body(_ERROR, error, place)


def _answer_lines(exchange: AuditedExchange, texts: _Texts, place: str) -> Iterator[Line]:
    tokens = (exchange.prompt_tokens, exchange.completion_tokens)
    counted = "" if None in tokens else f"{tokens[0]} + {tokens[1]} tokens, "
    spent = [f"  {counted}{exchange.latency_seconds} s"]
    if exchange.error is not None:
        yield _labeled(("No answer", "strong"), (spent[0], "quiet"))
        yield from texts.body(_ERROR, exchange.error, place)
        return
    spent += ["empty"] * (not exchange.answer) + [f"ended by {exchange.finish_reason}"] * bool(exchange.finish_reason)
    by = exchange.answering_model
    spent += [f"from {by}"] * (by is not None and by != exchange.model.partition(":")[2])
    yield _labeled(("Answer", "strong"), (", ".join(spent), "quiet"))
    if exchange.answer:
        yield from texts.body(_ANSWER, exchange.answer, place)
    for label, text in (
        ("Refusal", exchange.refusal),
        *(("Tool call", _as_json(call)) for call in exchange.tool_calls),
    ):
        if text:
            yield _labeled((label, "strong"))
            yield from texts.body(_ERROR, text, place)


def _outcome_line(exchange: AuditedExchange) -> Line:
    """Return what the answer is, then the decision and its reason."""
    outcome, decision = exchange.outcome, exchange.decision
    parts: list[Span | str] = [("Outcome", "strong"), "  "]
    if outcome is None:
        return _labeled(*parts, "not recorded")
    parts.append((outcome, "good" if outcome == _USABLE else "bad"))
    if decision is None:
        parts.append(", retried" if exchange.retried else ", no decision was recorded")
    else:
        parts += [", ", ("accepted", "good") if decision.accepted else ("rejected", "bad")]
        if decision.old_cost is not None:
            parts.append(f"  {decision.old_cost} → {decision.new_cost}")
        if decision.reason != outcome:
            parts.append((f"  {decision.reason}", "quiet"))
    return _labeled(*parts)


def _as_json(value: object) -> str:
    return canonical_json.encode(value).decode().rstrip("\n")
