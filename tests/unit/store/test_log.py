"""The log: append-only, ordered, and read back as it was written, whole lines only."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import Damaged, InvalidEvent, NotEncodable, SecretFound, StorageFailure
from exprec.recorder.events import common, optimization
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.format import lines as lines_module
from exprec.recorder.fs import durable
from exprec.recorder.schema import Validator
from exprec.recorder.store import file_tree
from exprec.recorder.store.file_tree import FileSource
from exprec.recorder.store.log import EventLog, ExchangeLog, ExchangeReader, LogReader
from tests.fixtures.events import EVENT_TYPES, EXAMPLES, EXCHANGE, exchange, numbered_exchange


def _fill(log: EventLog) -> list[bytes]:
    return [log.append(kind, *EXAMPLES[kind]).line for kind in EVENT_TYPES]


def test_a_line_is_the_canonical_event_and_comes_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(durable.AppendOnlyFile(path))
    lines = _fill(log)
    assert path.read_bytes() == b"".join(lines)
    back = list(log.entries())
    assert [entry.line for entry in back] == lines
    for seq, entry in enumerate(back):
        assert entry.event["seq"] == seq
        assert canonical_json.encode(entry.event) == entry.line == path.read_bytes()[entry.start : entry.end]


def test_each_event_is_one_write_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    real = os.write

    def write(handle: int, data: bytes) -> int:
        written.append(bytes(data))
        return real(handle, data)

    monkeypatch.setattr("os.write", write)
    log = EventLog(durable.AppendOnlyFile(tmp_path / "events.jsonl"))
    lines = _fill(log)
    assert written == lines


def test_iterations_do_not_go_back(tmp_path: Path) -> None:
    log = EventLog()
    _, fields = EXAMPLES[optimization.ITERATION_START.event_type]
    log.append(optimization.ITERATION_START.event_type, 2, fields)
    log.append(common.EXPERIMENT_FAILED.event_type, *EXAMPLES[common.EXPERIMENT_FAILED.event_type])
    with pytest.raises(InvalidEvent, match="iteration 1 comes after iteration 2"):
        log.append(optimization.ITERATION_START.event_type, 1, fields)


def test_a_refused_event_leaves_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(durable.AppendOnlyFile(path))
    iteration, fields = EXAMPLES[optimization.LLM_CALL.event_type]
    log.append(optimization.LLM_CALL.event_type, iteration, fields)
    before = path.read_bytes()
    with pytest.raises(NotEncodable, match="latency_seconds: nan"):
        log.append(optimization.LLM_CALL.event_type, iteration, {**fields, "latency_seconds": float("nan")})
    with pytest.raises(InvalidEvent, match="outcome: must be one of"):
        log.append(optimization.LLM_CALL.event_type, iteration, {**fields, "outcome": "good"})
    assert path.read_bytes() == before
    assert log.append(optimization.LLM_CALL.event_type, iteration, fields).event["seq"] == 1


@pytest.mark.parametrize("chunk", [1, 7, 64, 1024 * 1024])
def test_reading_does_not_depend_on_the_size_of_the_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", chunk)
    log = EventLog(durable.AppendOnlyFile(tmp_path / "events.jsonl"))
    lines = _fill(log)
    reader = LogReader(FileSource(tmp_path / "events.jsonl"))
    entries = list(reader.entries())
    assert [entry.line for entry in entries] == lines
    assert reader.torn_bytes == 0
    middle = entries[2:5]
    assert list(reader.entries(middle[0].start, middle[-1].end)) == middle


def test_a_torn_line_at_every_byte_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = _fill(EventLog(durable.AppendOnlyFile(path)))
    data = b"".join(lines)
    for cut in range(len(data) - 800, len(data) + 1):
        path.write_bytes(data[:cut])
        reader = LogReader(FileSource(path))
        kept = [entry.line for entry in reader.entries()]
        assert kept == lines[: len(kept)]
        assert sum(map(len, kept)) + (reader.torn_bytes or 0) == cut


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
    monkeypatch.setattr(layout, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 64)
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
    log = EventLog(durable.AppendOnlyFile(path))
    kind = optimization.ITERATION_START.event_type
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
    log = EventLog(durable.AppendOnlyFile(tmp_path / "events.jsonl"))
    lines = _fill(log)
    assert (tmp_path / "events.jsonl").read_bytes() == b"".join(lines)


def test_exchanges_are_numbered_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "exchanges.jsonl"
    log = ExchangeLog(durable.AppendOnlyFile(path))
    assert not path.exists()
    assert [log.append(EXCHANGE), log.append(EXCHANGE)] == [0, 1]
    assert [canonical_json.decode(line)["index"] for line in path.read_bytes().splitlines()] == [0, 1]
    with pytest.raises(InvalidEvent, match=r"origin\.messages\[0\]\.role"):
        log.append(exchange(messages=[{"role": "robot", "content": ""}]))
    assert log.count == 2


def test_what_is_refused_is_named() -> None:
    log = EventLog()
    kind = optimization.ITERATION_START.event_type
    _, fields = EXAMPLES[kind]
    log.append(kind, 2, fields)
    with pytest.raises(InvalidEvent) as wrong:
        log.append(kind, 2, {**fields, "total_cost": "much"})
    with pytest.raises(InvalidEvent) as early:
        log.append(kind, 1, fields)
    with pytest.raises(InvalidEvent) as unknown:
        log.append("measurement", 2, {})
    with pytest.raises(InvalidEvent) as refused:
        ExchangeLog().append({})
    found = [(raised.value.event_type, raised.value.problems[0]) for raised in (wrong, early, unknown)]
    assert [(type_, problem.path, problem.key) for type_, problem in found] == [
        (kind, ("total_cost",), "total_cost"),
        (kind, ("iteration",), "iteration"),
        ("measurement", ("event_type",), "event_type"),
    ]
    assert found[2][1].message.startswith("unknown event type")
    assert refused.value.event_type == "exchange"
    assert log.schema_names == {f"event.{kind}.v2"}


def test_an_event_may_be_in_any_iteration_that_is_not_over() -> None:
    log = EventLog()
    _, fields = EXAMPLES[optimization.ITERATION_START.event_type]
    seqs = [log.append(optimization.ITERATION_START.event_type, number, fields).event["seq"] for number in (1, 1, 3, 3)]
    assert seqs == [0, 1, 2, 3]


@pytest.mark.parametrize("secret", ["tellnobody", "12345678"])
def test_no_secret_gets_into_the_log(secret: str) -> None:
    guard = SecretGuard({"KEY": secret})
    log, exchanges = EventLog(secrets=guard), ExchangeLog(secrets=guard)
    _, fields = EXAMPLES[common.EXPERIMENT_FAILED.event_type]
    with pytest.raises(SecretFound, match="event experiment_failed: message"):
        log.append(common.EXPERIMENT_FAILED.event_type, 0, {**fields, "message": f"no access with {secret}"})
    with pytest.raises(SecretFound, match="exchange: answer"):
        exchanges.append(exchange(answer=secret))
    assert list(log.entries()) == []
    assert (exchanges.count, exchanges.append(EXCHANGE)) == (0, 0)
    assert log.append(common.EXPERIMENT_FAILED.event_type, 0, fields).event["seq"] == 0


def test_a_schema_is_looked_up_once_for_each_type(monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog()
    asked: list[str] = []
    real = log.types.check

    def check(kind: str) -> tuple[str, Validator] | None:
        asked.append(kind)
        return real(kind)

    monkeypatch.setattr(log.types, "check", check)
    for _ in range(3):
        log.append(common.EXPERIMENT_FAILED.event_type, *EXAMPLES[common.EXPERIMENT_FAILED.event_type])
        log.append(optimization.LLM_CALL.event_type, *EXAMPLES[optimization.LLM_CALL.event_type])
    assert asked == [common.EXPERIMENT_FAILED.event_type, optimization.LLM_CALL.event_type]


@pytest.mark.parametrize("chunk", [1, 7, 64, 1024 * 1024])
@pytest.mark.parametrize(
    "rest", [b"\0", b"\0" * 300, b'{"seq\0\0\0', b"\0\n", b'\0\n{"seq":9}\n\0\n', b"half a line", b""]
)
@pytest.mark.parametrize("kept", [0, 1, 4])
def test_where_power_was_lost_the_records_end_before_a_line_with_a_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, rest: bytes, chunk: int
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", chunk)
    path = tmp_path / "events.jsonl"
    lines = _fill(EventLog())[:kept]
    path.write_bytes(b"".join(lines) + rest)
    assert LogReader(FileSource(path), path).torn_bytes is None
    reader = LogReader(FileSource(path), path, ends_at_zero=True)
    assert [entry.line for entry in reader.entries()] == lines
    assert reader.torn_bytes == len(rest)
    if b"\0" in rest and b"\n" in rest:
        # That a run which is sealed has none, its digests say.
        with pytest.raises(Damaged, match="not JSON"):
            list(LogReader(FileSource(path), path).entries())


@pytest.mark.parametrize("chunk", [1, 50, 60])
def test_the_limit_is_that_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(layout, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", chunk)
    path = tmp_path / "events.jsonl"
    lines = [b'{"event_type":"x","iteration":0,"seq":%d}\n' % seq for seq in range(9)]
    path.write_bytes(b"".join(lines) + b"x" * 100)
    reader = LogReader(FileSource(path), path)
    assert [entry.line for entry in reader.entries()] == lines
    assert reader.torn_bytes == 100
    path.write_bytes(b"".join(lines) + b"x" * (101 + chunk))
    with pytest.raises(Damaged) as raised:
        list(LogReader(FileSource(path), path).entries())
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{]\n", "not JSON"),
        (b'{"index":1}\n', "agent_id: this key is required and missing"),
        (canonical_json.encode(numbered_exchange(2)), "index must be 1, not 2"),
    ],
)
def test_what_is_no_exchange_is_damage_with_its_line(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "exchanges.jsonl"
    first = canonical_json.encode(numbered_exchange(0))
    path.write_bytes(first + line)
    found = iter(ExchangeReader(FileSource(path), path))
    assert next(found) == canonical_json.decode(first)
    with pytest.raises(Damaged) as raised:
        next(found)
    assert (raised.value.path, raised.value.line) == (path, 2)
    assert raised.value.reason.startswith(reason)


def test_an_exchange_is_read_again_by_its_index(tmp_path: Path) -> None:
    path = tmp_path / "exchanges.jsonl"
    lines = [canonical_json.encode(numbered_exchange(index, answer="x" * index)) for index in range(3)]
    path.write_bytes(b"".join(lines))
    reader = ExchangeReader(FileSource(path), path)
    for _ in range(2):
        assert [each["index"] for each in reader] == [0, 1, 2]
        assert [reader[index]["answer"]["text"] for index in (2, 0, 1)] == ["xx", "", "x"]
    with pytest.raises(IndexError):
        reader[3]


def test_a_log_begins_with_its_first_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event_type":"x","iteration":0,"seq":1}\n')
    with pytest.raises(Damaged, match="seq must be 0, not 1") as raised:
        list(LogReader(FileSource(path), path).entries())
    assert raised.value.line == 1


def test_exchanges_have_no_zeros_unless_power_may_have_been_lost(tmp_path: Path) -> None:
    path = tmp_path / "exchanges.jsonl"
    path.write_bytes(b"\0\n")
    assert list(ExchangeReader(FileSource(path), path, ends_at_zero=True)) == []
    with pytest.raises(Damaged):
        list(ExchangeReader(FileSource(path), path))


def test_what_cannot_be_read_is_a_failure_of_storage_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure) as missing:
        FileSource(tmp_path / "missing")
    assert missing.value.path == tmp_path / "missing"
    assert isinstance(missing.value.error, FileNotFoundError)
    folder = FileSource(tmp_path)
    with pytest.raises(StorageFailure) as no_file:
        folder.read(0, 1)
    assert no_file.value.path == tmp_path
    assert isinstance(no_file.value.error, IsADirectoryError)


def test_a_file_is_closed_with_whoever_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"123")
    opened: list[int] = []
    real = os.open

    def opening(name: Path, flags: int) -> int:
        opened.append(real(name, flags))
        return opened[-1]

    monkeypatch.setattr("os.open", opening)
    source = FileSource(path)
    monkeypatch.undo()
    assert source.read(0, 3) == b"123"
    del source
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


@pytest.mark.parametrize("size", [0, 1, 4, 9, 10])
def test_a_file_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(file_tree, "_CHUNK_BYTES", 4)
    path = tmp_path / "file"
    data = bytes(range(size))
    path.write_bytes(data)
    pieces = list(FileSource(path).pieces())
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces[:-1]] == [4] * (max(size - 1, 0) // 4)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"event_type":"x","iteration":0,"seq":"1"}\n', "seq must be an integer, not '1'"),
        (b"[1]\n", "an event must be a JSON object"),
        (b'{"event_type":1,"iteration":0,"seq":7}\n', "an event needs event_type and iteration"),
    ],
)
def test_in_the_middle_of_a_log_damage_has_no_line(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "events.jsonl"
    first = b'{"event_type":"x","iteration":0,"seq":0}\n'
    path.write_bytes(first + line)
    with pytest.raises(Damaged) as raised:
        list(LogReader(FileSource(path), path).entries(len(first)))
    assert (raised.value.reason, raised.value.line) == (reason, None)
