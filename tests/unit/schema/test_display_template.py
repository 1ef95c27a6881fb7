"""Lines of declared types: fields and forms of numbers, and nothing that a hostile log could make of them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprec.recorder.schema.display_template import LONGEST, DisplayTemplate

EVENT = {
    "seq": 3,
    "event_type": "epoch",
    "iteration": 7,
    "loss": 0.31416,
    "steps": 12345,
    "name": "base",
    "good": True,
    "none": None,
    "timing": {"total": 2.5, "parts": [1, 2]},
    "__class__": "a field like any other",
}


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("epoch {iteration}: loss {loss:.3f}", "epoch 7: loss 0.314"),
        ("{loss:%} {loss:.1%} {loss:e} {loss:g}", "31.416000% 31.4% 3.141600e-01 0.31416"),
        ("{steps:,d}|{steps:>8}|{steps:<8}|{steps:^9}|{steps:+d}", "12,345|   12345|12345   |  12345  |+12345"),
        ("{name:>6}|{name:<6}|{name}", "  base|base  |base"),
        ("{good} {none}", "true null"),
        ("{timing.total:.2f} {timing.parts} {timing}", '2.50 [1,2] {"parts":[1,2],"total":2.5}'),
        ("{missing} {timing.missing} {loss.missing} {timing.parts.x}", "– – – –"),
        ("{{{iteration}}} {{}}", "{7} {}"),
        ("no field at all", "no field at all"),
        ("", ""),
        # What is no number is shown as it is where one was expected.
        ("{name:.3f} {good:d} {none:.1f} {timing.parts:,d}", "base true null [1,2]"),
        ("{loss:d}", "0.31416"),
    ],
)
def test_a_template_is_filled_with_the_fields_of_an_event(template: str, line: str) -> None:
    assert DisplayTemplate(template).render(EVENT) == line


def test_its_fields_are_told_in_order() -> None:
    assert DisplayTemplate("{b:.1f} {a} {{c}} {timing.total}").fields == ["b", "a", "timing.total"]


def test_a_name_with_underscores_is_a_field_and_no_attribute() -> None:
    assert DisplayTemplate("{__class__} {seq.__class__} {name.__len__}").render(EVENT) == "a field like any other – –"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("loss {loss", "single '{' at character 6"),
        ("loss}", "single '}' at character 5"),
        ("{loss}}", "single '}' at character 7"),
        ("{{loss}", "single '}' at character 7"),
        ("{}", "single '{' at character 1"),
        ("{0}", "single '{'"),
        ("{loss!r}", "single '{'"),
        ("{timing[total]}", "single '{'"),
        ("{timing.}", "single '{'"),
        ("{loss:{steps}}", "single '{'"),
        ("{loss:999999999}", "cannot write loss as '999999999'"),
        ("{loss:.999999999f}", "cannot write loss as"),
        ("{loss:x>10}", "cannot write loss as"),
        ("{loss:n}", "cannot write loss as"),
        ("{loss:c}", "cannot write loss as"),
        ("{loss:%H:%M}", "cannot write loss as"),
        ("two\nlines", "one line"),
        ("\x1b[31mred", "one line of printable characters"),
        ("a\u2028b", "one line"),
        ("a\u202eb", "one line"),
        ("x" * (LONGEST + 1), "501 characters; 500 are allowed"),
    ],
)
def test_what_is_no_template_is_refused_with_the_reason(template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^(has|must|cannot) ") as caught:
        DisplayTemplate(template)
    assert reason in str(caught.value)


def test_a_hostile_template_is_soon_refused_or_filled() -> None:
    began = time.perf_counter()
    for text in ("{" * (LONGEST - 1), "{a" * (LONGEST // 2), "{a:" + "9" * (LONGEST - 4) + "}", "{a." * (LONGEST // 3)):
        with pytest.raises(ValueError, match=r"single|cannot"):
            DisplayTemplate(text)
    line = DisplayTemplate("{a:99.99f}" * (LONGEST // 10)).render({"a": 1.7e308})
    assert len(line) < 25_000
    assert time.perf_counter() - began < 1


def test_a_long_value_is_cut() -> None:
    line = DisplayTemplate("{text}|{list}").render({"text": "x" * 10_000, "list": list(range(10_000))})
    assert len(line) < 500


def test_a_value_nested_deeper_than_any_that_is_written_is_shown_as_missing() -> None:
    deep: Any = 1
    for _ in range(600):
        deep = [deep]
    assert DisplayTemplate("{deep}").render({"deep": deep}) == "–"


@settings(max_examples=300)
@given(
    st.text(alphabet="{}ab.:<>^+,0129fdge%_ \n", max_size=40),
    st.dictionaries(
        st.sampled_from(["a", "b", "ab", "a_b"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            max_leaves=5,
        ),
    ),
)
def test_any_text_is_refused_or_can_be_filled(text: str, event: dict[str, Any]) -> None:
    try:
        template = DisplayTemplate(text)
    except ValueError:
        return
    assert isinstance(template.render(event), str)
