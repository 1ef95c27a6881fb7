"""`exprec rerun`: runs executed again, offline, to see whether they reproduce.

It prints verdicts and attests them; how a run is executed again is told in `recorder.optimize.rerun` and
`recorder.command.rerun`.
"""

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
from exprec.cli.options import complete_run, json_option, store_option
from exprec.cli.terminal import (
    child_environment,
    known_secrets,
    processors,
    start_observing,
    store_path,
    wants_progress,
)
from exprec.recorder.diagnostics import SecretGuard, key_name, show_value, visible
from exprec.recorder.diff.json_values import ABSENT
from exprec.recorder.display.text import counted
from exprec.recorder.errors import InvalidInput, NotVerified, Problem, StorageFailure
from exprec.recorder.experiment.loop import EXPERIMENT_TYPE
from exprec.recorder.experiment.rerun import rerun as rerun_experiment
from exprec.recorder.format import layout
from exprec.recorder.replay.messages import difference_lines, event_name
from exprec.recorder.replay.verdict import CANNOT_RUN, IDENTICAL, Verdict
from exprec.recorder.sessions.command.rerun import rerun as rerun_command
from exprec.recorder.state.provider import Listener
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store, find_run
from exprec.recorder.verify.check import verify

_NOT_IDENTICAL = 1
_WORDS = {IDENTICAL: "identical", CANNOT_RUN: "cannot run"}


@click.command(short_help="Execute runs again, offline, and say whether they reproduce.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_run)
@store_option
@click.option(
    "--files",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    default=Path(),
    help="The folder that a command runs in, or with the simulator that an experiment names.  [default: this one]",
)
@jobs_option
@json_option
@click.pass_context
def rerun(
    context: click.Context, runs: tuple[str, ...], store: Path | None, files: Path, jobs: int, as_json: bool
) -> None:
    """Execute runs again and say whether they reproduce. No model is asked, and no key or network needed.

    RUN is a run id, 4 or more of its first digits, a tag, or the path of a run directory. All that is needed of an
    experiment is in the run: its config.json and the answers that models gave. Only a simulator of your own is looked
    for in --files, in the version that lies there.

    A command is executed as it was recorded, in --files; so look at the run first if it is not yours. Its inputs must
    lie there as they were. It makes its artifacts there once more, has the stdin of exprec unless that is a terminal,
    and its output is compared, not printed.

    \b
    The verdict is one of
      identical    the same address, byte for byte; the store gets an attestation
      diverged     the first event, line of output or artifact that differs, with what was recorded and what came
      cannot run   why, which says nothing of the run

    Exits with 0 when all runs are identical, else with 1.

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
    """Execute a run again, as its type has it, and record it in `store`. Raises as what executes it."""
    if run.type == EXPERIMENT_TYPE:
        with _progress(run) as listener:
            return asyncio.run(rerun_experiment(run, store, files, jobs=jobs, listener=listener))
    if run.type == layout.COMMAND_RUN:
        environment = child_environment()
        return rerun_command(run, store, files, environment, secrets=guard, has_input=not sys.stdin.isatty())
    if run.type == layout.PYTHON_RUN:
        why = "a Python program recorded it: run the program again, which comes to the same address if it reproduces"
        return Verdict(CANNOT_RUN, 0, reasons=(why,))
    why = f"it is a run of the type {show_value(run.type)}, which this version cannot execute"
    return Verdict(CANNOT_RUN, 0, reasons=(why,))


def _sealed(reference: str, store: Path) -> RunDirectory:
    """A run that is what its address says. Raises InvalidInput for one that is not sealed, NotVerified, RunNotFound."""
    run = find_run(reference, store)
    if not run.is_sealed:
        hint = "; `exprec resume` goes on with it" if run.type == EXPERIMENT_TYPE else ""
        message = f"the run {run.run_id} is not sealed{hint}"
        raise InvalidInput([Problem((), message)])
    # What was observed of its executions is no part of the run.
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
    """Keep in the store of the run that it was reached again; a run outside of a store has no place for it."""
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
    same = counted(verdict.identical_events, "event")
    if verdict.outcome == IDENTICAL:
        return f"{same}, the same address"
    if verdict.outcome == CANNOT_RUN:
        return f"after {same} that came again" if verdict.identical_events else "nothing was executed"
    if verdict.event is not None:
        return f"at {visible(event_name(verdict.event))}; {same} came again before it"
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
