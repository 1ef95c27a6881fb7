"""The log: append-only, ordered, and read back as it was written, whole lines only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exprec.recorder import canonical, events, format
from exprec.recorder.errors import Damaged, InvalidEvent, NotEncodable, StorageFailure
from exprec.recorder.files import AppendOnlyFile
from exprec.recorder.store import log as log_module
from exprec.recorder.store.log import EventLog, ExchangeLog, FileSource, LogReader
from tests.event_examples import EXAMPLES, EXCHANGE


def _fill(log: EventLog) -> list[bytes]:
    return [log.append(kind, *EXAMPLES[kind]).line for kind in events.EVENT_TYPES]


def test_a_line_is_the_canonical_event_and_comes_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(AppendOnlyFile(path))
    lines = _fill(log)
    assert path.read_bytes() == b"".join(lines)
    back = list(log.entries())
    assert [entry.line for entry in back] == lines
    for seq, entry in enumerate(back):
        assert entry.event["seq"] == seq
        assert canonical.encode(entry.event) == entry.line == path.read_bytes()[entry.start : entry.end]


def test_each_event_is_one_write_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    real = os.write

    def write(handle: int, data: bytes) -> int:
        written.append(bytes(data))
        return real(handle, data)

    monkeypatch.setattr("os.write", write)
    log = EventLog(AppendOnlyFile(tmp_path / "events.jsonl"))
    lines = _fill(log)
    assert written == lines


def test_iterations_do_not_go_back(tmp_path: Path) -> None:
    log = EventLog()
    _, fields = EXAMPLES[events.ITERATION_START]
    log.append(events.ITERATION_START, 2, fields)
    log.append(events.EXPERIMENT_FAILED, *EXAMPLES[events.EXPERIMENT_FAILED])
    with pytest.raises(InvalidEvent, match="iteration 1 comes after iteration 2"):
        log.append(events.ITERATION_START, 1, fields)


def test_a_refused_event_leaves_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(AppendOnlyFile(path))
    iteration, fields = EXAMPLES[events.LLM_CALL]
    log.append(events.LLM_CALL, iteration, fields)
    before = path.read_bytes()
    with pytest.raises(NotEncodable, match="latency_seconds: nan"):
        log.append(events.LLM_CALL, iteration, {**fields, "latency_seconds": float("nan")})
    with pytest.raises(InvalidEvent, match="outcome: must be one of"):
        log.append(events.LLM_CALL, iteration, {**fields, "outcome": "good"})
    assert path.read_bytes() == before
    assert log.append(events.LLM_CALL, iteration, fields).event["seq"] == 1


@pytest.mark.parametrize("chunk", [1, 7, 64, 1024 * 1024])
def test_reading_does_not_depend_on_the_size_of_the_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(log_module, "_CHUNK_BYTES", chunk)
    log = EventLog(AppendOnlyFile(tmp_path / "events.jsonl"))
    lines = _fill(log)
    reader = LogReader(FileSource(tmp_path / "events.jsonl"))
    entries = list(reader.entries())
    assert [entry.line for entry in entries] == lines
    assert reader.torn_bytes == 0
    middle = entries[2:5]
    assert list(reader.entries(middle[0].start, middle[-1].end)) == middle


def test_a_torn_line_at_every_byte_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = _fill(EventLog(AppendOnlyFile(path)))
    data = b"".join(lines)
    for cut in range(len(data) - 800, len(data) + 1):
        path.write_bytes(data[:cut])
        reader = LogReader(FileSource(path))
        kept = [entry.line for entry in reader.entries()]
        assert kept == lines[: len(kept)]
        assert sum(map(len, kept)) + reader.torn_bytes == cut


DAMAGED = {
    "not JSON": (b'{"seq":\n', "not JSON"),
    "an array": (b"[1]\n", "must be a JSON object"),
    "a gap": (b'{"event_type":"x","iteration":0,"seq":3}\n', "seq must be 1, not 3"),
    "no seq": (b'{"event_type":"x","iteration":0}\n', "seq must be 1"),
    "a seq that is no integer": (b'{"event_type":"x","iteration":0,"seq":1.0}\n', "seq must be 1"),
    "no type": (b'{"iteration":0,"seq":1}\n', "event_type"),
    "no iteration": (b'{"event_type":"x","seq":1}\n', "iteration"),
    "an empty line": (b"\n", "not JSON"),
}


@pytest.mark.parametrize(("line", "reason"), DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_no_event_is_damage_with_its_line(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "events.jsonl"
    first = b'{"event_type":"x","iteration":0,"seq":0}\n'
    path.write_bytes(first + line)
    with pytest.raises(Damaged, match=reason) as raised:
        list(LogReader(FileSource(path), path).entries())
    assert raised.value.line == 2
    assert f"{path}:2: " in str(raised.value)


def test_a_line_beyond_the_limit_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(log_module, "_CHUNK_BYTES", 64)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'"' + b"x" * 1000)
    with pytest.raises(Damaged, match="more than 100 bytes"):
        list(LogReader(FileSource(path), path).entries())


def test_an_event_of_an_unknown_type_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event_type":"from_the_future","iteration":4,"news":[1],"seq":0}\n')
    (entry,) = LogReader(FileSource(path)).entries()
    assert entry.event == {"event_type": "from_the_future", "iteration": 4, "news": [1], "seq": 0}


def test_a_write_that_fails_halfway_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(AppendOnlyFile(path))
    kind = events.ITERATION_START
    log.append(kind, *EXAMPLES[kind])
    whole = path.read_bytes()
    real = os.write
    calls = iter([10])

    def nearly_full(handle: int, data: bytes) -> int:
        for room in calls:
            return real(handle, data[:room])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", nearly_full)
    with pytest.raises(StorageFailure, match="No space left on device"):
        log.append(kind, *EXAMPLES[kind])
    monkeypatch.undo()
    assert path.read_bytes() == whole
    assert log.append(kind, *EXAMPLES[kind]).event["seq"] == 1
    assert [entry.event["seq"] for entry in log.entries()] == [0, 1]


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr("os.write", lambda handle, data: real(handle, data[:7]))
    log = EventLog(AppendOnlyFile(tmp_path / "events.jsonl"))
    lines = _fill(log)
    assert (tmp_path / "events.jsonl").read_bytes() == b"".join(lines)


def test_exchanges_are_numbered_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "exchanges.jsonl"
    log = ExchangeLog(AppendOnlyFile(path))
    assert not path.exists()
    assert [log.append(EXCHANGE), log.append(EXCHANGE)] == [0, 1]
    assert [canonical.decode(line)["index"] for line in path.read_bytes().splitlines()] == [0, 1]
    with pytest.raises(InvalidEvent, match=r"messages\[0\]\.role"):
        log.append({**EXCHANGE, "messages": [{"role": "robot", "content": ""}]})
    assert log.count == 2
