"""A file of records that is written once more: the same bytes must come again before it grows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exprec.recorder.errors import NotAsRecorded
from exprec.recorder.format import lines as lines_module
from exprec.recorder.fs import durable
from exprec.recorder.store.sinks import ContinuedSink

LINES = [b"first\n", b"2\n", b"the third\n"]
RECORDED = b"".join(LINES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    # A crash left half a line, which is no record.
    path.write_bytes(RECORDED + b"fou")
    return path


@pytest.fixture
def sink(path: Path) -> ContinuedSink:
    return ContinuedSink(durable.AppendOnlyFile(path, len(RECORDED)))


def test_what_comes_again_stands_where_it_stood_and_then_the_file_grows(path: Path, sink: ContinuedSink) -> None:
    assert [sink.append(line) for line in LINES] == [0, 6, 8]
    assert path.read_bytes() == RECORDED + b"fou"
    assert sink.append(b"fourth\n") == 18
    assert sink.append(b"5\n") == 25
    sink.sync()
    sink.close()
    assert path.read_bytes() == RECORDED + b"fourth\n5\n"


def test_the_next_recorded_line_is_known_until_there_is_none(sink: ContinuedSink) -> None:
    for line in LINES:
        assert sink.next_recorded() == line
        sink.append(line)
    assert sink.next_recorded() is None
    sink.append(b"fourth\n")
    assert sink.next_recorded() is None


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 100])
def test_a_recorded_line_may_be_longer_than_what_is_read_at_once(
    sink: ContinuedSink, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", size)
    for line in LINES:
        assert sink.next_recorded() == line
        sink.append(line)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("change", [lambda line: b"o\n", lambda line: line[:-1] + b" more\n"])
def test_what_differs_is_refused_each_time_and_changes_nothing(
    path: Path, sink: ContinuedSink, number: int, change: Callable[[bytes], bytes]
) -> None:
    for line in LINES[: number - 1]:
        sink.append(line)
    other = change(LINES[number - 1])
    for _ in range(2):
        with pytest.raises(NotAsRecorded) as raised:
            sink.append(other)
        error = raised.value
        assert (error.path, error.line, error.recorded, error.found) == (path, number, LINES[number - 1], other)
    for line in LINES[number - 1 :]:
        sink.append(line)
    assert path.read_bytes() == RECORDED + b"fou"


def test_only_what_came_again_can_be_read(sink: ContinuedSink) -> None:
    assert sink.read(0, 100) == b""
    sink.append(LINES[0])
    assert sink.read(0, 100) == LINES[0]
    assert sink.read(2, 2) == b"rs"
    assert sink.read(6, 100) == sink.read(7, 100) == b""
    sink.append(LINES[1])
    assert sink.read(3, 100) == b"st\n2\n"
    sink.append(LINES[2])
    sink.append(b"fourth\n")
    assert sink.read(0, 100) == RECORDED + b"fourth\n"
    assert sink.read(17, 3) == b"\nfo"
    assert sink.read(25, 1) == b""


def test_without_records_it_grows_at_once(tmp_path: Path) -> None:
    sink = ContinuedSink(durable.AppendOnlyFile(tmp_path / "new.jsonl"))
    assert sink.next_recorded() is None
    assert sink.append(b"1\n") == 0
    assert sink.read(0, 9) == b"1\n"
    sink.close()
