"""`exprec run`: an experiment run, displayed while it runs, and sealed.

It connects the parts; what happens in the experiment is told in `recorder.optimize`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exprec.cli.environment import known_secrets, processors, store_path
from exprec.cli.execution import Execution, chosen_output, jobs_option, recorded_proposer
from exprec.cli.options import complete_run, display_options, json_option, store_option, verbose_config
from exprec.recorder import canonical
from exprec.recorder.errors import InvalidInput, Problem
from exprec.recorder.optimize.config import ExperimentConfig
from exprec.recorder.optimize.loop import OptimizationLoop
from exprec.recorder.secrets import SecretFound, SecretGuard
from exprec.recorder.store.store import Store, find_run


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@store_option
@click.option("--seed", type=click.IntRange(min=0), help="Use this master seed instead of the experiment's.")
@click.option("--model", metavar="M", help="Ask this model: search, scripted:FILE or PROVIDER:NAME.")
@click.option(
    "--replay-exchanges",
    "replayed",
    metavar="RUN",
    shell_complete=complete_run,
    help="Take the answers that the model gave in this run; needs no key and no network.",
)
@jobs_option
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
    output = chosen_output(verbose_config(verbose=verbose, switches=switches), color, quiet=quiet, as_json=as_json)
    config = ExperimentConfig.load(experiment, seed=seed, model=model)
    for warning in config.warnings:
        click.echo(f"exprec: warning: {warning}", err=True)
    location = store_path(store, config.output_directory)
    # What cannot begin is found out here, before there is a store.
    secrets = _guard(config, experiment)
    origin = {"folder": str(experiment.parent.absolute())}
    proposer = None
    if replayed is not None:
        repeated = find_run(replayed, location)
        origin["replayed"] = repeated.run_id
        proposer = recorded_proposer(repeated, config)
    OptimizationLoop(config, experiment.parent, proposer=proposer)
    if dry_run:
        _describe(config, location, as_json=as_json)
        return
    store_there = Store.open_or_create(location)
    Execution(
        config, experiment.parent, store_there, output, secrets, jobs or processors(), proposer, origin=origin
    ).run()


def _guard(config: ExperimentConfig, experiment: Path) -> SecretGuard:
    """The guard of the run. Raises InvalidInput when a secret stands in the experiment itself."""
    secrets = SecretGuard(known_secrets())
    resolved = config.resolved()
    try:
        secrets.check(str(experiment), canonical.encode(resolved), resolved)
    except SecretFound as found:
        raise InvalidInput([Problem((), str(found))]) from None
    return secrets


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
