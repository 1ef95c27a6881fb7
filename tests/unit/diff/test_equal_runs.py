"""What two logs have alike is passed over, wherever it stands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest

from exprec.recorder.diff import equal_runs
from exprec.recorder.diff.align import Parting, Stretch, paired
from exprec.recorder.diff.equal_runs import SideBySide
from exprec.recorder.diff.runs import compare_runs
from exprec.recorder.diff.unmatched import Pair
from exprec.recorder.errors import Damaged
from exprec.recorder.format import canonical_json
from exprec.recorder.store.run_directory import RunDirectory
from tests.fixtures.diffs import Json, event

Found = Pair | Parting | Stretch


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


def _found(folder: Path, old: list[Json], new: list[Json]) -> list[Found]:
    logs = SideBySide(_written(folder / "old", old), _written(folder / "new", new))
    return list(paired(logs.old(), logs.new(), logs))


def _is_passed_over(found: list[Found], *, but: int) -> bool:
    """Whether no more pairs than so many were made."""
    return sum(isinstance(each, Pair) for each in found) <= but


@pytest.fixture(params=[_OUTSIDE, _INSIDE], ids=["outside", "inside"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Json]:
    monkeypatch.setattr(equal_runs, "CHUNK_BYTES", 4096)
    found: list[Json] = request.param
    return found


def test_equal_logs_are_passed_over(tmp_path: Path, log: list[Json]) -> None:
    found = _found(tmp_path, log, log)
    assert _is_passed_over(found, but=0)
    assert sum(len(each.lines) for each in found if isinstance(each, Stretch)) == len(log)


def test_one_event_that_differs_is_compared_alone(tmp_path: Path, log: list[Json]) -> None:
    new = [*log[:900], {**log[900], "loss": "none, as the step is skipped"}, *log[901:]]
    found = _found(tmp_path, log, new)
    (pair,) = (each for each in found if isinstance(each, Pair))
    # Its ordinal counts what was passed over.
    assert pair.ordinal == (900 if log is _OUTSIDE else 900 % 8)


@pytest.mark.parametrize("more", [1, 3])
def test_behind_events_more_it_goes_on(tmp_path: Path, log: list[Json], more: int) -> None:
    added = [event("note", log[900]["iteration"], agent_id=str(each)) for each in range(more)]
    longer = [*log[:900], *added, *log[900:]]
    for name, old, new in (("more", log, longer), ("less", longer, log)):
        (tmp_path / name).mkdir()
        assert _is_passed_over(_found(tmp_path / name, old, new), but=60)


def test_an_equal_line_that_is_no_event_is_refused_as_in_a_log_read_alone(tmp_path: Path, log: list[Json]) -> None:
    old, new = (_written(tmp_path / name, log) for name in ("old", "new"))
    for run in (old, new):
        data = (run.path / "events.jsonl").read_bytes()
        (run.path / "events.jsonl").write_bytes(data.replace(b'"seq":900}', b'"seq":9OO}'))
    with pytest.raises(Damaged) as refused:
        compare_runs(old, new)
    with pytest.raises(Damaged) as alone:
        list(old.reader().entries())
    assert str(refused.value) == str(alone.value)


def test_a_line_longer_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal_runs, "CHUNK_BYTES", 10)
    log = list(chain.from_iterable((event("note", 0, text="x" * size), event("epoch", 0)) for size in (1, 500, 3)))
    assert _is_passed_over(_found(tmp_path, log, log), but=0)
