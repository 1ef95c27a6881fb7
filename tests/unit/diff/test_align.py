"""What belongs together in two streams of records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exprec.recorder.diff import unmatched
from exprec.recorder.diff.align import Parting, Stretch, paired
from exprec.recorder.diff.unmatched import Pair, Record


def _stream(text: str, *, reads: list[int] | None = None) -> Iterator[Record]:
    """Records from `1a 1b 0x`: their iteration and their key."""
    for position, word in enumerate(text.split()):
        if reads is not None:
            reads.append(position)
        yield Record(int(word[0]), (word[1:],), position, {}, 1)


def _shown(old: str, new: str) -> list[str]:
    shown = []
    for found in paired(_stream(old), _stream(new)):
        assert not isinstance(found, Stretch)
        sides = ["-" if side is None else f"{side.iteration}{side.key[0]}@{side.position}" for side in found[:2]]
        marks = "parting" if isinstance(found, Parting) else f"#{found.ordinal}{' alone' if found.is_alone else ''}"
        shown.append(f"{sides[0]} {sides[1]} {marks}")
    return shown


def test_equal_streams_are_paired_in_step() -> None:
    assert _shown("0s 1a 1b 2a 0e", "0s 1a 1b 2a 0e") == [
        "0s@0 0s@0 #0",
        "1a@1 1a@1 #0",
        "1b@2 1b@2 #0",
        "2a@3 2a@3 #0",
        "0e@4 0e@4 #0",
    ]


def test_a_record_more_shifts_nothing() -> None:
    assert _shown("1a 1b 1b 2a", "1a 1x 1b 1b 2a") == [
        "1a@0 1a@0 #0",
        "1b@1 1x@1 parting",
        "1b@1 1b@2 #0",
        "1b@2 1b@3 #1",
        "- 1x@1 #0",
        "2a@3 2a@4 #0",
    ]


def test_an_iteration_more_is_alone_and_the_end_finds_its_partner() -> None:
    assert _shown("1a 0e", "1a 2a 2b 0e") == [
        "1a@0 1a@0 #0",
        "0e@1 2a@1 parting",
        "- 2a@1 #0 alone",
        "- 2b@2 #0 alone",
        "0e@1 0e@3 #0",
    ]


def test_a_stream_that_ends_early() -> None:
    assert _shown("1a", "1a 1b 0e") == ["1a@0 1a@0 #0", "- 1b@1 parting", "- 1b@1 #0", "- 0e@2 #0 alone"]


def test_records_outside_of_iterations_meet_wherever_they_stand() -> None:
    assert _shown("0x 1a 2a", "1a 2a 0x") == [
        "0x@0 1a@0 parting",
        "1a@1 1a@0 #0",
        "2a@2 2a@1 #0",
        "0x@0 0x@2 #0",
    ]


def test_streams_are_read_in_step() -> None:
    reads: list[int] = []
    text = " ".join(f"{number}a {number}b" for number in range(1, 10))
    pairs = paired(_stream(text, reads=reads), _stream(text))
    next(pairs)
    assert len(reads) <= 2


def test_what_waits_too_long_is_taken_to_have_no_partner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched, "MOST_WAITING_BYTES", 2)
    shown = _shown("1a 1b 1c 1d", "1w 1x 1y 1a")
    assert "1a@0 - #0" in shown
    assert "- 1a@3 #0" in shown
    assert len([each for each in shown if not each.endswith("parting")]) == 8


def test_a_pair_names_its_ordinal() -> None:
    found = [each for each in paired(_stream("1a 1a 2a"), _stream("1a 1a 2a")) if isinstance(each, Pair)]
    assert [pair.ordinal for pair in found] == [0, 1, 0]
