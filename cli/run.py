"""`exprec run`: an experiment run, displayed while it runs, and sealed.

It connects the parts; what happens in the experiment is told in `recorder.optimize`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from exprec.cli.environment import known_secrets, processors, start_observing, store_path, wants_color, wants_progress
from exprec.cli.options import display_options, json_option, store_option, verbose_config
from exprec.cli.render.console import make_console
from exprec.cli.render.display import EventDisplay
from exprec.recorder import canonical
from exprec.recorder.errors import ExperimentFailed, ExprecError, InvalidInput, Problem, SimulationError
from exprec.recorder.events import Event
from exprec.recorder.optimize.config import ExperimentConfig
from exprec.recorder.optimize.loop import OptimizationLoop
from exprec.recorder.optimize.recorded import RecordedProposer, UnrecordedRequest
from exprec.recorder.optimize.runner import GenericExperimentRunner
from exprec.recorder.secrets import SecretFound, SecretGuard
from exprec.recorder.store.recording import Sealed
from exprec.recorder.store.store import Store, find_run
from exprec.recorder.verbosity import VerboseConfig


@dataclass(frozen=True)
class _Output:
    """What goes to stdout while an experiment runs, and when it is sealed."""

    listener: Callable[[Event], None] | None
    close: Callable[[GenericExperimentRunner, Sealed], None]


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@store_option
@click.option("--seed", type=click.IntRange(min=0), help="Use this master seed instead of the experiment's.")
@click.option("--model", metavar="M", help="Ask this model: search, scripted:FILE or PROVIDER:NAME.")
@click.option(
    "--replay-exchanges",
    "replayed",
    metavar="RUN",
    help="Take the answers that the model gave in this run; needs no key and no network.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    show_default=True,
    help="Simulate the samples of an evaluation in N processes, 0: one a core. The results are the same.",
)
@display_options
@click.option("-q", "--quiet", is_flag=True, help="Print the address of the run and nothing else.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be run, without running it.")
@json_option
def run(
    experiment: Path,
    store: Path | None,
    seed: int | None,
    model: str | None,
    replayed: str | None,
    jobs: int,
    verbose: bool,
    color: str,
    quiet: bool,
    dry_run: bool,
    as_json: bool,
    **switches: bool | None,
) -> None:
    """Run the EXPERIMENT in a file (YAML, TOML or JSON), record every event, and seal the run.

    The last line names the address of the run. With --json the events are printed as they are recorded,
    and the address goes to stderr.

    With --replay-exchanges no model is asked: every request must be one that was made in that run, and has
    the answer that it had then. So the same experiment comes to the same address.

    \b
    Example:
      exprec run examples/castro/two-period.yaml
      id=$(exprec run -q examples/castro/two-period.yaml)
      exprec run --replay-exchanges 3f5c my-experiment.yaml
    """
    if quiet and as_json:
        raise click.UsageError("-q prints the address only, --json the events: give one of them")
    config = ExperimentConfig.load(experiment, seed=seed, model=model)
    for warning in config.warnings:
        click.echo(f"exprec: warning: {warning}", err=True)
    location = store_path(store, config.output_directory)
    # What cannot begin is found out here, before there is a store.
    secrets = _guard(config, experiment)
    proposer = _recorded_proposer(replayed, location, config) if replayed is not None else None
    OptimizationLoop(config, experiment.parent, proposer=proposer)
    if dry_run:
        _describe(config, location, as_json=as_json)
        return
    selection = verbose_config(verbose=verbose, switches=switches)
    output = _json_output() if as_json else _quiet_output() if quiet else _display_output(selection, color)
    _execute(config, experiment.parent, Store.open_or_create(location), output, secrets, proposer, jobs or processors())


def _guard(config: ExperimentConfig, experiment: Path) -> SecretGuard:
    """The guard of the run. Raises InvalidInput when a secret stands in the experiment itself."""
    secrets = SecretGuard(known_secrets())
    resolved = config.resolved()
    try:
        secrets.check(str(experiment), canonical.encode(resolved), resolved)
    except SecretFound as found:
        raise InvalidInput([Problem((), str(found))]) from None
    return secrets


def _recorded_proposer(reference: str, location: Path, config: ExperimentConfig) -> RecordedProposer:
    directory = find_run(reference, location)
    exchanges = directory.exchanges()
    if not exchanges:
        message = f"the run {directory.run_id} has no exchanges to replay: no model was asked in it"
        raise InvalidInput([Problem((), message, "--replay-exchanges")])
    return RecordedProposer(exchanges, config.llm)


def _execute(
    config: ExperimentConfig,
    folder: Path,
    store: Store,
    output: _Output,
    secrets: SecretGuard,
    proposer: RecordedProposer | None,
    jobs: int,
) -> None:
    finish = start_observing(folder)
    with _listening(config, output) as listener:
        runner = GenericExperimentRunner(
            config, None, folder, store=store, listener=listener, proposer=proposer, secrets=secrets, jobs=jobs
        )
        failure: ExperimentFailed | None = None
        try:
            asyncio.run(runner.run())
        except ExperimentFailed as error:
            failure = error
            if isinstance(error.__cause__, SimulationError) and error.__cause__.details:
                click.echo(secrets.redacted(error.__cause__.details), nl=False, err=True)
        except UnrecordedRequest:
            raise  # nothing is left of it
        except (KeyboardInterrupt, ExprecError):
            _say_what_is_left(runner)
            raise
    sealed = runner.sealed
    assert sealed is not None, "a run that ended without an error is sealed"
    unwritable: OSError | None = None
    try:
        output.close(runner, sealed)
    except OSError as error:
        click.echo(f"exprec: the run is sealed: {sealed.run_id}", err=True)
        unwritable = None if isinstance(error, BrokenPipeError) else error
    # After the address is out: a disk that is full by now shall not keep it back.
    store.attest(sealed.run_id, finish())
    if not sealed.is_new:
        executions = len(store.attestations(sealed.run_id))
        click.echo(f"exprec: reproduced: execution {executions} of this run reached the same address", err=True)
    if proposer is not None and proposer.unused:
        click.echo(f"exprec: {proposer.unused} of the recorded exchanges were not asked for again", err=True)
    if failure is not None:
        raise failure
    if unwritable is not None:
        raise unwritable


@contextmanager
def _listening(config: ExperimentConfig, output: _Output) -> Iterator[Callable[[Event], None]]:
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
            from exprec.cli.render.progress import iteration_progress

            progress = stack.enter_context(iteration_progress(config.name, config.convergence.max_iterations))
        yield listen


def _say_what_is_left(runner: GenericExperimentRunner) -> None:
    """Where to find what was recorded of a run that did not come to its end."""
    if runner.state_provider is not None and runner.state_provider.get_run_metadata()["events"]:
        click.echo(
            f"exprec: not sealed; what was recorded is kept: exprec show {runner.state_provider.run_id}", err=True
        )


def _display_output(selection: VerboseConfig, color: str) -> _Output:
    display = EventDisplay(make_console(sys.stdout, color=wants_color(color)), selection)

    def show(event: Event) -> None:
        display.show(event)
        sys.stdout.flush()

    def close(runner: GenericExperimentRunner, _: Sealed) -> None:
        assert runner.state_provider is not None
        display.close(runner.state_provider)

    return _Output(show, close)


def _json_output() -> _Output:
    def show(event: Event) -> None:
        sys.stdout.buffer.write(canonical.encode(event))
        sys.stdout.buffer.flush()

    return _Output(show, lambda _, sealed: click.echo(sealed.run_id, err=True))


def _quiet_output() -> _Output:
    return _Output(None, lambda _, sealed: click.echo(sealed.run_id))


def _describe(config: ExperimentConfig, location: Path, *, as_json: bool) -> None:
    """Say what would be run, and where it would be recorded."""
    if as_json:
        sys.stdout.buffer.write(canonical.encode(config.resolved()))
        return
    evaluation = config.evaluation
    samples = f", {evaluation.num_samples} samples" if evaluation.mode == "bootstrap" else ""
    click.echo(f"{config.name}: valid, nothing was run")
    click.echo(f"  {evaluation.mode}{samples}, model {config.llm.display_name}, master seed {config.master_seed}")
    click.echo(f"  agents {', '.join(config.optimized_agents)}, at most {config.convergence.max_iterations} iterations")
    click.echo(f"  would be recorded in {location}")
