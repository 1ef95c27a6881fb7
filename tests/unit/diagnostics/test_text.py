"""No text that a run holds can control a terminal, hide, or pass for another text."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exprec.recorder.diagnostics import visible, visible_json

FILLERS = "\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u180b\ufe0f\ufe00\U000e0100\U0001d159\U00016fe4"
"""Characters that Python calls printable, and that nobody sees."""
FORMATS = "\xad\u200b\u200c\u200d\u2060\ufeff\u061c\u200e\u202e\u2066\u2069\u2065\ufff0\U000e0001\U000e0041\U000e0fff"
OTHERS = "\x00\x07\x1b\x7f\x85\x9b\xa0\u1680\u2003\u3000\u2028\u2029\ud800\ue000\U0010ffff\u0378"
HIDDEN = FILLERS + FORMATS + OTHERS

TEXTS = st.text(st.characters() | st.sampled_from(f"{HIDDEN}\\\n\t\rnrtxuU0123456789abcdef"))


def _is_hidden(char: str) -> bool:
    """Decide independently: by the categories, and for letters, marks and symbols by the list above."""
    is_space = char == " "
    return not is_space and (unicodedata.category(char)[0] in "CZ" or char in FILLERS)


def _read_back(shown: str) -> str:
    """Return the text of a visible form: the inverse that shows that no two texts look the same."""
    text, rest = "", shown
    while rest:
        length = {"x": 4, "u": 6, "U": 10}.get(rest[1:2], 0)
        if rest[0] != "\\":
            text, rest = text + rest[0], rest[1:]
        elif rest[1:2] in ("\\", "n", "t", "r") and rest[1:]:
            text, rest = text + {"\\": "\\", "n": "\n", "t": "\t", "r": "\r"}[rest[1]], rest[2:]
        elif length and len(rest) >= length and all(digit in "0123456789abcdef" for digit in rest[2:length]):
            text, rest = text + chr(int(rest[2:length], 16)), rest[length:]
        else:
            text, rest = text + "\\", rest[1:]
    return text


@pytest.mark.parametrize("char", HIDDEN, ids=ascii)
def test_each_hidden_character_is_an_escape(char: str) -> None:
    for shown in (visible(f"a{char}b"), visible(f"a{char}b", quoted=True)):
        assert shown.isascii()
        assert shown.startswith("a\\")
    assert visible_json(json.dumps(f"a{char}b", ensure_ascii=False)).isascii()


@given(TEXTS)
@example("a\\x1b\x1b")
@example("\\\u115f")
@example("\\" * 5 + "n")
def test_the_visible_form_hides_nothing_and_can_be_read_back(text: str) -> None:
    shown = visible(text)
    assert not any(map(_is_hidden, shown)), ascii(shown)
    assert _read_back(shown) == text


@given(TEXTS)
def test_a_message_is_made_visible_only_once(text: str) -> None:
    shown = visible(text, quoted=True)
    assert not any(map(_is_hidden, shown)), ascii(shown)
    assert visible(shown, quoted=True) == shown


@given(TEXTS, TEXTS)
def test_quoted_values_stay_different(one: str, other: str) -> None:
    assert (visible(repr(one), quoted=True) == visible(repr(other), quoted=True)) == (one == other)


def test_no_character_of_a_hidden_category_stays() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if _is_hidden(char):
            assert visible(char).isascii(), hex(code)
        elif char.isascii():
            assert visible(char) == char


def test_which_letters_marks_and_symbols_are_hidden() -> None:
    hidden = [code for code in range(sys.maxunicode + 1) if visible(chr(code), quoted=True) != chr(code)]
    letters = [code for code in hidden if unicodedata.category(chr(code))[0] in "LMS"]
    names = {unicodedata.name(chr(code)) for code in letters if not unicodedata.name(chr(code)).startswith("VARIATION")}
    assert names == {
        "COMBINING GRAPHEME JOINER",
        "HANGUL CHOSEONG FILLER",
        "HANGUL JUNGSEONG FILLER",
        "HANGUL FILLER",
        "HALFWIDTH HANGUL FILLER",
        "KHMER VOWEL INHERENT AQ",
        "KHMER VOWEL INHERENT AA",
        "MONGOLIAN FREE VARIATION SELECTOR ONE",
        "MONGOLIAN FREE VARIATION SELECTOR TWO",
        "MONGOLIAN FREE VARIATION SELECTOR THREE",
        "MONGOLIAN FREE VARIATION SELECTOR FOUR",
        "BRAILLE PATTERN BLANK",
        "KHITAN SMALL SCRIPT FILLER",
        "MUSICAL SYMBOL NULL NOTEHEAD",
    } | ({"EGYPTIAN HIEROGLYPH FULL BLANK", "EGYPTIAN HIEROGLYPH HALF BLANK"} & names)


@pytest.mark.parametrize("text", ["C:\\data", "^\\d+\\.csv$", "\\usepackage{x}", "naïve 字 e\u0301 🙂", ""])
def test_ordinary_text_is_visible_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("a\\nb", "a\\\\nb"),
        ("\\x1b", "\\\\x1b"),
        ("⚠\ufe0f", "⚠\\ufe0f"),
        ("👩\u200d🔬", "👩\\u200d🔬"),
        ("a\xa0b", "a\\xa0b"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(TEXTS)
def test_kept_characters_stay_and_all_others_are_escaped(text: str) -> None:
    assert visible(text, keep="\n", quoted=True) == "\n".join(visible(each, quoted=True) for each in text.split("\n"))


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(FILLERS)))
def test_visible_json_is_visible_and_equal(text: str) -> None:
    shown = visible_json(json.dumps(text, ensure_ascii=False))
    assert not any(map(_is_hidden, shown))
    assert json.loads(shown) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("\x9b2J", "\\u009b2J"), ("a\U000e0041", "a\\udb40\\udc41"), ("é字", "é字")]
)
def test_json_escapes_are_those_of_json(text: str, shown: str) -> None:
    assert visible_json(text) == shown
