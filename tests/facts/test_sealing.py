"""The steps of the seal, the effect of a second execution, and the record of each execution."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import InvalidEvent, StorageFailure
from exprec.recorder.events import common, optimization
from exprec.recorder.schema import find_problems
from exprec.recorder.sessions.python import record as record_program
from exprec.recorder.store.store import Store, find_run
from tests.fixtures.cli import exprec
from tests.fixtures.events import EXAMPLES, EXCHANGE
from tests.fixtures.files import files_and_times, read_json
from tests.fixtures.git import git
from tests.fixtures.runs import Run, begin, record, work_folder


class _Steps:
    """Records the operations on the files of a store, in order."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self._root = root
        for name in ("fsync", "rename", "unlink"):
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, step: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def note(target: Any, *rest: Any, **options: Any) -> Any:
            path = self._path_of(target) if isinstance(target, int) else Path(target)
            self.names.append(f"{step} {path.name if path else '?'}")
            return real(target, *rest, **options)

        return note

    def _path_of(self, handle: int) -> Path | None:
        inode = os.fstat(handle).st_ino
        return next((path for path in (self._root, *self._root.rglob("*")) if path.stat().st_ino == inode), None)


@pytest.mark.fact("F45")
def test_config_is_durable_before_the_first_event(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (store.path / ".work").mkdir(exist_ok=True)
    steps = _Steps(store.path, monkeypatch)
    provider = begin(store)
    monkeypatch.undo()
    name = work_folder(provider, store).name
    assert steps.names[:4] == [f"fsync {name}.json", "fsync .work", "fsync config.json", f"fsync {name}"]
    provider.close()


@pytest.mark.fact("F45")
def test_events_of_a_program_are_durable_once_sealed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record_program("train", store=store.path)
    steps = _Steps(store.path, monkeypatch)
    for iteration in (1, 2):
        run.event("epoch", iteration=iteration)
    with pytest.raises(InvalidEvent, match="is a type of exprec's own"):
        run.event(optimization.ITERATION_END.event_type, iteration=2)
    assert steps.names == []
    run.close()
    assert "fsync events.jsonl" in steps.names


@pytest.mark.fact("F45", "F62")
def test_the_steps_of_the_seal(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = begin(store)
    name = work_folder(provider, store).name
    provider.record_exchange(EXCHANGE)
    for kind in (optimization.EXPERIMENT_START.event_type, common.EXPERIMENT_FAILED.event_type):
        provider.record_event(0, kind, EXAMPLES[kind][1])
    steps = _Steps(store.path, monkeypatch)
    sealed = provider.seal()
    monkeypatch.undo()
    assert sealed is not None
    assert steps.names == [
        "fsync exchanges.jsonl",
        f"fsync {name}",
        "fsync events.jsonl",
        f"fsync {name}",
        "fsync schemas.json",
        "fsync run.json",
        f"fsync {name}",
        f"rename {name}",
        f"fsync {store.path.name}",
        f"unlink {name}.json",
    ]
    assert list((store.path / ".work").iterdir()) == []
    assert store.run_ids() == [sealed.run_id]


@pytest.mark.fact("F62")
def test_a_failed_experiment_is_sealed_too(failed: Run) -> None:
    assert failed.head["status"] == "failed"
    assert list((failed.store / ".work").iterdir()) == []
    assert len(failed.attestations) == 1
    assert exprec("show", failed.run_id, "--store", failed.store).stdout == failed.stdout


@pytest.mark.fact("F63")
def test_rename_is_what_seals_a_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = begin(store)
    folder = work_folder(provider, store)
    provider.record_event(
        0, optimization.EXPERIMENT_START.event_type, EXAMPLES[optimization.EXPERIMENT_START.event_type][1]
    )

    def fails(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(StorageFailure):
        provider.seal()
    monkeypatch.undo()
    provider.close()
    assert (folder / "run.json").exists()
    assert (folder / "schemas.json").exists()
    assert store.run_ids() == []
    found = find_run(folder.name, store.path)
    assert (found.is_sealed, found.status, found.run_id) == (False, "interrupted", folder.name)
    shown = exprec("show", folder)
    assert b"not sealed" in shown.stderr
    assert b"\nRun " not in shown.stdout
    # The rename was all that was missing.
    folder.rename(folder.parent.parent / "sealed")
    assert find_run(str(store.path / "sealed"), store.path).is_sealed


@pytest.mark.fact("F64")
def test_second_execution_does_not_change_the_run(store: Store) -> None:
    first = record(store)
    before = files_and_times(first.path)
    second = record(store)
    assert (second.run_id, second.is_new) == (first.run_id, False)
    assert files_and_times(first.path) == before
    assert list((store.path / ".work").iterdir()) == []


@pytest.mark.fact("F64")
def test_other_content_under_the_run_id_is_damage(searched: Run, tmp_path: Path) -> None:
    copy = searched.copied(tmp_path)
    head = copy.folder / "run.json"
    head.write_bytes(head.read_bytes().replace(b'"generic"', b'"special"'))
    before = files_and_times(copy.folder)
    refused = exprec("run", searched.experiment, "--store", copy.store, code=5)
    assert searched.run_id in refused.stderr.decode()
    assert files_and_times(copy.folder) == before
    (name,) = Store(copy.store).work_names()
    for file in ("config.json", "events.jsonl", "run.json", "schemas.json"):
        assert (copy.store / ".work" / name / file).read_bytes() == (searched.folder / file).read_bytes()
    assert len(copy.attestations) == 1


@pytest.mark.fact("F65")
def test_each_execution_is_attested(searched: Run, tmp_path: Path) -> None:
    copy = searched.copied(tmp_path)
    repository = tmp_path / "experiment"
    shutil.copytree(searched.experiment.parent, repository, ignore=shutil.ignore_patterns("runs"))
    git(repository, "init", "-q")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "an experiment")
    before = files_and_times(copy.folder)
    exprec("run", repository / "two-period.yaml", "--store", copy.store)
    assert files_and_times(copy.folder) == before
    first, second = sorted(map(read_json, copy.attestations), key=lambda attestation: str(attestation["started_at"]))
    for attestation in (first, second):
        assert find_problems(attestation, "attestation.v1") == []
        assert attestation["run"] == searched.run_id
        assert datetime.fromisoformat(attestation["started_at"]).utcoffset() == timedelta(0)
        assert attestation["duration_seconds"] >= 0
        assert {"user", "host", "platform", "exprec", "python"} < attestation.keys()
    assert (second["git_commit"], second["git_dirty"]) == (git(repository, "rev-parse", "HEAD"), False)
