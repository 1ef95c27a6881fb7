"""A list reads each run in few steps, and what is not as it should be once more with care: the rows are the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.events import common, optimization
from exprec.recorder.query import RunRow, list_runs, listing
from exprec.recorder.query.index import HEAD_BYTES, NoSummary, SummaryReader
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.store import Store
from tests.fixtures.events import EXAMPLES, OBSERVATION
from tests.fixtures.runs import seal


def record(store: Store, description: str = "") -> Path:
    """An experiment of one iteration; returns the folder of its run."""
    provider = LiveStateProvider("a", recording=store.begin("a", "generic", {"a": description}))
    start = {**EXAMPLES[optimization.EXPERIMENT_START.event_type][1], "description": description}
    provider.record_event(0, optimization.EXPERIMENT_START.event_type, start)
    provider.record_event(
        1, optimization.ITERATION_START.event_type, EXAMPLES[optimization.ITERATION_START.event_type][1]
    )
    provider.set_final_result(500, 499, True, "stable")
    return _sealed(provider)


def record_command(store: Store, end: dict[str, Any], message: str = "") -> Path:
    provider = LiveStateProvider("c", "command", recording=store.begin("c", "command", {"c": message, "end": end}))
    provider.record_event(0, common.COMMAND_END.event_type, end)
    if end["exit_status"] == 0:
        provider.record_event(0, common.RUN_END.event_type, {})
    else:
        provider.record_event(0, common.EXPERIMENT_FAILED.event_type, {"error_type": "Signal", "message": message})
    return _sealed(provider)


def _sealed(provider: LiveStateProvider) -> Path:
    sealed = seal(provider)
    return sealed.path


def rows(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of a store, and those that reading with care alone gives."""
    quick = list_runs(store)

    def refused(*_: object) -> None:
        raise NoSummary

    with monkeypatch.context() as patched:
        patched.setattr(SummaryReader, "read", refused)
        careful = list_runs(store)
    return _plain(quick), _plain(careful)


def _plain(found: list[RunRow]) -> list[dict[str, Any]]:
    return [{**row.as_dict(), "kind": type(row.problem)} for row in found]


def test_a_sound_run_takes_the_fast_path(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would take as long as reading with care, and no other test would tell."""
    run = record(store)
    record_command(store, {"exit_status": 3, "signal": None}, "x" * 200_000)
    record_command(store, {"exit_status": None, "signal": "SIGKILL"})
    record_command(store, {"exit_status": 0, "signal": None})
    for day in (3, 1, 2):
        store.attest(run.name, {**OBSERVATION, "started_at": f"2026-01-0{day}T00:00:00+00:00"})
    (store.path / "attestations" / run.name / ".draft").write_bytes(b"{")
    quick, careful = rows(store, monkeypatch)
    assert quick == careful
    (row,) = (each for each in quick if each["run_id"] == run.name)
    assert (row["recorded_at"], row["executions"], row["first_cost"]) == ("2026-01-01T00:00:00+00:00", 3, 7000)
    monkeypatch.setattr(listing, "_checked_fields", lambda *_: pytest.fail("it was read with care"))
    assert _plain(list_runs(store)) == quick


def test_more_of_a_log_is_read_where_its_beginning_does_not_tell(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record(store, "x" * HEAD_BYTES)
    found = SummaryReader(store.path).read(run.name)
    assert found.is_cut
    with pytest.raises(NoSummary):
        list(found.entries())
    quick, careful = rows(store, monkeypatch)
    assert quick == careful
    assert quick[0]["first_cost"] == 7000


def _changed_head(**changes: Any) -> Callable[[Path, Path], None]:
    def damage(run: Path, _: Path) -> None:
        head = json.loads((run / "run.json").read_bytes())
        (run / "run.json").write_text(json.dumps({**head, **changes}))

    return damage


def _written(name: str, content: bytes) -> Callable[[Path, Path], None]:
    def damage(run: Path, attestation: Path) -> None:
        (attestation if name == "attestation" else run / name).write_bytes(content)

    return damage


def _instead(name: str, place: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    """Something else in the place of a file."""

    def damage(run: Path, attestation: Path) -> None:
        path = attestation if name == "attestation" else run / name
        path.rename(run.parent / "elsewhere")
        place(path)

    return damage


def _line(old: bytes, new: bytes) -> Callable[[Path, Path], None]:
    def damage(run: Path, _: Path) -> None:
        log = run / "events.jsonl"
        assert old in log.read_bytes()
        log.write_bytes(log.read_bytes().replace(old, new))

    return damage


def _no_attestations(_: Path, attestation: Path) -> None:
    shutil.rmtree(attestation.parent)


def _file_of_attestations(_: Path, attestation: Path) -> None:
    shutil.rmtree(attestation.parent)
    attestation.parent.write_bytes(b"")


DAMAGE: dict[str, Callable[[Path, Path], None]] = {
    "no attestations": _no_attestations,
    "a file of attestations": _file_of_attestations,
    "log is cut": lambda run, _: os.truncate(run / "events.jsonl", 100),
    "log is gone": lambda run, _: (run / "events.jsonl").unlink(),
    "head is gone": lambda run, _: (run / "run.json").unlink(),
    "head lists no log": _changed_head(files={}),
    "newer": _changed_head(format=2),
    "no counts": _changed_head(counts={}),
    "other name": _changed_head(name=7),
    "torn": _line(b"}\n", b"} "),
    "no JSON": _line(b'"seq":0', b'"seq"!0'),
    "other number": _line(b'"seq":1', b'"seq":9'),
    "no event": _line(b'"iteration":1', b'"iteration_":'),
    "not UTF-8": _line(b"two banks", b"two bank\xff"),
}
for _name in ("run.json", "events.jsonl", "attestation"):
    DAMAGE[f"{_name} is empty"] = _written(_name, b"")
    DAMAGE[f"{_name} is a list"] = _written(_name, b"[]\n")
    DAMAGE[f"{_name} is no JSON"] = _written(_name, b"<<<<<<< ours\n")
    DAMAGE[f"{_name} is a pipe"] = _instead(_name, os.mkfifo)
    DAMAGE[f"{_name} is a folder"] = _instead(_name, os.mkdir)
    DAMAGE[f"{_name} is a link"] = _instead(_name, lambda path: path.symlink_to(path.parents[1] / "elsewhere"))


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_wrong_is_told_as_reading_with_care_tells_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    run = record(store)
    attestation = store.attest(run.name, OBSERVATION)
    good = record(store, "another")
    DAMAGE[damage](run, attestation)
    quick, careful = rows(store, monkeypatch)
    assert quick == careful
    problems = {row["run_id"]: row["problem"] for row in quick}
    assert problems[good.name] is None
    assert (problems[run.name] is None) == (damage == "no attestations")
