"""Values, keys and words as messages show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.diagnostics import (
    cut_text,
    did_you_mean,
    json_text,
    key_name,
    show_value,
    text_around,
    unknown_word,
)
from exprec.recorder.errors import NotEncodable


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (-(10**39), f"-{10**39}"),
        (1.5, "1.5"),
        (1e-7, "1e-07"),
        ("a", "'a'"),
        ("it's", '"it\'s"'),
        ("'\"\\\n\t", "'\\'\"\\\\\\n\\t'"),
        # A format character; an emoji of Unicode 15, which Python 3.11 does not know; a code point without a character.
        ("\x1b\u200bé", "'\\x1b\\u200bé'"),
        ("\U0001fae8\u0378\U000e0001", "'\U0001fae8\u0378\\U000e0001'"),
        ({"a": 1}, "a mapping"),
        ([1], "a list"),
        (object(), "a value of type object"),
        ({1, 2}, "a value of type set"),
    ],
)
def test_a_value_is_shown_as_its_reader_would_write_it(value: object, shown: str) -> None:
    assert show_value(value) == shown


def test_an_integer_of_any_length_is_shown() -> None:
    assert show_value(10**40) == show_value(-(10**5000)) == "an integer of more than 40 digits"


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=80))
def test_a_text_is_shown_as_python_writes_it(text: str) -> None:
    assert show_value(text) == cut_text(repr(text), 60)


def test_long_values_are_cut() -> None:
    assert show_value("x" * 58) == repr("x" * 58)
    assert show_value("x" * 59) == f"'{'x' * 59}…"
    assert json_text([1] * 40) == f"[{'1,' * 29}1…"
    assert json_text([1] * 40, longest=None) == f"[{'1,' * 39}1]"
    assert cut_text("abc", 3) == "abc"
    assert cut_text("abcd", 3) == "abc…"


def test_json_text_is_canonical_and_refuses_what_json_cannot_hold() -> None:
    assert json_text({"b": 1.0, "a": "é"}) == '{"a":"é","b":1.0}'
    assert (
        json_text([float("nan"), {"a": float("-inf")}, '{"$float":"nan"}'])
        == '[nan,{"a":-inf},"{\\"$float\\":\\"nan\\"}"]'
    )
    with pytest.raises(NotEncodable):
        json_text(2**64)


def test_a_long_text_is_shown_around_its_first_difference() -> None:
    assert text_around("abc", "abd") == "abc"
    same = "x" * 100
    assert text_around(f"{same}{'a' * 100}", f"{same}{'b' * 100}", 20) == f"…{'x' * 16}aaaa…"
    assert text_around("a" * 61, "b" * 61) == f"{'a' * 60}…"
    assert text_around(same, f"{same}b") == f"…{'x' * 16}"


def test_list_items_go_by_their_id() -> None:
    document = {"agents": [{"id": "BANK_A"}, {"id": ""}, {}]}
    assert key_name(("agents", 0, "limits", "x"), document) == "agents[BANK_A].limits.x"
    assert key_name(("agents", 1), document) == "agents[1]"
    assert key_name(("agents", 2, "id"), document) == "agents[2].id"
    assert key_name(("agents", 0)) == "agents[0]"


def test_a_suggestion_is_the_nearest_known_word() -> None:
    assert unknown_word("key", "tick", ["mode", "ticks"]) == "unknown key; did you mean 'ticks'? (known: mode, ticks)"
    assert unknown_word("key", "x", []) == "unknown key (known: none)"
    assert did_you_mean("tick", ["ticks", 1, None]) == "; did you mean 'ticks'?"
    assert did_you_mean(1, ["1"]) == ""
