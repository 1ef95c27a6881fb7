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
from exprec.recorder.diagnostics.secret_guard import SecretGuard
from exprec.recorder.display.console import make_console
from exprec.recorder.display.display import EventDisplay
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.errors import ExperimentFailed, ExprecError, InvalidInput, NotAsRecorded, Problem, SimulationError
from exprec.recorder.events import Event
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.recorded import RecordedProposer, UnrecordedRequest
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.format import canonical_json
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
    resumed: RunDirectory | None = None
    origin: Mapping[str, str] | None = None

    def run(self) -> None:
        """Execute it and attest it. Raises ExperimentFailed after the failed run is sealed; see the runner's errors."""
        finish = start_observing(self.folder)
        runner, failure = self._run()
        sealed = runner.sealed
        assert sealed is not None, "a run that ended without an error is sealed"
        unwritable: OSError | None = None
        try:
            self.output.close(runner, sealed)
        except OSError as error:
            click.echo(f"exprec: the run is sealed: {sealed.run_id}", err=True)
            unwritable = None if isinstance(error, BrokenPipeError) else error
        # After the address is out: a disk that is full by now shall not keep it back.
        self.store.attest(sealed.run_id, finish())
        if not sealed.is_new:
            executions = len(self.store.attestations(sealed.run_id))
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
                None,
                self.folder,
                store=self.store,
                listener=listener,
                proposer=self.proposer,
                secrets=self.secrets,
                jobs=self.jobs,
                resumed=self.resumed,
                origin=self.origin,
            )
            try:
                asyncio.run(runner.run())
            except ExperimentFailed as error:
                if isinstance(error.__cause__, SimulationError) and error.__cause__.details:
                    click.echo(self.secrets.redacted(error.__cause__.details), nl=False, err=True)
                return runner, error
            except (NotAsRecorded, UnrecordedRequest):
                # Of a new run nothing is left, and to go on with an old one would end here again.
                raise
            except (KeyboardInterrupt, ExprecError):
                self._say_what_is_left(runner)
                raise
            return runner, None

    def _say_what_is_left(self, runner: GenericExperimentRunner) -> None:
        """How to look at a run that did not come to its end, and how to go on with it."""
        provider = runner.state_provider
        if self.resumed is not None:
            name = self.resumed.run_id
        elif provider is not None and provider.run_id is not None and provider.get_run_metadata()["events"]:
            name = provider.run_id
        else:
            return
        if name not in self.store.work_names():
            # What failed came after the seal, or could not even begin.
            return
        click.echo("exprec: not sealed; what was recorded is kept", err=True)
        click.echo(f"  to look at it  {command_line('show', name, self.store.path)}", err=True)
        click.echo(f"  to go on       {command_line('resume', name, self.store.path)}", err=True)


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
