"""No text that a run holds can control a terminal."""

from __future__ import annotations

import json
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.diagnostics import visible, visible_json


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_visible_is_one_line_without_controls(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert visible(shown) == shown


def test_what_can_be_printed_is_visible_as_it_is() -> None:
    """`visible` asks Python about a text before it looks at each character."""
    for code in range(sys.maxunicode + 1):
        if chr(code).isprintable():
            assert unicodedata.category(chr(code)) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), hex(code)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_kept_characters_stay_and_all_others_are_escaped(text: str) -> None:
    assert visible(text, keep="\n") == "\n".join(map(visible, text.split("\n")))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_visible_json_is_printable_and_equal(text: str) -> None:
    shown = visible_json(json.dumps(text, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("\x9b2J", "\\u009b2J"), ("a\U000e0041", "a\\udb40\\udc41"), ("é字", "é字")]
)
def test_json_escapes_are_those_of_json(text: str, shown: str) -> None:
    assert visible_json(text) == shown
