"""The output of a command on a terminal: harmless, however it is cut into chunks, and with nothing left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exprec.cli.screen import ScreenOutput, screen_json
from exprec.recorder.diagnostics import visible

RED, BOLD, END = "\x1b[31m", "\x1b[1m", "\x1b[0m"
SAFE_STYLE = re.compile(r"\x1b\[[0-9;]*m")
BYTES = st.binary() | st.text(
    st.sampled_from("a\n\r\t\b\x1b[]031;mK?\x07\x9b\x85é字⚠👩🔬\u200d\ufe0f\u202e\u115f\\")
).map(str.encode)


def _shown(*chunks: bytes, color: bool = True) -> str:
    screen = ScreenOutput(color=color)
    return b"".join([*map(screen.feed, chunks), screen.close()]).decode()


def _split(data: bytes, places: Sequence[int]) -> list[bytes]:
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(cuts)]


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"plain \xe2\x86\x92 text\n\tindented\n", "plain → text\n\tindented\n"),
        (b"\x1b[2Jclear\n", "\\x1b[2Jclear\n"),
        (b"\x1b]52;c;AA==\x07", "\\x1b]52;c;AA==\\x07"),
        (b"\x1b]8;;http://x\x1b\\link", "\\x1b]8;;http://x\\x1b\\link"),
        (b"C1 \x9b2J \xc2\x9b2J", "C1 \\x9b2J \\x9b2J"),
        (b"not UTF-8 \xff\xe2\x86 end", "not UTF-8 \\xff\\xe2\\x86 end"),
        (b"cut \xe2\x86", "cut \\xe2\\x86"),
        (b"windows\r\nlines\r\n", "windows\nlines\n"),
        (b" 10%\r 20%\rdone\n", " 10%\\r\n 20%\\r\ndone\n"),
        (b"safe\b\b\b\bevil", "safe\\x08\\x08\\x08\\x08evil"),
        ("a\u202eb\u115fc\u200bd\u00a0e\ue000f".encode(), "a\\u202eb\\u115fc\\u200bd\\xa0e\\ue000f"),
    ],
)
def test_what_is_seen_of_an_output(output: bytes, shown: str) -> None:
    assert _shown(output) == shown
    assert _shown(output, color=False) == shown


@pytest.mark.parametrize(
    "emoji", ["⚠\ufe0f", "❤\ufe0f\u200d🔥", "👩\u200d🔬", "👍🏽", "1\ufe0f\u20e3", "👩🏽\u200d🚀 🏳\ufe0f\u200d🌈"]
)
def test_emoji_stay(emoji: str) -> None:
    assert _shown(f"{emoji}\n".encode()) == f"{emoji}\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\ufe0fb", "a\\ufe0fb"),
        ("⚠\ufe0f\ufe0f", "⚠\ufe0f\\ufe0f"),
        ("a\u200db", "a\\u200db"),
        ("👩\u200d\u200d🔬", "👩\\u200d\\u200d🔬"),
        ("🏴\U000e0067\U000e007f", "🏴\\U000e0067\\U000e007f"),
        ("7\ufe0f", "7\\ufe0f"),
    ],
)
def test_selectors_and_joiners_elsewhere_are_seen(text: str, shown: str) -> None:
    assert _shown(text.encode()) == shown


@pytest.mark.parametrize("style", ["", "0", "1", "01;31", "3;4", "36", "39", "91", "22;39"])
def test_simple_styles_stay_and_are_closed(style: str) -> None:
    start = f"\x1b[{style}m"
    assert _shown(f"{start}text".encode()) == f"{start}text{'' if style in ('', '0') else END}"
    assert _shown(f"{start}text".encode(), color=False) == f"\\x1b[{style}mtext"


@pytest.mark.parametrize(
    "style",
    ["8", "30", "37", "90", "97", "40", "7", "5", "31;8", "38;5;0", "48;2;0;0;0", "1:2", "9" * 40, "?25l", ">1", "31"],
)
def test_no_style_hides_text(style: str) -> None:
    """Nor does any other sequence that begins in the same way."""
    end = "h" if style == "31" else "m"
    assert _shown(f"\x1b[{style}{end}text".encode()) == f"\\x1b[{style}{end}text"


def test_a_style_ends_with_its_line() -> None:
    assert _shown(f"{RED}a{END}b\n".encode()) == f"{RED}a{END}b\n"
    assert _shown(f"{RED}{BOLD}a\nb\n{RED}c\r\nd{RED}\re".encode()) == (
        f"{RED}{BOLD}a{END}\nb\n{RED}c{END}\nd{RED}\\r{END}\ne"
    )


def test_the_beginning_of_a_very_long_line_is_printed() -> None:
    screen = ScreenOutput(color=True)
    assert len(screen.feed(b"x" * 3_000_000)) == 2 * 2**20
    assert len(screen.close()) == 3_000_000 - 2 * 2**20


@given(BYTES, st.lists(st.integers(0, 100)), st.booleans())
@example(b"\x1b[31m", [1, 2, 3, 4], True)
@example(b"\r\n", [1], True)
def test_chunks_change_nothing(output: bytes, places: list[int], color: bool) -> None:
    assert _shown(*_split(output, places), color=color) == _shown(output, color=color)


@given(BYTES, st.booleans())
def test_no_output_controls_the_terminal_or_hides(output: bytes, color: bool) -> None:
    shown = _shown(output, color=color)
    if color:
        for line in shown.split("\n"):
            assert SAFE_STYLE.findall(line)[-1:] in ([], ["\x1b[m"], ["\x1b[0m"], ["\x1b[00m"])
        shown = SAFE_STYLE.sub("", shown)
    assert "\x1b" not in shown
    assert visible(shown, keep="\n\t\ufe0f\u200d", quoted=True) == shown
    for found in re.finditer("[\ufe0f\u200d]", shown):
        assert not visible(shown[found.start() - 1]).isascii(), "an emoji is before it"


@pytest.mark.parametrize(
    ("line", "shown"), [(b'{"a":1}\n', b'{"a":1}\n'), ('"\x9b\u115f é"\n'.encode(), '"\\u009b\\u115f é"\n'.encode())]
)
def test_lines_of_json(line: bytes, shown: bytes) -> None:
    assert screen_json(line) == shown
