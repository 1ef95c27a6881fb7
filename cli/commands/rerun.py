"""`exprec rerun`: execute runs again, offline, and report whether they reproduce."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from exprec.cli.commands.execution import jobs_option
from exprec.cli.completion import complete_run
from exprec.cli.options import json_option, store_option
from exprec.cli.terminal import (
    child_environment,
    known_secrets,
    processors,
    start_observing,
    store_path,
    wants_progress,
)
from exprec.recorder.diagnostics import SecretGuard, key_name, show_value, visible
from exprec.recorder.diff import ABSENT
from exprec.recorder.display import count_noun
from exprec.recorder.errors import InvalidInput, NotVerified, Problem, StorageFailure
from exprec.recorder.experiment.loop import EXPERIMENT_TYPE
from exprec.recorder.experiment.rerun import rerun as rerun_experiment
from exprec.recorder.format import layout
from exprec.recorder.replay.messages import difference_lines, event_name
from exprec.recorder.replay.verdict import CANNOT_RUN, IDENTICAL, Verdict
from exprec.recorder.sessions.command.rerun import rerun as rerun_command
from exprec.recorder.state import Listener
from exprec.recorder.store import RunDirectory, Store, find_run
from exprec.recorder.verify.check import verify

_NOT_IDENTICAL = 1
_WORDS = {IDENTICAL: "identical", CANNOT_RUN: "cannot run"}


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_run)
@store_option
@click.option(
    "--files",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    default=Path(),
    help="The directory in which commands run, and with the simulators of experiments.  [default: the current one]",
)
@jobs_option
@json_option
@click.pass_context
def rerun(
    context: click.Context, runs: tuple[str, ...], store: Path | None, files: Path, jobs: int, as_json: bool
) -> None:
    """Execute runs again, offline, and report whether they reproduce. Models are not called; no key is needed.

    RUN is a run id, a prefix of 4 or more digits, a tag, or the path of a run directory. An experiment is executed
    from the run alone: its config.json and the recorded responses of models. Only a custom simulator is loaded from
    --files, in its current version.

    A command is executed as recorded, in --files; inspect a run first if you did not record it. Its inputs must be
    there, unchanged. It writes its artifacts there again, reads the stdin of exprec unless that is a terminal, and
    its output is compared, not printed.

    \b
    The verdict is one of
      identical    the same run id, byte for byte; the store gets another execution record
      diverged     the first event, line of output or artifact that differs, as recorded and as executed now
      cannot run   why the run could not be executed, which does not mean that it fails to reproduce

    Exit code 0 if all runs are identical, else 1.

    \b
    Example:
      exprec rerun 3f5c
      exprec rerun 3f5c --files experiments/queueing --jobs 4
      exprec log --json | jq -r 'select(.status == "completed") | .run_id' | xargs exprec rerun
    """
    path = store_path(store)
    guard = SecretGuard(known_secrets())
    all_identical = True
    for directory in [_sealed(reference, path) for reference in runs]:
        finish = start_observing(files)
        with tempfile.TemporaryDirectory() as scratch:
            place = Store.open_or_create(Path(scratch) / layout.DEFAULT_STORE)
            verdict = _executed(directory, place, files, guard, jobs or processors())
        click.echo(guard.redacted(_as_json(directory, verdict) if as_json else _as_text(directory, verdict)))
        if verdict.outcome == IDENTICAL:
            _attest(directory, finish())
        else:
            all_identical = False
    if not all_identical:
        context.exit(_NOT_IDENTICAL)


def _executed(run: RunDirectory, store: Store, files: Path, guard: SecretGuard, jobs: int) -> Verdict:
    """Execute a run again according to its type, and record it in `store`."""
    if run.type == EXPERIMENT_TYPE:
        with _progress(run) as listener:
            return asyncio.run(rerun_experiment(run, store, files, jobs=jobs, listener=listener))
    if run.type == layout.COMMAND_RUN:
        environment = child_environment()
        return rerun_command(run, store, files, environment, secrets=guard, has_input=not sys.stdin.isatty())
    if run.type == layout.PYTHON_RUN:
        why = "a Python program recorded it; run the program again, it reproduces if the run id is the same"
        return Verdict(CANNOT_RUN, 0, reasons=(why,))
    why = f"this version of exprec cannot execute runs of type {show_value(run.type)}"
    return Verdict(CANNOT_RUN, 0, reasons=(why,))


def _sealed(reference: str, store: Path) -> RunDirectory:
    """Find a sealed run and check its digests. Raises InvalidInput if it is not sealed, NotVerified, RunNotFound."""
    run = find_run(reference, store)
    if not run.is_sealed:
        hint = "; `exprec resume` resumes it" if run.type == EXPERIMENT_TYPE else ""
        message = f"run {run.run_id} is not sealed{hint}"
        raise InvalidInput([Problem((), message)])
    # Execution records are not part of the run.
    problems = [each for each in verify(run, quick=True) if layout.ATTESTATIONS_FOLDER not in str(each.source)]
    if problems:
        raise NotVerified(problems)
    return run


@contextmanager
def _progress(run: RunDirectory) -> Iterator[Listener | None]:
    with contextlib.ExitStack() as stack:
        listener = None
        if wants_progress(shows_events=False):
            from exprec.cli.output.progress import iteration_progress

            limit = run.config.get("convergence", {}).get("max_iterations")
            listener = stack.enter_context(iteration_progress(run.name, limit))
        yield listener


def _attest(run: RunDirectory, observation: dict[str, object]) -> None:
    """Add an execution record to the store of the run; a run outside a store has none."""
    folder = run.path.resolve().parent
    if not layout.is_run_id(run.path.resolve().name) or not (folder / layout.STORE_FILE).is_file():
        click.echo("exprec: the run lies in no store, so nothing was attested", err=True)
        return
    try:
        Store(folder).attest(run.run_id, observation)
    except StorageFailure as error:
        click.echo(f"exprec: the attestation could not be written: {error}", err=True)


def _as_text(run: RunDirectory, verdict: Verdict) -> str:
    word = _WORDS.get(verdict.outcome, verdict.outcome)
    lines = [f"{word}  {run.run_id[:8]}  {visible(run.name)}  {_place(verdict)}"]
    lines += [f"  {visible(reason)}" for reason in verdict.reasons]
    lines += map(visible, difference_lines(verdict.found))
    return "\n".join(lines)


def _place(verdict: Verdict) -> str:
    same = count_noun(verdict.identical_events, "event")
    if verdict.outcome == IDENTICAL:
        return f"{same}, same run id"
    if verdict.outcome == CANNOT_RUN:
        return f"after {same} reproduced" if verdict.identical_events else "nothing was executed"
    if verdict.event is not None:
        return f"at {visible(event_name(verdict.event))}; {same} reproduced before it"
    if verdict.file == layout.EVENTS_FILE:
        return f"after the last of {same}"
    return f"in {verdict.file}"


def _as_json(run: RunDirectory, verdict: Verdict) -> str:
    event = verdict.event
    said = {
        "run": run.run_id,
        "verdict": verdict.outcome,
        "identical_events": verdict.identical_events,
        "file": verdict.file if verdict.outcome not in (IDENTICAL, CANNOT_RUN) else None,
        "event": None if event is None else {key: event.get(key) for key in ("seq", "event_type", "iteration")},
        "differences": [
            {
                "field": key_name(each.path),
                **({} if each.old is ABSENT else {"recorded": each.old}),
                **({} if each.new is ABSENT else {"now": each.new}),
            }
            for each in verdict.found
        ],
        "reasons": list(verdict.reasons),
    }
    return json.dumps(said, sort_keys=True)
