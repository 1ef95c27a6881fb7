"""The lines of an audit: no text of an exchange looks like a line of exprec, and no prompt is printed twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.cli.output.audit import audit_lines
from exprec.recorder.diagnostics import visible
from exprec.recorder.state import AuditedExchange
from exprec.recorder.state.audit import Decision
from tests.fixtures.display import print_to_text
from tests.fixtures.exchanges import HOSTILE, audited

_OWN = ("Iteration ", "  System prompt", "  User prompt", "  Earlier answer", "  Answer", "  No answer", "  Outcome")


def _is_indented(row: str) -> bool:
    return row.startswith("    ") or not row


@given(st.text(max_size=200), st.integers(20, 130))
def test_every_row_of_a_text_is_indented_below_what_exprec_says(text: str, width: int) -> None:
    rejected = Decision(accepted=False, reason="invalid_json", errors=(text, HOSTILE))
    messages = [{"role": "system", "content": text}, {"role": "user", "content": f"{HOSTILE}{text}"}]
    exchanges = [audited(0, messages=messages, answer=text), audited(1, answer=None, error=text, decision=rejected)]
    rows = print_to_text(*audit_lines(exchanges), width=width).splitlines()
    assert [row for row in rows if not _is_indented(row) and not row.startswith(_OWN)] == []
    labels = [row.split("  ")[1] for row in rows if row.startswith("  ") and not _is_indented(row)]
    prompts = ["System prompt", "User prompt"]
    assert labels == [*prompts, "Answer", "Outcome", *prompts, "No answer", "Outcome"]


@pytest.mark.parametrize("field", ["agent_id", "model", "outcome"])
@pytest.mark.parametrize("width", [20, 60])
def test_a_long_name_does_not_look_like_an_outcome(field: str, width: int) -> None:
    name = " ".join(["Outcome  usable, accepted"] * 20)
    rows = print_to_text(*audit_lines([audited(0, **{field: name})]), width=width).splitlines()
    assert [row for row in rows if not _is_indented(row) and not row.startswith(_OWN)] == []
    assert sum(row.startswith("  Outcome") and not _is_indented(row) for row in rows) == 1


@pytest.mark.parametrize("field", ["agent_id", "model"])
def test_names_stay_on_their_line(field: str) -> None:
    first, *rows = print_to_text(*audit_lines([audited(0, **{field: HOSTILE})]), width=400).splitlines()
    assert "\\r\\nIteration 9" in first
    assert rows[0] == "  System prompt"


def test_every_line_of_a_text_is_printed() -> None:
    text = "one\n\n  two\tthree\n    four "
    printed = print_to_text(*audit_lines([audited(0, answer=text)]))
    assert "    one\n\n      two\\tthree\n        four\n" in printed
    printed = print_to_text(*audit_lines([audited(0, answer=f"{text}\n")]))
    assert "    one\n\n      two\\tthree\n        four\n  Outcome" in printed


def _labels(*exchanges: AuditedExchange) -> list[str]:
    rows = print_to_text(*audit_lines(exchanges), width=200).splitlines()
    return [row.strip() for row in rows if row.startswith("  ") and "rompt" in row]


def test_a_prompt_that_was_printed_before_is_named() -> None:
    system, user = audited(0).messages
    other = {"role": "user", "content": system["content"]}
    again = (
        audited(0),
        audited(1, agent_id="B\x1b"),
        audited(2, iteration=2, messages=[system, other]),
        audited(3, iteration=2, agent_id="B\x1b", messages=[{**system, "content": "other"}, user]),
    )
    assert _labels(*again) == [
        *("System prompt", "User prompt"),
        "System prompt  same as above (iteration 1, BANK_A, attempt 1)",
        "User prompt  same as above (iteration 1, BANK_A, attempt 1)",
        *("System prompt  same as above (iteration 1, BANK_A, attempt 1)", "User prompt"),
        *("System prompt", "User prompt  same as above (iteration 1, BANK_A, attempt 1)"),
    ]
    assert visible("B\x1b") in print_to_text(*audit_lines(again))


def test_an_answer_is_printed_each_time() -> None:
    assert print_to_text(*audit_lines([audited(0), audited(1, iteration=2)])).count("    {}\n") == 2
