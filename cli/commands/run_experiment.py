"""Run the experiment in a file for `exprec run`: check, run and record it, or only describe it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from exprec.cli.commands.execution import Execution, Output, recorded_proposer
from exprec.cli.terminal import known_secrets, store_path
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import InvalidInput, Problem, SecretFound
from exprec.recorder.experiment import ExperimentConfig, PreparedExperiment, prepare_experiment
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers import RecordedProposer
from exprec.recorder.store import RunDirectory, Store, find_run


@dataclass(frozen=True, slots=True)
class Request:
    """The options of an experiment."""

    experiment: Path
    store: Path | None
    seed: int | None
    model: str | None
    replayed: str | None
    jobs: int


@dataclass(frozen=True, slots=True)
class _Ready:
    """An experiment that was checked and can start."""

    config: ExperimentConfig
    location: Path
    secrets: SecretGuard
    repeated: RunDirectory | None
    proposer: RecordedProposer | None
    prepared: PreparedExperiment


def record_experiment(request: Request, output: Output) -> None:
    """Run an experiment and seal the run. Raises InvalidInput before the store is created, and as `Execution.run`."""
    ready = _ready(request)
    folder = request.experiment.parent
    origin = {"folder": str(folder.absolute())}
    if ready.repeated is not None:
        origin["replayed"] = ready.repeated.run_id
    Execution(
        ready.config,
        folder,
        Store.open_or_create(ready.location),
        output,
        ready.secrets,
        request.jobs,
        ready.proposer,
        ready.prepared,
        origin=origin,
    ).run()


def describe(request: Request, *, as_json: bool) -> None:
    """Check an experiment as before a run, and print what would be run and where. Raises InvalidInput."""
    ready = _ready(request)
    config = ready.config
    if as_json:
        sys.stdout.buffer.write(canonical_json.encode(config.resolved()))
        return
    evaluation = config.evaluation
    samples = f", {evaluation.num_samples} samples" if evaluation.mode == "bootstrap" else ""
    click.echo(f"{config.name}: valid; nothing was run")
    click.echo(f"  {evaluation.mode}{samples}, model {config.llm.display_name}, master seed {config.master_seed}")
    click.echo(f"  agents {', '.join(config.optimized_agents)}, at most {config.convergence.max_iterations} iterations")
    click.echo(f"  would be recorded in {ready.location}")


def _ready(request: Request) -> _Ready:
    """Check that the experiment can start, before the store is created. Raises InvalidInput."""
    config = ExperimentConfig.load(request.experiment, seed=request.seed, model=request.model)
    for warning in config.warnings:
        click.echo(f"exprec: warning: {warning}", err=True)
    location = store_path(request.store, config.output_directory)
    secrets = _guard(config, request.experiment)
    repeated = None if request.replayed is None else find_run(request.replayed, location)
    proposer = None if repeated is None else recorded_proposer(repeated, config)
    prepared = prepare_experiment(config, request.experiment.parent, proposer)
    return _Ready(config, location, secrets, repeated, proposer, prepared)


def _guard(config: ExperimentConfig, experiment: Path) -> SecretGuard:
    """Return the secret guard of the run. Raises InvalidInput if the experiment itself contains a secret."""
    secrets = SecretGuard(known_secrets())
    resolved = config.resolved()
    try:
        secrets.check(str(experiment), canonical_json.encode(resolved), resolved)
    except SecretFound as found:
        raise InvalidInput([Problem((), str(found))]) from None
    return secrets
