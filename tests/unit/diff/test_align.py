"""Which records of two streams belong together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exprec.recorder.diff import align as align_module
from exprec.recorder.diff.align import (
    NEW,
    Aligned,
    EqualRun,
    FirstDivergence,
    Pair,
    Record,
    RecordStreams,
    Unmatched,
    align,
)


def _stream(text: str, *, reads: list[int] | None = None) -> Iterator[Record]:
    """Records from `1a 1b 0x`: their iteration and their key."""
    for position, word in enumerate(text.split()):
        if reads is not None:
            reads.append(position)
        yield Record(int(word[0]), (word[1:],), position, {}, 1)


def _shown(old: str, new: str) -> list[str]:
    return [_line(aligned) for aligned in align(RecordStreams(_stream(old), _stream(new)))]


def _line(aligned: Aligned) -> str:
    assert not isinstance(aligned, EqualRun)
    if isinstance(aligned, Unmatched):
        mark = f"#{aligned.ordinal}{' alone' if aligned.lacks_iteration else ''}"
        sides = [None, aligned.record] if aligned.side == NEW else [aligned.record, None]
    else:
        mark = "diverged" if isinstance(aligned, FirstDivergence) else f"#{aligned.ordinal}"
        sides = [aligned.old, aligned.new]
    shown = ["-" if record is None else f"{record.iteration}{record.key[0]}@{record.position}" for record in sides]
    return " ".join([*shown, mark])


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
        "1b@1 1x@1 diverged",
        "1b@1 1b@2 #0",
        "1b@2 1b@3 #1",
        "- 1x@1 #0",
        "2a@3 2a@4 #0",
    ]


def test_an_iteration_more_is_alone_and_the_end_finds_its_partner() -> None:
    assert _shown("1a 0e", "1a 2a 2b 0e") == [
        "1a@0 1a@0 #0",
        "0e@1 2a@1 diverged",
        "- 2a@1 #0 alone",
        "- 2b@2 #0 alone",
        "0e@1 0e@3 #0",
    ]


def test_a_stream_that_ends_early() -> None:
    assert _shown("1a", "1a 1b 0e") == ["1a@0 1a@0 #0", "- 1b@1 diverged", "- 1b@1 #0", "- 0e@2 #0 alone"]


def test_records_outside_of_iterations_meet_wherever_they_stand() -> None:
    assert _shown("0x 1a 2a", "1a 2a 0x") == [
        "0x@0 1a@0 diverged",
        "1a@1 1a@0 #0",
        "2a@2 2a@1 #0",
        "0x@0 0x@2 #0",
    ]


def test_streams_are_read_in_step() -> None:
    reads: list[int] = []
    text = " ".join(f"{number}a {number}b" for number in range(1, 10))
    aligned = align(RecordStreams(_stream(text, reads=reads), _stream(text)))
    next(aligned)
    assert len(reads) <= 2


def test_what_waits_too_long_is_taken_to_have_no_partner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align_module, "MAX_BUFFERED_BYTES", 2)
    shown = _shown("1a 1b 1c 1d", "1w 1x 1y 1a")
    assert "1a@0 - #0" in shown
    assert "- 1a@3 #0" in shown
    assert len([each for each in shown if not each.endswith("diverged")]) == 8


def test_a_pair_names_its_ordinal() -> None:
    pairs = [each for each in align(RecordStreams(_stream("1a 1a 2a"), _stream("1a 1a 2a"))) if isinstance(each, Pair)]
    assert [pair.ordinal for pair in pairs] == [0, 1, 0]
