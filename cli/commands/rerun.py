"""`exprec rerun`: execute runs again, offline, and report whether they reproduce."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from exprec.cli.completion import complete_run
from exprec.cli.execution import show_progress
from exprec.cli.options import allow_secret_option, jobs_option, json_option, redact_option, store_option
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.screen import print_message
from exprec.cli.terminal import (
    environment_without_secrets,
    make_guard,
    processors,
    reduced_environment,
    replace_environment,
    start_observing,
    store_path,
)
from exprec.cli.trust import require_trust, trust_option
from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.experiment import EXPERIMENT_TYPE
from exprec.recorder.format import layout
from exprec.recorder.replay import check_sealed, execute_again, trust
from exprec.recorder.state import Listener
from exprec.recorder.store import RunDirectory, Store, find_run

_NOT_IDENTICAL = 1


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
@trust_option
@click.option("--env", "names", multiple=True, metavar="NAME", help="Pass this variable to the execution. Repeatable.")
@jobs_option
@allow_secret_option
@redact_option
@json_option
@click.pass_context
def rerun(
    context: click.Context,
    runs: tuple[str, ...],
    store: Path | None,
    files: Path,
    is_trusted: bool,
    names: tuple[str, ...],
    jobs: int,
    allowed: tuple[str, ...],
    redacts: bool,
    as_json: bool,
) -> None:
    """Execute runs again, offline, and report whether they reproduce. Models are not called; no key is needed.

    RUN is a run id, a prefix of 4 or more digits, a tag, or the path of a run directory. An experiment is executed
    from the run alone: its config.json and the recorded responses of models. Only a custom simulator is loaded from
    --files, in its current version.

    A command is executed as recorded, in --files. Its inputs must be there, unchanged. It writes its artifacts there
    again, reads the stdin of exprec unless that is a terminal, and its output is compared, not printed.

    Commands and custom simulators that were not recorded here are executed only with --trust, after `exprec trust`,
    or when you confirm it on a terminal; inspect them first. They get the variables PATH, HOME, LANG, LC_*, TZ, TMPDIR,
    VIRTUAL_ENV and those named by --env. What you recorded gets all variables but known secrets, and those of --env.

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
    guard = make_guard(allowed)
    reporter = choose_reporter(as_json=as_json, redact=guard.redacted)
    all_identical = True
    # All of them are found, and trusted, before the first is executed.
    executions = [_find_trusted(reference, files, store, is_trusted=is_trusted) for reference in runs]
    own, reduced = environment_without_secrets(names), reduced_environment(names)
    for directory, origin in executions:
        if origin is trust.Origin.TRUSTED:
            replace_environment(reduced)
        observation = start_observing(files)
        with _show_progress(directory) as listener:
            result = execute_again(
                directory,
                files=files,
                jobs=jobs or processors(),
                # Placeholders are numbered within a run.
                secrets=make_guard(allowed, redacts=True) if redacts else guard,
                environment=reduced if origin is trust.Origin.TRUSTED else own,
                has_input=not sys.stdin.isatty(),
                listener=listener,
            )
        reporter.rerun(result)
        if result.is_identical:
            _attest(directory, observation())
        else:
            all_identical = False
    if not all_identical:
        context.exit(_NOT_IDENTICAL)


def _find_trusted(
    reference: str, files: Path, store: Path | None, *, is_trusted: bool
) -> tuple[RunDirectory, trust.Origin | None]:
    """Find a sealed run, check its digests, and return it with the reason to trust it; None if it needs none.

    Raises InvalidInput if it is not sealed or not trusted, NotVerified, RunNotFound.
    """
    run = find_run(reference, store_path(store))
    check_sealed(run)
    execution = trust.find_execution(run, files)
    if execution is None:
        return run, None
    return run, require_trust(execution, "rerun", reference, files=files, store=store, is_trusted=is_trusted)


@contextmanager
def _show_progress(run: RunDirectory) -> Iterator[Listener | None]:
    if run.type != EXPERIMENT_TYPE:
        yield None
        return
    limit = run.config.get("convergence", {}).get("max_iterations")
    with show_progress(run.name, limit, shows_events=False) as listener:
        yield listener


def _attest(run: RunDirectory, observation: dict[str, object]) -> None:
    """Add an execution record to the store of the run; a run outside a store has none."""
    folder = run.path.resolve().parent
    if not layout.is_run_id(run.path.resolve().name) or not (folder / layout.STORE_FILE).is_file():
        print_message("exprec: the run is not in a store; no execution record was added")
        return
    try:
        Store(folder).attest(run.run_id, observation)
    except (Damaged, StorageFailure) as error:
        print_message(f"exprec: the execution record could not be written: {error}")
