"""A review as a comment: never too long, the most important first, and nothing left out without being counted."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprec.cli.output.markdown import COMMENT_BYTES
from exprec.cli.output.review import review_lines, review_markdown
from exprec.cli.output.review.text import change_counts, verification_text
from exprec.recorder.diff import Difference
from exprec.recorder.diff.result import DiffResult, Side, Truncated
from exprec.recorder.errors import Problem
from exprec.recorder.query import RunRow
from exprec.recorder.review import NamedRun, Review, ReviewedRun, TagChange

TEXTS = st.text(max_size=30)
COUNTS = st.integers(0, 60)


def _id(number: int) -> str:
    return f"{number:064x}"


def _run(number: int, name: str = "game", *, problems: int = 0) -> ReviewedRun:
    row = RunRow(_id(number), True, _id(number)[-8:], name, status="completed", mode="bootstrap", executions=1)
    found = tuple(Problem((), f"is wrong in way {each}", source=f"HEAD:runs/{number}/x") for each in range(problems))
    return ReviewedRun(row, found, problems, ("events.jsonl",))


def _named(number: int, name: str = "game") -> NamedRun:
    return NamedRun(_id(number), _id(number)[-8:], name, number)


def _comparison(differences: int) -> DiffResult:
    sides = [Side(_id(each), _id(each)[-8:], True, "game", "generic", "completed") for each in (1, 2)]
    items = tuple(Difference(("scenario", str(each)), "x" * 40, each) for each in range(differences))
    return DiffResult(sides[0], sides[1], differences, config=Truncated(items, differences))


def _review(**parts: object) -> Review:
    return Review("main", "HEAD", "a" * 40, "runs", **parts)  # type: ignore[arg-type]


def test_what_is_wrong_comes_first() -> None:
    review = _review(
        added=(_run(1), _run(2, problems=2)),
        changed=(_run(3, problems=1),),
        removed=(_named(4),),
        tags=(TagChange("best", _id(4), _id(1), "4444", "1111", _comparison(3)),),
        same_inputs=((_named(1), _named(5)),),
        again=(_run(6),),
    )
    assert change_counts(review) == (
        "2 runs added, 1 sealed run changed, 1 run removed, 1 run recorded again, 1 tag moved"
    )
    assert verification_text(review) == "3 problems in 2 runs"
    titles = re.findall(r"^### (.*)$", review_markdown(review), re.MULTILINE)
    assert titles == [
        "Problems",
        "Sealed runs changed",
        "Tags",
        "Runs added",
        "Same inputs, different results",
        "Runs recorded again",
        "Runs removed",
        "Comparisons of moved tags",
    ]
    shown = ["".join(text for text, _ in line.spans) for line in review_lines(review)]
    assert [line for line in shown if line in titles] == titles


def test_a_comment_is_as_long_as_it_may_be_and_says_what_is_left_out() -> None:
    review = _review(
        added=tuple(_run(each, "long name " * 20) for each in range(5000)),
        tags=tuple(TagChange(f"tag-{each}", _id(1), _id(2), "1", "2", _comparison(200)) for each in range(300)),
        changed=tuple(_run(each, problems=20) for each in range(300)),
        removed=tuple(_named(each) for each in range(3000)),
    )
    comment = review_markdown(review)
    assert COMMENT_BYTES * 0.9 < len(comment.encode()) <= COMMENT_BYTES
    left_out = {
        noun: int(number)
        for number, noun in re.findall(r"^\*(\d+) (?:more )?(\w+?)s? (?:is|are) left out", comment, re.MULTILINE)
    }
    assert left_out["problem"] == 6000 - comment.count("is wrong in way")
    assert left_out["tag"] == 300 - comment.count(" moved: ")
    assert left_out["comparison"] == 300 - comment.count("<details>")
    assert comment.count("<details>") == comment.count("</details>")


@settings(deadline=None, max_examples=60)
@given(st.integers(2500, 12_000), COUNTS, COUNTS, COUNTS, COUNTS, TEXTS, st.integers(0, 3), st.integers(0, 40))
def test_no_comment_is_too_long(
    most: int, added: int, changed: int, removed: int, tags: int, text: str, problems: int, differences: int
) -> None:
    review = _review(
        added=tuple(_run(each, text) for each in range(added)),
        changed=tuple(_run(each, text, problems=problems) for each in range(changed)),
        removed=tuple(_named(each, text) for each in range(removed)),
        again=tuple(_run(each, text) for each in range(removed)),
        same_inputs=tuple((_named(each, text), _named(each + 1)) for each in range(removed)),
        tags=tuple(TagChange(text, text, _id(2), text, "2", _comparison(differences)) for _ in range(tags)),
    )
    assert len(review_markdown(review, most).encode()) <= most


@pytest.mark.parametrize("text", ["@someone", "a@b.example", "http://a.example", "www.a.example", "<b>", "a|b"])
def test_a_name_is_never_markup(text: str) -> None:
    review = _review(added=(_run(1, text),), tags=(TagChange(text, None, text, "", text),), removed=(_named(2, text),))
    assert text not in review_markdown(review)


def test_text_that_is_not_printable_is_written_out() -> None:
    name = "a\x1b[31mb\u202ec\nd\udcff"
    comment = review_markdown(_review(added=(_run(1, name),)))
    assert "a\\x1b[31mb\\u202ec\\nd\\udcff" in html.unescape(comment)
    assert all(char.isprintable() for char in comment.replace("\n", ""))
