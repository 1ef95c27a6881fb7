"""`exprec resume`: an interrupted run continued to its seal.

It finds what is needed to go on; how a run goes on is told in `recorder.optimize.runner` and `recorder.store`.
"""

from __future__ import annotations

from pathlib import Path

import click

from exprec.cli.commands.execution import Execution, chosen_output, jobs_option, recorded_proposer
from exprec.cli.options import complete_work, display_options, json_option, store_option, verbose_config
from exprec.cli.terminal import known_secrets, processors, store_path
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import Damaged, InvalidInput, NotAsRecorded, Problem, RunInProgress, RunNotFound
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.format import layout
from exprec.recorder.proposers.recorded import RecordedProposer
from exprec.recorder.replay.messages import line_difference_text
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store


@click.command(short_help="Go on with an interrupted run.")
@click.argument("run", metavar="RUN", shell_complete=complete_work)
@store_option
@click.option(
    "--files",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    help="The folder with the simulator or the script that the experiment names.  [default: where it was run from]",
)
@jobs_option
@display_options
@click.option("-q", "--quiet", is_flag=True, help="Print the address of the run and nothing else.")
@json_option
def resume(
    run: str,
    store: Path | None,
    files: Path | None,
    jobs: int,
    verbose: bool,
    color: str,
    quiet: bool,
    as_json: bool,
    **switches: bool | None,
) -> None:
    """Go on with a run that was interrupted, from where it was cut off, and seal it.

    RUN is the name of the run (see `exprec log --status interrupted`) or 4 or more of its first digits.

    The experiment is executed again from its beginning: what was recorded must come again, byte for byte, and
    answers that a model gave are taken from the record, so that none is paid for twice. Then it goes on. What is
    printed is the whole run, and its address is that of a run that was never interrupted. Should something
    else come than was recorded, it stops with exit code 1, and the interrupted run stays as it is.

    \b
    Example:
      exprec resume 3f5c
      exprec log --status interrupted --json | jq -r .run_id | xargs -n 1 exprec resume -q
    """
    output = chosen_output(verbose_config(verbose=verbose, switches=switches), color, quiet=quiet, as_json=as_json)
    opened = Store(store_path(store))
    directory = opened.resolve(run)
    try:
        _check(directory)
        folder = files or Path(directory.work_head.get("folder") or ".")
        config = ExperimentConfig.from_mapping(directory.config, folder)
    except Damaged:
        if directory.is_sealed or _has_events(directory):
            raise
        if not directory.path.is_dir():
            # Another process went on with it meanwhile, or removed it.
            raise RunNotFound(run, opened.path) from None
        raise _not_begun(directory) from None
    click.echo(f"exprec: going on with {directory.run_id}, {_recorded(directory)}", err=True)
    proposer = _replayed(opened, directory, config)
    execution = Execution(
        config,
        folder,
        opened,
        output,
        SecretGuard(known_secrets()),
        jobs or processors(),
        proposer,
        resumed=directory,
    )
    try:
        execution.run()
    except NotAsRecorded as error:
        click.echo(line_difference_text(error.recorded, error.found), err=True)
        raise


def _check(found: RunDirectory) -> None:
    """That this is a run to go on with. Raises InvalidInput for one that is sealed, or of no experiment; RunInProgress,
    Damaged."""
    if found.is_sealed:
        message = f"the run {found.run_id} is sealed: there is nothing to go on with; `exprec rerun` executes it again"
        raise InvalidInput([Problem((), message)])
    if found.status == "running":
        raise RunInProgress(found.run_id)
    if found.type in (layout.COMMAND_RUN, layout.PYTHON_RUN):
        what = "the command" if found.type == layout.COMMAND_RUN else "the program that recorded it"
        message = (
            f"the run {found.run_id} cannot be gone on with: exprec knows what came, not what {what} was about to do; "
            f"run {what} again (`exprec show` prints what was recorded, `exprec gc` removes it)"
        )
        raise InvalidInput([Problem((), message)])


def _has_events(run: RunDirectory) -> bool:
    """Whether anything was recorded. Raises Damaged when the first line is no event."""
    return any(True for _ in run.reader().entries())


def _not_begun(run: RunDirectory) -> InvalidInput:
    # Killed between the first two files, or before they were on the disk when power was lost.
    message = (
        f"the run {run.run_id} was cut off before it began, and nothing of it is recorded: "
        "run the experiment again (`exprec gc` removes what is left of this one)"
    )
    return InvalidInput([Problem((), message)])


def _recorded(run: RunDirectory) -> str:
    events = sum(1 for _ in run.reader().entries())
    exchanges = sum(1 for _ in run.exchange_reader().exchanges())
    answers = f" and {exchanges} answers of a model" if exchanges else ""
    return f"of which {events} events{answers} are recorded"


def _replayed(store: Store, run: RunDirectory, config: ExperimentConfig) -> RecordedProposer | None:
    """Who answers if the run was a repetition itself: the run that it repeated."""
    replayed = run.work_head.get("replayed")
    return None if replayed is None else recorded_proposer(store.resolve(str(replayed)), config)
