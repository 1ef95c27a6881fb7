"""Equal events of two logs are skipped, wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest

from exprec.recorder.diff.align import Aligned, EqualRun, Pair, align
from exprec.recorder.diff.log_streams import LogStreams
from exprec.recorder.diff.runs import diff
from exprec.recorder.errors import Damaged
from exprec.recorder.format import canonical_json
from exprec.recorder.store.run_directory import RunDirectory
from tests.fixtures.diffs import Json, event


def _epochs(number: int, iteration: Callable[[int], int]) -> list[Json]:
    return [event("epoch", iteration(place), loss=place / 7) for place in range(number)]


_OUTSIDE = _epochs(2000, lambda _: 0)
_INSIDE = _epochs(2000, lambda place: 1 + place // 8)


def _written(folder: Path, events: list[Json]) -> RunDirectory:
    folder.mkdir()
    (folder / "config.json").write_bytes(b"{}\n")
    lines = (canonical_json.encode({**each, "seq": seq}) for seq, each in enumerate(events))
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    return RunDirectory(folder)


def _aligned(folder: Path, old: list[Json], new: list[Json]) -> list[Aligned]:
    return list(align(LogStreams(_written(folder / "old", old), _written(folder / "new", new))))


def _count_pairs(aligned: list[Aligned]) -> int:
    return sum(isinstance(each, Pair) for each in aligned)


@pytest.fixture(params=[_OUTSIDE, _INSIDE], ids=["outside", "inside"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Json]:
    monkeypatch.setattr("exprec.recorder.format.lines.CHUNK_BYTES", 4096)
    found: list[Json] = request.param
    return found


def test_equal_logs_are_skipped(tmp_path: Path, log: list[Json]) -> None:
    aligned = _aligned(tmp_path, log, log)
    assert _count_pairs(aligned) == 0
    assert sum(len(each) for each in aligned if isinstance(each, EqualRun)) == len(log)


def test_one_event_that_differs_is_compared_alone(tmp_path: Path, log: list[Json]) -> None:
    new = [*log[:900], {**log[900], "loss": "none, as the step is skipped"}, *log[901:]]
    (pair,) = (each for each in _aligned(tmp_path, log, new) if isinstance(each, Pair))
    # Its ordinal counts what was skipped.
    assert pair.ordinal == (900 if log is _OUTSIDE else 900 % 8)


@pytest.mark.parametrize("more", [1, 3])
def test_equal_events_after_additional_ones_are_skipped(tmp_path: Path, log: list[Json], more: int) -> None:
    added = [event("note", log[900]["iteration"], agent_id=str(each)) for each in range(more)]
    longer = [*log[:900], *added, *log[900:]]
    for name, old, new in (("more", log, longer), ("less", longer, log)):
        (tmp_path / name).mkdir()
        assert _count_pairs(_aligned(tmp_path / name, old, new)) <= 60


def test_an_equal_line_that_is_not_an_event_is_refused_as_in_a_log_read_alone(tmp_path: Path, log: list[Json]) -> None:
    old, new = (_written(tmp_path / name, log) for name in ("old", "new"))
    for run in (old, new):
        data = (run.path / "events.jsonl").read_bytes()
        (run.path / "events.jsonl").write_bytes(data.replace(b'"seq":900}', b'"seq":9OO}'))
    with pytest.raises(Damaged) as refused:
        diff(old, new)
    with pytest.raises(Damaged) as alone:
        list(old.reader().entries())
    assert str(refused.value) == str(alone.value)


def test_a_line_longer_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exprec.recorder.format.lines.CHUNK_BYTES", 10)
    log = list(chain.from_iterable((event("note", 0, text="x" * size), event("epoch", 0)) for size in (1, 500, 3)))
    assert _count_pairs(_aligned(tmp_path, log, log)) == 0
