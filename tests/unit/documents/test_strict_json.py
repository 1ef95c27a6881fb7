"""JSON that programs and models send: the value, or the first problem in words that no version of Python changes."""

from __future__ import annotations

import inspect
import json
import math
import random
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from exprec.recorder.documents import InvalidJson, parse_json

LEVELS = 6
DEEP = "[" * LEVELS + "]" * LEVELS

READ: list[tuple[str, Any]] = [
    (' {"a" : [1, -2.5e3, true, false, null]}\r\n', {"a": [1, -2500.0, True, False, None]}),
    ('"é\\u00e9\\n\\"\\ud83c\\udfe6"', 'éé\n"\U0001f3e6'),
    (DEEP, [[[[[[]]]]]]),
    ('{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
    ("[" * LEVELS + '"[[{{' + '"' + "]" * LEVELS, [[[[[["[[{{"]]]]]]),
    ("18446744073709551615", 2**64 - 1),
    ("1e999", math.inf),
]

REFUSED: list[tuple[str, str]] = [
    ("", "not valid JSON: line 1, column 1: unexpected the end"),
    (" \n ", "not valid JSON: line 2, column 2: unexpected the end"),
    ("nonsense", "not valid JSON: line 1, column 1: unexpected 'nonsense'"),
    ("\ufeff{}", "not valid JSON: line 1, column 1: unexpected '\\ufeff{}'"),
    ('{"a": 1', "not valid JSON: line 1, column 8: unexpected the end"),
    ('{"a": 1,}', "not valid JSON: line 1, column 9: unexpected '}'"),
    ("[1,\n2,]", "not valid JSON: line 2, column 3: unexpected ']'"),
    ('{"a" 1}', "not valid JSON: line 1, column 6: unexpected '1}'"),
    ("{1: 2}", "not valid JSON: line 1, column 2: unexpected '1: 2}'"),
    ("[1 2]", "not valid JSON: line 1, column 4: unexpected '2]'"),
    ("[1}", "not valid JSON: line 1, column 3: unexpected '}'"),
    ("01", "not valid JSON: line 1, column 2: unexpected '1'"),
    ("1.", "not valid JSON: line 1, column 2: unexpected '.'"),
    ("-", "not valid JSON: line 1, column 1: unexpected '-'"),
    ("{} {}", "not valid JSON: line 1, column 4: unexpected '{}'"),
    ('["ab', "not valid JSON: line 1, column 2: unexpected '\"ab'"),
    ('["a\tb"]', "not valid JSON: line 1, column 4: unexpected '\\tb\"]'"),
    ('["a\\x"]', "not valid JSON: line 1, column 4: unexpected '\\\\x\"]'"),
    ('["a\\u12"]', "not valid JSON: line 1, column 5: unexpected 'u12\"]'"),
    ('["\U0001faef" x]', "not valid JSON: line 1, column 6: unexpected 'x]'"),
    ("NaN", "not valid JSON: NaN is not a number that JSON has"),
    ('{"k": 1, "k": 2', "not valid JSON: line 1, column 16: unexpected the end"),
    ('[{"k": 1, "k": 2}, x]', "not valid JSON: the key 'k' stands twice in one object"),
    ('{"ké": 1, "ké": 2}', "not valid JSON: the key 'k\\xe9' stands twice in one object"),
    (f"[{DEEP}]", "nested deeper than 6 levels"),
    (f"[x, {DEEP}]", "not valid JSON: line 1, column 2: unexpected 'x, [[[[[[]]]]]]]'"),
    ("[" * 100_000, "nested deeper than 6 levels"),
    ('{"a":' * 7, "nested deeper than 6 levels"),
]


@pytest.fixture(params=["fast", "slow"])
def parse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The parser, also with one of Python in it that gives up on everything that is not a scalar."""
    original = json.loads

    def give_up(text: str, **options: Any) -> Any:
        if options:
            raise RecursionError("words of some version")
        return original(text)

    if request.param == "slow":
        monkeypatch.setattr("json.loads", give_up)
    return lambda text: parse_json(text, LEVELS)


@pytest.mark.parametrize(("text", "value"), READ)
def test_a_value_is_read(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert repr(parse(text)) == repr(value)


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_the_first_problem_is_named(parse: Callable[[str], Any], text: str, message: str) -> None:
    with pytest.raises(InvalidJson) as caught:
        parse(text)
    assert str(caught.value) == message


def test_integers_of_any_length_are_beyond_64_bits(parse: Callable[[str], Any]) -> None:
    for text in ("9" * 41, "9" * 10_000, "-" + "9" * 10_000):
        assert abs(parse(text)) >= 10**40


def test_numbers_that_json_does_not_have_may_be_read() -> None:
    assert repr(parse_json("[NaN, Infinity, -Infinity]", LEVELS, float)) == "[nan, inf, -inf]"


def test_a_low_recursion_limit_changes_nothing() -> None:
    texts = ["[" * 200 + "]" * 200, "[" * 200 + "x", "[" * 300]
    before = [_outcome(text) for text in texts]
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 30)
        after = [_outcome(text) for text in texts]
    finally:
        sys.setrecursionlimit(limit)
    assert after == before


def _outcome(text: str) -> Any:
    try:
        return parse_json(text, 254)
    except InvalidJson as error:
        return str(error)


def test_positions_are_those_of_python_3_11_where_a_text_stops_being_json() -> None:
    chance = random.Random(5)
    texts = ['{"a": [1, 2.5, -3e5, true, null, "x\\u00e9\\n"], "b": {"c": {}, "d": []}}', '[[],{},"",0,-1.0]', "\n1E5 "]
    for _ in range(2000):
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.choice('{}[]:,"\\n trufal0123.eE+-\t\x01é') + text[at + chance.randrange(2) :]
        expected, outcome = _python_position(text), str(_outcome(text))
        if match := re.match(r"not valid JSON: line (\d+), column (\d+)", outcome):
            assert expected in ((int(match[1]), int(match[2])), None), text
        else:
            assert expected is None or "twice" in outcome, text


def _python_position(text: str) -> tuple[int, int] | None:
    """Return the line and column where a text stops being JSON for Python; None for JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        # Of a trailing comma, later versions report the comma; in an escape that the text cuts off, ours is its start.
        is_other = "trailing comma" in error.msg or "escape" in error.msg or "\\u" in text[error.pos - 2 :]
        return None if is_other else (error.lineno, error.colno)
    return None
