"""`exprec resume`: resume an interrupted experiment and seal its run."""

from __future__ import annotations

from pathlib import Path

import click

from exprec.cli.completion import complete_work
from exprec.cli.execution import ExperimentExecution, recorded_proposer
from exprec.cli.options import (
    allow_secret_option,
    display_options,
    jobs_option,
    json_option,
    quiet_option,
    redact_option,
    store_option,
    verbose_config,
)
from exprec.cli.output.live_output import choose_experiment_output
from exprec.cli.screen import print_message
from exprec.cli.terminal import make_guard, processors, store_path
from exprec.cli.trust import require_trust, trust_option
from exprec.recorder.display import count_noun
from exprec.recorder.errors import Damaged, InvalidInput, NotAsRecorded, Problem, RunInProgress, RunNotFound
from exprec.recorder.experiment import ExperimentConfig, describe_other_rules
from exprec.recorder.format import layout
from exprec.recorder.proposers import RecordedProposer
from exprec.recorder.replay import line_difference_text, trust
from exprec.recorder.store import RunDirectory, Store


@click.command()
@click.argument("run", metavar="RUN", shell_complete=complete_work)
@store_option
@click.option(
    "--files",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    help="The directory of the custom simulator or script.  [default: that of the experiment when it was run]",
)
@trust_option
@jobs_option
@allow_secret_option
@redact_option
@display_options
@quiet_option
@json_option
def resume(
    run: str,
    store: Path | None,
    files: Path | None,
    is_trusted: bool,
    jobs: int,
    allowed: tuple[str, ...],
    redacts: bool,
    verbose: bool,
    color: str,
    quiet: bool,
    as_json: bool,
    **switches: bool | None,
) -> None:
    """Resume an interrupted run of an experiment where it was cut off, and seal it.

    RUN is the name of the run (see `exprec log --status interrupted`) or a prefix of 4 or more digits.

    The experiment is executed again from its beginning: it must reproduce what was recorded, byte for byte, and
    recorded model responses are reused, so that none is paid for twice. Then it continues. The whole run is
    printed, and its run id is that of an uninterrupted run. If the execution diverges from the record, it stops
    with exit code 1, and the interrupted run remains unchanged.

    A custom simulator and a model are only used for a run that was begun here, with --trust, after `exprec trust`, or
    when you confirm it on a terminal: inspect a run from elsewhere first.

    \b
    Example:
      exprec resume 3f5c
      exprec log --status interrupted --json | jq -r .run_id | xargs -n 1 exprec resume -q
    """
    output = choose_experiment_output(
        verbose_config(verbose=verbose, switches=switches), color, quiet=quiet, as_json=as_json
    )
    opened = Store(store_path(store))
    directory = opened.resolve(run)
    try:
        _check(directory)
        _check_rules(directory)
        folder = files or Path(directory.work_head.get("folder") or ".")
        execution = trust.find_resumption(directory, folder)
        if execution is not None:
            require_trust(execution, "resume", run, files=files, store=store, is_trusted=is_trusted)
        config = ExperimentConfig.from_mapping(directory.config, folder)
    except Damaged:
        if directory.is_sealed or _has_events(directory):
            raise
        if not directory.path.is_dir():
            # Another process has resumed or removed it in the meantime.
            raise RunNotFound(run, opened.path) from None
        raise _not_begun(directory) from None
    print_message(f"exprec: resuming {directory.run_id}: {_recorded(directory)}")
    proposer = _replayed(opened, directory, config)
    resumption = ExperimentExecution(
        config,
        folder,
        opened,
        output,
        make_guard(allowed, redacts=redacts),
        jobs or processors(),
        proposer,
        resumed=directory,
    )
    try:
        resumption.run()
    except NotAsRecorded as error:
        print_message(line_difference_text(error.recorded, error.found), has_lines=True)
        raise


def _check(run: RunDirectory) -> None:
    """Check that a run can be resumed.

    Raises InvalidInput for a sealed run, or one of a command or program; RunInProgress, Damaged.
    """
    if run.is_sealed:
        message = f"run {run.run_id} is already sealed; `exprec rerun` executes it again"
        raise InvalidInput([Problem((), message)])
    if run.status == "running":
        raise RunInProgress(run.run_id)
    if run.type in (layout.COMMAND_RUN, layout.PYTHON_RUN):
        what = "the command" if run.type == layout.COMMAND_RUN else "the program that recorded it"
        message = (
            f"run {run.run_id} cannot be resumed: exprec has the output of {what}, not its internal state; "
            f"run {what} again (`exprec show` prints what was recorded, `exprec gc` removes it)"
        )
        raise InvalidInput([Problem((), message)])


def _check_rules(run: RunDirectory) -> None:
    """Check that this version would repeat what was recorded. Raises InvalidInput."""
    other_rules = describe_other_rules(run.config)
    if other_rules is not None:
        message = (
            f"run {run.run_id} was {other_rules}, and this version of exprec has others: it cannot be resumed; run the "
            "experiment again (`exprec show` prints what was recorded, `exprec gc` removes it)"
        )
        raise InvalidInput([Problem((), message)])


def _has_events(run: RunDirectory) -> bool:
    """Return whether any event was recorded. Raises Damaged if the first line is not a valid event."""
    return any(True for _ in run.reader().entries())


def _not_begun(run: RunDirectory) -> InvalidInput:
    # Killed between writing the first two files, or lost with the power before they reached the disk.
    message = (
        f"run {run.run_id} was interrupted before its first event; "
        "run the experiment again (`exprec gc` removes this run)"
    )
    return InvalidInput([Problem((), message)])


def _recorded(run: RunDirectory) -> str:
    events = sum(1 for _ in run.reader().entries())
    exchanges = sum(1 for _ in run.exchange_reader())
    responses = f" and {count_noun(exchanges, 'model response')}" if exchanges else ""
    return f"{count_noun(events, 'event')}{responses} recorded"


def _replayed(store: Store, run: RunDirectory, config: ExperimentConfig) -> RecordedProposer | None:
    """Return the source of model responses if the run itself replays another one; else None."""
    replayed = run.work_head.get("replayed")
    return None if replayed is None else recorded_proposer(store.resolve(str(replayed)), config)
