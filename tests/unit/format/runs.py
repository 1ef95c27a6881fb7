"""Runs for the tests of the format: recorded by the command or through the library, read with plain JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from exprec.recorder import events
from exprec.recorder.declared import EventTypes
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.recording import Sealed
from exprec.recorder.store.store import Store
from tests.event_examples import EXAMPLES, EXCHANGE
from tests.support import CASTRO, exprec, script_lines

COMPLETE = tuple(kind for kind in events.EVENT_TYPES if kind != events.EXPERIMENT_FAILED)
"""The types of events of an experiment that does not fail, in an order in which they may stand."""


def policy(liquidity: float, **parameters: float) -> dict[str, Any]:
    """A policy for the two banks, with the parameter that they may choose and others that they may not."""
    return {
        "version": "2.0",
        "policy_id": "test",
        "parameters": {"initial_liquidity_fraction": liquidity, **parameters},
        "payment_tree": {"type": "action", "node_id": "release", "action": "Release"},
    }


ANSWERS: tuple[dict[str, Any], ...] = (
    # Iteration 1: an answer is sent back and the next one accepted; then the model fails.
    {"agent": "BANK_A", "answer": "not json", "prompt_tokens": 7, "completion_tokens": 3, "latency_seconds": 0.5},
    {"agent": "BANK_A", "answer": policy(0.25), "latency_seconds": 0.25},
    {"agent": "BANK_B", "error": "refused"},
    # Iteration 2: no answer keeps to the constraints; then a usable one that is worse.
    *[{"agent": "BANK_A", "answer": policy(0.25, other=1.0)}] * 4,
    {"agent": "BANK_B", "answer": policy(0.75)},
)


@dataclass(frozen=True)
class Run:
    """A run that `exprec run` recorded, and what the command printed."""

    store: Path
    run_id: str
    experiment: Path
    stdout: bytes

    @property
    def folder(self) -> Path:
        return self.store / self.run_id

    @property
    def head(self) -> dict[str, Any]:
        return load(self.folder / "run.json")

    @property
    def config(self) -> dict[str, Any]:
        return load(self.folder / "config.json")

    @property
    def schemas(self) -> dict[str, Any]:
        return load(self.folder / "schemas.json")

    @property
    def events(self) -> list[dict[str, Any]]:
        return lines(self.folder / "events.jsonl")

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        path = self.folder / "exchanges.jsonl"
        return lines(path) if path.exists() else []

    @property
    def attestations(self) -> list[Path]:
        return sorted((self.store / "attestations" / self.run_id).iterdir())

    def of_type(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event_type"] == event_type]

    def iterations(self) -> Iterator[list[dict[str, Any]]]:
        """The events of each iteration."""
        inside = (event for event in self.events if event["iteration"])
        for _, group in groupby(inside, key=lambda event: event["iteration"]):
            yield list(group)

    def copied(self, folder: Path) -> Run:
        """The same run in a store of its own, which a test may change."""
        shutil.copytree(self.store, folder / "copied")
        return Run(folder / "copied", self.run_id, self.experiment, self.stdout)


def load(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_bytes())
    assert isinstance(value, dict)
    return value


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def experiment(folder: Path, *, max_iterations: int = 25, samples: int | None = None, more: str = "") -> Path:
    """The experiment of the two banks in a folder, with other limits and more sections."""
    text = (CASTRO / "two-period.yaml").read_text("utf-8")
    changes = {"max_iterations: 25": f"max_iterations: {max_iterations}"}
    if samples is not None:
        changes["mode: deterministic "] = f"num_samples: {samples}\n  mode: bootstrap "
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "two-period.yaml"
    path.write_text(text + more, "utf-8")
    shutil.copy(CASTRO / "two-period-scenario.yaml", folder)
    return path


def write_script(folder: Path, answers: Sequence[dict[str, Any]]) -> Path:
    path = folder / "answers.jsonl"
    path.write_bytes(script_lines(answers))
    return path


def run_command(file: Path, store: Path, *options: str | Path, code: int = 0) -> Run:
    """Record with `exprec run`; the store must have no other run yet."""
    done = exprec("run", file, "--store", store, *options, code=code)
    (run_id,) = Store(store).run_ids()
    return Run(store, run_id, file, done.stdout)


def begin(store: Store, config: dict[str, Any] | None = None, **options: Any) -> LiveStateProvider:
    """Begin a run through the library."""
    recording = store.begin("two banks", "generic", config if config is not None else {"name": "two banks"})
    return LiveStateProvider("two banks", recording=recording, **options)


def record(store: Store, config: dict[str, Any] | None = None, *, latency: float = 0.25) -> Sealed:
    """Record and seal a run with an exchange and an event of every type but the failure."""
    provider = begin(store, config)
    provider.record_exchange({**EXCHANGE, "latency_seconds": latency})
    for kind in COMPLETE:
        iteration, fields = EXAMPLES[kind]
        changed = {**fields, "latency_seconds": latency} if kind == events.LLM_CALL else fields
        provider.record_event(iteration, kind, changed)
    sealed = provider.seal()
    assert sealed is not None
    return sealed


EPOCH: dict[str, Any] = {
    "title": "An epoch of the training",
    "x-exprec-display": "epoch {iteration}: loss {loss:.3f}",
    "properties": {"loss": {"type": "number", "minimum": 0}},
    "required": ["loss"],
    "additionalProperties": False,
}
"""The schema of a type of events that the author of a run declared."""

ARTIFACTS = {"model.txt": b'{"weights":[0,1]}\n{"bias":1}\n{"bias":2}\n', "deep/er/a.b": b'{"n":1}\n{"n":2}\n{"n":3}\n'}
OUTPUT = {"stdout": b'{"n":1}\n{"n":2}\n{"n":3}\n', "stderr": b'{"warning":1}\n{"warning":2}\n{"warning":3}\n'}
INPUT = {"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size": 0}
COMMAND_CONFIG: dict[str, Any] = {
    "command": {"argv": ["train", "--lr", "0.1"], "inputs": {"data.csv": INPUT}, "artifacts": sorted(ARTIFACTS)},
    "strict": False,
}


def record_command(store: Store, status: int = 0, output: Mapping[str, bytes] | None = None) -> Sealed:
    """Record and seal the run of a command through the library: with output, artifacts, events of a declared type
    and of another."""
    types = EventTypes({"epoch": EPOCH}, strict=False)
    recording = store.begin("train", "command", COMMAND_CONFIG, types=types)
    provider = LiveStateProvider("train", "command", recording=recording)
    for stream, data in {**OUTPUT, **(output or {})}.items():
        recording.write_output(stream, data)
    for name, data in ARTIFACTS.items():
        source = store.path.parent / "artifact"
        source.write_bytes(data)
        recording.add_artifact(name, source)
        source.unlink()
    provider.record_event(0, "setup", {"text": "before"})
    for number in (1, 2):
        provider.record_event(number, "epoch", {"loss": 4 / (1 + number)})
        provider.record_event(number, "note", {"text": "anything", "values": [number, None, {"deep": 0.5}]})
    provider.record_event(0, events.COMMAND_END, {"exit_status": status, "signal": None})
    if status:
        failure = {"error_type": "ExitStatus", "message": f"the command exited with the status {status}"}
        provider.record_event(0, events.EXPERIMENT_FAILED, failure)
    else:
        provider.record_event(0, events.RUN_END, {})
    sealed = provider.seal()
    assert sealed is not None
    return sealed


def work_folder(provider: LiveStateProvider, store: Store) -> Path:
    assert provider.run_id is not None
    return store.path / ".work" / provider.run_id


def interrupted(store: Store, kinds: Sequence[str] = (events.EXPERIMENT_START, events.ITERATION_START)) -> Path:
    """A run that was left unsealed after some events; returns its work folder."""
    provider = begin(store)
    for kind in kinds:
        provider.record_event(EXAMPLES[kind][0], kind, EXAMPLES[kind][1])
    provider.close()
    return work_folder(provider, store)
