"""Re-execution of recorded runs, offline, according to their type."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import SecretGuard, show_value
from exprec.recorder.errors import Damaged, InvalidInput, NotVerified, Problem
from exprec.recorder.experiment import EXPERIMENT_TYPE
from exprec.recorder.format import layout
from exprec.recorder.replay.command_rerun import rerun_command
from exprec.recorder.replay.experiment_rerun import rerun_experiment
from exprec.recorder.replay.verdict import Verdict
from exprec.recorder.sessions import provenance
from exprec.recorder.state import Listener
from exprec.recorder.store import RunDirectory, Store
from exprec.recorder.verify import verify_run


@dataclass(frozen=True, slots=True)
class RerunResult:
    """The result of executing a run again."""

    run_id: str
    name: str
    """The name of the run."""
    verdict: Verdict

    @property
    def is_identical(self) -> bool:
        """Whether the execution reached the same run id."""
        return self.verdict.is_identical

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, as `exprec rerun --json` prints it."""
        return {"run": self.run_id, **self.verdict.as_dict()}


def rerun(
    run: RunDirectory,
    *,
    files: Path = Path(),
    jobs: int = 1,
    secrets: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    has_input: bool = False,
    listener: Listener | None = None,
) -> RerunResult:
    """Execute a sealed run again and compare the execution with the record, byte for byte.

    A command or a custom simulator is executed without asking: do not pass runs from elsewhere before you have
    inspected them. Models are not called: recorded responses answer the same requests. The execution is recorded in a
    temporary store, which is removed; no store is changed.

    Args:
        run: The run, as `find_run` returns it.
        files: The folder in which a command runs, or that contains a custom simulator.
        jobs: The number of processes (1 or more) that simulate the samples of an experiment.
        secrets: The values that must not be recorded, by name; None: those in the environment.
        environment: The environment of a command; None: that of this process without known secrets.
        has_input: Whether a command gets the stdin of this process; else its stdin is empty.
        listener: Called with each event of an experiment that is as recorded.

    Raises:
        InvalidInput: The run is not sealed.
        NotVerified: The run does not match its run id.
        Damaged, StorageFailure: The run cannot be read, or the execution cannot be recorded.
        WorkerFailed: A process that simulates died.
        KeyboardInterrupt: A signal interrupted the command.
    """
    check_sealed(run)
    return execute_again(
        run,
        files=files,
        jobs=jobs,
        secrets=SecretGuard(provenance.known_secrets() if secrets is None else secrets),
        environment=provenance.environment_without_secrets() if environment is None else environment,
        has_input=has_input,
        listener=listener,
    )


def check_sealed(run: RunDirectory) -> None:
    """Check that a run is sealed and matches its run id. Raises InvalidInput, NotVerified, StorageFailure."""
    if not run.is_sealed:
        hint = "; `exprec resume` resumes it" if run.type == EXPERIMENT_TYPE else ""
        raise InvalidInput([Problem((), f"run {run.run_id} is not sealed{hint}")])
    with suppress(Damaged):
        # A disk that cannot be read says nothing about the run; damage is listed below, all of it.
        _ = run.head
    # Execution records are not part of the run.
    problems = [
        problem for problem in verify_run(run, quick=True) if layout.ATTESTATIONS_FOLDER not in str(problem.source)
    ]
    if problems:
        raise NotVerified(problems)


def execute_again(
    run: RunDirectory,
    *,
    files: Path,
    jobs: int,
    secrets: SecretGuard,
    environment: Mapping[str, str],
    has_input: bool,
    listener: Listener | None,
) -> RerunResult:
    """Execute a run that `check_sealed` has checked. Arguments and errors are those of `rerun`."""

    def execute(store: Store) -> Verdict:
        if run.type == EXPERIMENT_TYPE:
            redacting = secrets if secrets.redacts else None
            return asyncio.run(rerun_experiment(run, store, files, jobs=jobs, listener=listener, secrets=redacting))
        if run.type == layout.COMMAND_RUN:
            return rerun_command(run, store, files, environment, secrets=secrets, has_input=has_input)
        if run.type == layout.PYTHON_RUN:
            reason = "a Python program recorded it; run the program again, it reproduces if the run id is the same"
        else:
            reason = f"this version of exprec cannot execute runs of type {show_value(run.type)}"
        return Verdict.cannot_run([reason])

    with tempfile.TemporaryDirectory() as folder:
        verdict = execute(Store.open_or_create(Path(folder) / layout.DEFAULT_STORE))
    return RerunResult(run.run_id, run.name, verdict)
