"""Text from a log is data: nothing in it is markup, a command to the terminal, or a line of its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from exprec.recorder.display import VerboseConfig
from exprec.recorder.display.console import visible_as_printed
from exprec.recorder.display.event_lines import event_lines
from exprec.recorder.display.terminal_text import Line
from tests.fixtures.display import print_to_text
from tests.fixtures.events import full_event

ALL = VerboseConfig.all_enabled()


HOSTILE = {
    "[priority] [/close] [bold]x[/bold]": "[priority] [/close] [bold]x[/bold]",
    ":smile: :warning:": ":smile: :warning:",
    "\x1b[31mred\x1b[0m": "\\x1b[31mred\\x1b[0m",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "one\ntwo\r\nthree\ttab": "one\\ntwo\\r\\nthree\\ttab",
    "\u202eevil\u202c": "\\u202eevil\\u202c",
    "next\u2028line\x85": "next\\u2028line\\x85",
    "zero\u200bwidth\ufeff": "zero\\u200bwidth\\ufeff",
    "\x9b31m": "\\x9b31m",
    "tag \U000e0041": "tag \\U000e0041",
    "決済 é e\u0301 👍": "決済 é e\u0301 👍",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items(), ids=[ascii(text) for text in HOSTILE])
@pytest.mark.parametrize("color", [False, True])
def test_hostile_text_is_printed_visibly_and_harmlessly(text: str, shown: str, color: bool) -> None:
    event = {**full_event("policy_rejected"), "agent_id": text, "validation_errors": [text]}
    printed = print_to_text(*event_lines(event, ALL), color=color)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    assert bare == f"  {shown}  unusable  invalid_json\n      {shown}\n"
    assert color or "\x1b" not in printed


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(20, 120), st.integers(0, 6))
def test_no_printed_row_is_wider_than_the_console(text: str, width: int, indent: int) -> None:
    for row in print_to_text(Line.of(text, indent=indent), width=width + indent).split("\n"):
        assert cell_len(row) <= width + indent


@given(st.text(st.characters(exclude_categories=["Cs", "Zs"]), min_size=1), st.integers(30, 60))
def test_wrapping_loses_no_character(text: str, width: int) -> None:
    rows = print_to_text(Line.of(text, indent=2), width=width).split("\n")
    assert "".join(row.strip(" ") for row in rows) == visible_as_printed(text)


def test_a_wrapped_line_goes_on_deeper_than_it_began() -> None:
    printed = print_to_text(Line.of("one two three four five six seven eight", indent=2), width=24)
    assert printed == "  one two three four\n    five six seven eight\n"


def test_a_whole_line_is_never_broken() -> None:
    assert print_to_text(Line((("Run " + "f" * 64, ""),), whole=True), width=30) == "Run " + "f" * 64 + "\n"


def test_columns_stay_aligned_behind_wide_characters() -> None:
    rows = print_to_text(Line.of(("決済", "agent"), "  x"), Line.of(("abcd", "agent"), "  x")).splitlines()
    assert len({cell_len(row) for row in rows}) == 1


def test_an_event_of_an_unknown_type_is_shown_in_a_generic_form() -> None:
    event = {"seq": 0, "event_type": "from_the_future", "iteration": 3, "loss": 0.5, "note": "a\nb"}
    assert print_to_text(*event_lines(event, ALL)) == 'from_the_future 3  loss 0.5  note "a\\nb"\n'


def test_a_known_type_with_other_fields_is_shown_in_a_generic_form() -> None:
    event = {"seq": 0, "event_type": "iteration_start", "iteration": 3, "costs": {"A": 1}}
    assert print_to_text(*event_lines(event, ALL)) == '  iteration_start  costs {"A":1}\n'
