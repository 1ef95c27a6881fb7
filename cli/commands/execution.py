"""An experiment executed for a command: displayed while it runs, attested when it is sealed.

Which experiment, and whether it is a new run or goes on with one, is told by the commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from exprec.cli.terminal import start_observing, store_path, wants_color, wants_progress
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.display.console import make_console
from exprec.recorder.display.display import EventDisplay
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.errors import ExperimentFailed, ExprecError, InvalidInput, NotAsRecorded, Problem, SimulationError
from exprec.recorder.events import Event
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.loop import PreparedExperiment
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.recorded import RecordedProposer, UnrecordedRequest
from exprec.recorder.sessions.session import RunOutcome
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import Sealed

jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    show_default=True,
    help="Simulate the samples of an evaluation in N processes, 0: one a core. The results are the same.",
)


@dataclass(frozen=True)
class Output:
    """What goes to stdout while an experiment runs, and when it is sealed."""

    listener: Callable[[Event], None] | None
    close: Callable[[GenericExperimentRunner, Sealed], None]


@dataclass(frozen=True)
class Execution:
    """An experiment about to be executed: what, where its files lie, and where it is recorded and displayed."""

    config: ExperimentConfig
    folder: Path
    store: Store
    output: Output
    secrets: SecretGuard
    jobs: int = 1
    proposer: RecordedProposer | None = None
    prepared: PreparedExperiment | None = None
    resumed: RunDirectory | None = None
    origin: Mapping[str, str] | None = None

    def run(self) -> None:
        """Execute it, print its output, and add its execution record.

        Raises ExperimentFailed after the failed run is sealed; else as the runner does.
        """
        observation = start_observing(self.folder)
        runner, failure = self._run()
        assert runner.sealed is not None, "a run that ended without an error is sealed"
        unwritable: OSError | None = None
        try:
            self.output.close(runner, runner.sealed)
        except OSError as error:
            click.echo(f"exprec: the run is sealed: {runner.sealed.run_id}", err=True)
            unwritable = None if isinstance(error, BrokenPipeError) else error
        # After the run id is printed, because a full disk must not keep it back.
        executions = runner.attest(observation())
        if not runner.sealed.is_new:
            click.echo(f"exprec: reproduced: execution {executions} of this run reached the same address", err=True)
        if self.proposer is not None and self.proposer.unused:
            click.echo(f"exprec: {self.proposer.unused} of the recorded exchanges were not asked for again", err=True)
        if failure is not None:
            raise failure
        if unwritable is not None:
            raise unwritable

    def _run(self) -> tuple[GenericExperimentRunner, ExperimentFailed | None]:
        with _listening(self.config, self.output) as listener:
            runner = GenericExperimentRunner(
                self.config,
                config_dir=self.folder,
                store=self.store,
                listener=listener,
                proposer=self.proposer,
                secrets=self.secrets,
                jobs=self.jobs,
                resumed=self.resumed,
                origin=self.origin,
                prepared=self.prepared,
            )
            try:
                asyncio.run(runner.run())
            except ExperimentFailed as error:
                if isinstance(error.__cause__, SimulationError) and error.__cause__.details:
                    click.echo(self.secrets.redacted(error.__cause__.details), nl=False, err=True)
                return runner, error
            except (NotAsRecorded, UnrecordedRequest):
                # A new run was removed, and resuming an old one would stop here again.
                raise
            except (KeyboardInterrupt, ExprecError):
                say_what_is_left(runner.outcome, self.store, "not sealed; what was recorded is kept", can_resume=True)
                raise
            return runner, None


def say_what_is_left(outcome: RunOutcome | None, store: Store, why: str, *, can_resume: bool) -> None:
    """Print how to look at an interrupted run, and how to resume it; nothing if nothing was left."""
    name = None if outcome is None else outcome.interrupted_name
    if name is None:
        return
    click.echo(f"exprec: {why}", err=True)
    click.echo(f"  to look at it  {command_line('show', name, store.path)}", err=True)
    if can_resume:
        click.echo(f"  to go on       {command_line('resume', name, store.path)}", err=True)


def recorded_proposer(run: RunDirectory, config: ExperimentConfig) -> RecordedProposer:
    """Who answers as the model answered in a run. Raises InvalidInput when no model was asked in it."""
    exchanges = run.exchanges()
    if not exchanges:
        message = f"the run {run.run_id} has no exchanges to replay: no model was asked in it"
        raise InvalidInput([Problem((), message, "--replay-exchanges")])
    return RecordedProposer(exchanges, config.llm)


def command_line(command: str, name: str, store: Path) -> str:
    """What a user types to call a command for a run of this store."""
    arguments = ["exprec", command, name]
    if store != store_path(None):
        arguments += ["--store", str(store)]
    return shlex.join(arguments)


@contextmanager
def _listening(config: ExperimentConfig, output: Output) -> Iterator[Callable[[Event], None]]:
    """What is called with each event: the output, as long as somebody reads it, and progress on a terminal."""
    progress: Callable[[Event], None] | None = None
    broken = False

    def listen(event: Event) -> None:
        nonlocal broken
        if progress is not None:
            progress(event)
        if output.listener is None or broken:
            return
        try:
            output.listener(event)
        except OSError as error:
            # The experiment may have cost money: it goes on, and is sealed, without its reader.
            broken = True
            why = (
                "nobody reads the output any more"
                if isinstance(error, BrokenPipeError)
                else f"stdout: {error.strerror}"
            )
            click.echo(f"exprec: {why}; the experiment goes on", err=True)

    with contextlib.ExitStack() as stack:
        if wants_progress(shows_events=output.listener is not None):
            from exprec.cli.output.progress import iteration_progress

            progress = stack.enter_context(iteration_progress(config.name, config.convergence.max_iterations))
        yield listen


def chosen_output(selection: VerboseConfig, color: str, *, quiet: bool, as_json: bool) -> Output:
    """The output for these options of a command. Raises UsageError for two that exclude each other."""
    if quiet and as_json:
        raise click.UsageError("-q prints the address only, --json the events: give one of them")
    return _json_output() if as_json else _quiet_output() if quiet else _display_output(selection, color)


def _display_output(selection: VerboseConfig, color: str) -> Output:
    display = EventDisplay(make_console(sys.stdout, color=wants_color(color)), selection)

    def show(event: Event) -> None:
        display.show(event)
        sys.stdout.flush()

    def close(runner: GenericExperimentRunner, _: Sealed) -> None:
        assert runner.state_provider is not None
        display.close(runner.state_provider)

    return Output(show, close)


def _json_output() -> Output:
    def show(event: Event) -> None:
        sys.stdout.buffer.write(canonical_json.encode(event))
        sys.stdout.buffer.flush()

    return Output(show, lambda _, sealed: click.echo(sealed.run_id, err=True))


def _quiet_output() -> Output:
    return Output(None, lambda _, sealed: click.echo(sealed.run_id))
