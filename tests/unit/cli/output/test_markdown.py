"""Text from a log within Markdown, and reports that fit into a comment."""

from __future__ import annotations

import html
import re

import pytest

from exprec.cli.output.markdown import code_block, inline_code, markdown_table
from exprec.cli.output.sections import Items, NumberTable, Section, TextDiff, report_markdown

HOSTILE = [
    "a|b",
    "`x` ``y",
    "<script>alert(1)</script>",
    "[link](https://example.org) www.example.org ![i](x)",
    "@someone #12 :smile: $x$ **b** _i_ ~~s~~",
    "\x1b[31m\n\u202e &amp; \\",
    '"><img src=x onerror="y">',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_code_is_read_as_it_is_written(text: str) -> None:
    shown = inline_code(text)
    inner = shown.removeprefix("<code>").removesuffix("</code>").replace("&#64;<!-- -->", "&#64;")
    assert not re.search(r"[|`<>\[\]@$*:~\\\n\x1b\u202e]|\b_|_\b|www\.|&(?!#\d+;)", inner)
    assert "\n" not in html.unescape(inner)


def test_what_is_ordinary_stays_readable() -> None:
    assert inline_code("master-seed 42 → 43, 0.5 %") == "<code>master-seed 42 → 43, 0.5 %</code>"
    assert inline_code("policy_change") == "<code>policy_change</code>"
    assert inline_code("") == ""


def test_no_line_ends_a_block_of_code() -> None:
    first, *inner, last = code_block(["-```", "+````x", "a\nb"], "diff")
    assert (first, last) == ("`````diff", "`````")
    assert inner == ["-```", "+````x", "a\\nb"]


def test_a_table_has_a_rule_of_as_many_cells() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]], numbers=True) == ["| a | b |", "| --- | ---: |", "| 1 | 2 |"]


def test_a_report_that_is_too_long_ends_with_a_whole_part_and_says_so() -> None:
    lines = tuple(((f"line {number} é", ""),) for number in range(50))
    diff = TextDiff((("t", ""),), tuple(f"+{number}" for number in range(50)))
    section = Section((("T", "strong"),), (Items(lines), NumberTable(("i", "x"), (("1", "2"),)), diff), "and 3 more")
    whole = report_markdown([section], 100_000, cut="*cut*\n")
    assert whole.rstrip().endswith("and 3 more")
    for size in (0, 3, 10, 100, 500, 900, len(whole.encode()) - 1):
        shown = report_markdown([section], size, cut="*cut*\n")
        assert len(shown.encode()) <= size
        assert shown.count("```") in (0, 2)
        assert size < 10 or shown.endswith("*cut*\n")
