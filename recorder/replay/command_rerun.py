"""Re-execution of a recorded command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import InvalidInput, SecretFound
from exprec.recorder.events import EventTypes
from exprec.recorder.replay.divergence import compare_executions
from exprec.recorder.replay.verdict import Verdict
from exprec.recorder.sessions import NOT_STARTED, Command, CommandRunner
from exprec.recorder.store import RunDirectory, Store


def rerun_command(
    run: RunDirectory,
    store: Store,
    folder: Path,
    environment: Mapping[str, str],
    *,
    secrets: SecretGuard,
    has_input: bool = True,
) -> Verdict:
    """Execute the command of a sealed run again and compare the result with the recorded one.

    Args:
        run: The sealed run.
        store: A store for the new execution, which is not needed afterwards.
        folder: The folder in which the command is executed, with unchanged inputs.
        environment: The environment of the command.
        secrets: The secrets that must not be recorded.
        has_input: Whether the command gets the stdin of this process.

    Raises:
        KeyboardInterrupt: A signal ended the execution, which says nothing about the run.
        StorageFailure: The store cannot be written.
        Damaged: The run is damaged.
    """
    try:
        command = Command.of_config(run.config)
        types = EventTypes.recorded(run.schemas, strict=run.config.get("strict") is True)
    except InvalidInput as error:
        return Verdict.cannot_run(error.problems)
    if any(map(SecretGuard.has_placeholder, (*command.argv, *command.inputs, *command.artifacts))):
        reason = (
            "its command line contained a secret and was recorded with a placeholder; run the command again instead"
        )
        return Verdict.cannot_run([reason])
    changed = command.changed_inputs(folder)
    if changed:
        return Verdict.cannot_run(changed)
    runner = CommandRunner(
        command,
        folder,
        environment,
        store=store,
        secrets=secrets,
        types=types,
        has_input=has_input,
        name=run.name,
    )
    try:
        outcome = runner.run()
    except SecretFound as error:
        return Verdict.cannot_run([error])
    if outcome.was_interrupted:
        raise KeyboardInterrupt
    if outcome.sealed.run_id == run.run_id:
        return Verdict.identical(run.head["counts"]["events"])
    if outcome.failure is not None and outcome.failure.error_type == NOT_STARTED:
        return Verdict.cannot_run([outcome.failure.message])
    return compare_executions(run, RunDirectory(outcome.sealed.path))
