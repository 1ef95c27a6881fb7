"""Runs executed again from Python: the verdict by type of run, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import exprec
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import InvalidInput, NotVerified
from exprec.recorder.events import EventTypes
from exprec.recorder.sessions.command.command import Command
from exprec.recorder.sessions.command.runner import CommandRunner
from exprec.recorder.store import RunDirectory, Store
from tests.fixtures.experiments import runner


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open_or_create(tmp_path / "runs")


def recorded_experiment(folder: Path, store: Store) -> RunDirectory:
    experiment = runner(folder, store=store, convergence__max_iterations=1)
    asyncio.run(experiment.run())
    assert experiment.sealed is not None
    return RunDirectory(experiment.sealed.path)


def test_an_experiment_is_identical(tmp_path: Path, store: Store) -> None:
    run = recorded_experiment(tmp_path, store)
    heard: list[int] = []
    result = exprec.rerun(run, listener=lambda event: heard.append(event["seq"]))
    assert result.is_identical
    assert heard == list(range(run.head["counts"]["events"]))
    assert result.as_dict() == {
        "run": run.run_id,
        "verdict": "identical",
        "identical_events": len(heard),
        "file": None,
        "event": None,
        "differences": [],
        "reasons": [],
    }
    assert store.attestations(run.run_id) == []


def test_a_command_diverges(tmp_path: Path, store: Store) -> None:
    (tmp_path / "data").write_text("1\n")
    command = Command.described(["cat", "data"], tmp_path)
    recording = CommandRunner(command, tmp_path, {}, store=store, secrets=SecretGuard(), types=EventTypes())
    run = RunDirectory(recording.run().sealed.path)
    assert exprec.rerun(run, files=tmp_path).is_identical
    (tmp_path / "data").write_text("2\n")
    result = exprec.rerun(run, files=tmp_path).as_dict()
    assert (result["verdict"], result["file"]) == ("diverged", "stdout")
    assert result["differences"] == [{"field": "line 1", "recorded": "1", "now": "2"}]


def test_a_program_cannot_be_executed(tmp_path: Path) -> None:
    with exprec.record("train", store=tmp_path / "runs") as run:
        run.event("epoch", iteration=1)
    result = exprec.rerun(RunDirectory(run.path))
    assert result.as_dict()["verdict"] == "cannot_run"
    assert "run the program again" in result.verdict.reasons[0]


def test_an_interrupted_run_and_a_damaged_one_are_refused(tmp_path: Path, store: Store) -> None:
    run = exprec.record("train", store=store.path)
    with pytest.raises(InvalidInput, match="is not sealed"):
        exprec.rerun(RunDirectory(run.path))
    run.close()
    (run.path / "config.json").write_text("{}\n\n")
    with pytest.raises(NotVerified):
        exprec.rerun(RunDirectory(run.path))
