"""What run, resume and rerun share: executing an experiment, and messages about the run it leaves."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from exprec.cli.output.live_output import ExperimentOutput, redaction_lines
from exprec.cli.screen import print_message
from exprec.cli.terminal import start_observing, store_path, wants_progress
from exprec.cli.trust import remember_recorded
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import (
    ExperimentFailed,
    ExprecError,
    InvalidInput,
    NotAsRecorded,
    Problem,
    SimulationError,
    StorageFailure,
    UnrecordedRequest,
)
from exprec.recorder.events import Event
from exprec.recorder.experiment import (
    ExperimentConfig,
    GenericExperimentRunner,
    PreparedExperiment,
    describe_other_rules,
)
from exprec.recorder.proposers import RecordedProposer
from exprec.recorder.replay import trust
from exprec.recorder.sessions import RunOutcome
from exprec.recorder.store import RunDirectory, Store


@dataclass(frozen=True)
class ExperimentExecution:
    """An experiment to execute: its config and files, its store, and its output."""

    config: ExperimentConfig
    folder: Path
    store: Store
    output: ExperimentOutput
    secrets: SecretGuard
    jobs: int = 1
    proposer: RecordedProposer | None = None
    prepared: PreparedExperiment | None = None
    resumed: RunDirectory | None = None
    origin: Mapping[str, str] | None = None

    def run(self) -> None:
        """Execute it, seal the run, print its output and add its execution record.

        Raises ExperimentFailed after a failed run is sealed, and the errors of the runner.
        """
        observation = start_observing(self.folder, self.config.files)
        self._remember()
        runner, failure = self._run()
        assert runner.sealed is not None, "a run that ended without an error is sealed"
        for line in redaction_lines(self.secrets.hits):
            print_message(f"exprec: {line}")
        unwritable: OSError | None = None
        try:
            self.output.close(runner, runner.sealed)
        except OSError as error:
            print_message(f"exprec: the run is sealed: {runner.sealed.run_id}")
            unwritable = None if isinstance(error, BrokenPipeError) else error
        # After the run id is printed, because a full disk must not suppress it.
        executions = runner.attest(observation())
        if not runner.sealed.is_new:
            print_message(f"exprec: reproduced: execution {executions} with the same run id")
        if self.proposer is not None and self.proposer.unused:
            print_message(f"exprec: {self.proposer.unused} recorded exchanges were not used")
        if failure is not None:
            raise failure
        if unwritable is not None:
            raise unwritable

    def _remember(self) -> None:
        """Let this user resume the run and execute it again without being asked."""
        if self.resumed is not None:
            return
        has_own_code = ":" in self.config.simulator
        if has_own_code or trust.is_live(self.config.llm.model):
            remember_recorded(trust.config_key(self.config.to_dict()), f"experiment {self.config.name}")
        if has_own_code:
            # Without an entry, `exprec rerun` asks.
            with suppress(StorageFailure):
                remember_recorded(trust.folder_key(self.folder), f"the modules in {self.folder.absolute()}")

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
                    print_message(self.secrets.redacted(error.__cause__.details.removesuffix("\n")), has_lines=True)
                return runner, error
            except (NotAsRecorded, UnrecordedRequest):
                # A new run was removed, and resuming an old one would stop here again.
                raise
            except (KeyboardInterrupt, ExprecError):
                self._report_proposals(runner)
                report_kept_run(runner.outcome, self.store, "run interrupted", can_resume=True)
                raise
            return runner, None

    def _report_proposals(self, runner: GenericExperimentRunner) -> None:
        """Print the counts of proposals of an interrupted experiment with a model; its log does not have them yet."""
        if runner.state_provider is not None and trust.is_live(self.config.llm.model):
            counts = ", ".join(f"{count} {what}" for what, count in runner.state_provider.proposals.items())
            print_message(f"exprec: proposals: {counts}")


def report_kept_run(outcome: RunOutcome | None, store: Store, why: str, *, can_resume: bool) -> None:
    """Print how to inspect an interrupted run, and how to resume it; nothing if nothing was left."""
    name = None if outcome is None else outcome.interrupted_name
    if name is None:
        return
    print_message(f"exprec: {why}; kept as {name}")
    print_message(f"  inspect: {_command_line('show', name, store.path)}")
    if can_resume:
        print_message(f"  resume:  {_command_line('resume', name, store.path)}")


def recorded_proposer(run: RunDirectory, config: ExperimentConfig) -> RecordedProposer:
    """Return the source of the model responses recorded in a run. Raises InvalidInput if it has none."""
    other_rules = describe_other_rules(run.config)
    if other_rules is not None:
        message = f"run {run.run_id} was {other_rules}, whose requests this version of exprec does not make"
        raise InvalidInput([Problem((), f"{message}; run the experiment without this option", "--replay-exchanges")])
    proposer = RecordedProposer(run.exchange_reader(), config.llm)
    if not proposer.unused:
        message = f"run {run.run_id} has no exchanges to replay: it made no requests to a model"
        raise InvalidInput([Problem((), message, "--replay-exchanges")])
    return proposer


@contextmanager
def show_progress(
    name: str, max_iterations: int | None, *, shows_events: bool
) -> Iterator[Callable[[Event], None] | None]:
    """Yield the function to call with each event to show progress; None where progress is not shown."""
    with ExitStack() as stack:
        if not wants_progress(shows_events=shows_events):
            yield None
            return
        # Imported here because it loads rich.
        from exprec.cli.output.streams import iteration_progress

        yield stack.enter_context(iteration_progress(name, max_iterations))


def _command_line(command: str, name: str, store: Path) -> str:
    """Return the command line of an exprec command for a run of this store."""
    arguments = ["exprec", command, name]
    if store != store_path(None):
        arguments += ["--store", str(store)]
    return shlex.join(arguments)


@contextmanager
def _listening(config: ExperimentConfig, output: ExperimentOutput) -> Iterator[Callable[[Event], None]]:
    """Yield the function to call with each event: it updates the output, while stdout is open, and the progress."""
    broken = False

    def listen(event: Event) -> None:
        nonlocal broken
        if progress is not None:
            progress(event)
        if output.on_event is None or broken:
            return
        try:
            output.on_event(event)
        except OSError as error:
            # The experiment may have cost money: it continues, and is sealed, without output.
            broken = True
            why = (
                "stdout was closed by its reader" if isinstance(error, BrokenPipeError) else f"stdout: {error.strerror}"
            )
            print_message(f"exprec: {why}; the experiment continues")

    with show_progress(
        config.name, config.convergence.max_iterations, shows_events=output.on_event is not None
    ) as progress:
        yield listen
