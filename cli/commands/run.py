"""`exprec run`: run and record an experiment or a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import click
from click.core import ParameterSource

from exprec.cli.completion import complete_run
from exprec.cli.execution import ExperimentExecution, recorded_proposer, report_kept_run
from exprec.cli.options import (
    allow_secret_option,
    display_options,
    import_option,
    jobs_option,
    json_option,
    quiet_option,
    redact_option,
    store_option,
    verbose_config,
)
from exprec.cli.output.live_output import (
    CommandOutput,
    ExperimentOutput,
    choose_command_output,
    choose_experiment_output,
)
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.screen import print_message
from exprec.cli.terminal import child_environment, make_guard, processors, start_observing, store_path
from exprec.cli.trust import remember_recorded
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import InvalidInput, Problem, SecretFound, StorageFailure
from exprec.recorder.events import EventTypes
from exprec.recorder.experiment import ExperimentConfig, PreparedExperiment, prepare_experiment
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers import RecordedProposer
from exprec.recorder.sessions import Command, CommandRunner
from exprec.recorder.store import RunDirectory, Store, find_run

_ARGV = "exprec.command"
"""The key of the recorded command line in the metadata of the context."""

_OF_EXPERIMENTS = ("seed", "model", "replayed", "jobs", "dry_run", "imports")
_OF_COMMANDS = ("name", "inputs", "artifacts", "artifact_limit", "schemas", "strict", "on_bad_event")
_UNITS = {None: 1, "k": 1000, "M": 1000**2, "G": 1000**3}


class _RunCommand(click.Command):
    """Take everything after the first `--` as the command to record, unparsed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta[_ARGV] = tuple(args[place + 1 :])
            args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "EXPERIMENT | -- COMMAND [ARG]..."]


class _Size(click.ParamType):  # type: ignore[type-arg] # not generic before click 8.4
    name = "SIZE"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([kMG])?B)?", value)
        if match is None:
            self.fail(
                f"'{value}' is not a size such as 250MB or 1.5GB (kB, MB, GB, or bytes without a unit)", param, ctx
            )
        return int(Decimal(match[1]) * _UNITS[match[2]])


@dataclass(frozen=True, slots=True)
class _CommandOptions:
    """The options of a recorded command."""

    store: Path | None = None
    name: str | None = None
    inputs: Sequence[str] = ()
    artifacts: Sequence[str] = ()
    artifact_limit: int | None = None
    schemas: Path | None = None
    strict: bool | None = None
    on_bad_event: str = "fail"
    allowed: Sequence[str] = ()
    redacts: bool = False


@dataclass(frozen=True, slots=True)
class _ExperimentOptions:
    """The options of an experiment."""

    experiment: Path
    store: Path | None
    seed: int | None
    model: str | None
    replayed: str | None
    jobs: int
    allowed: Sequence[str]
    redacts: bool


@dataclass(frozen=True, slots=True)
class _ReadyExperiment:
    """An experiment that was checked and can start."""

    config: ExperimentConfig
    location: Path
    secrets: SecretGuard
    replayed: RunDirectory | None
    proposer: RecordedProposer | None
    prepared: PreparedExperiment | None
    """None if its simulator was not to be imported."""


@click.command(
    cls=_RunCommand,
    context_settings={"allow_extra_args": True},
)
@click.argument("experiment", required=False, type=click.Path(path_type=Path))
@store_option
@click.option("--name", metavar="TEXT", help="Name the run of a command.  [default: its command line]")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="An input file of the command: its path as given, SHA-256 and size are recorded. Repeatable.",
)
@click.option(
    "--artifact",
    "artifacts",
    multiple=True,
    metavar="PATH",
    type=click.Path(),
    help="An output file or folder of the command: what it writes there is copied into the run. Repeatable.",
)
@click.option("--artifact-limit", type=_Size(), help="The maximum size of a file of the artifacts.  [default: 100MB]")
@click.option(
    "--schemas",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Declare the event types of the command by the files <type>.schema.json in DIR.",
)
@click.option(
    "--strict/--no-strict",
    default=None,
    help="Reject events of undeclared types.  [default: only with --schemas]",
)
@click.option(
    "--on-bad-event",
    type=click.Choice(["fail", "mark", "drop"]),
    default="fail",
    show_default=True,
    help="What an event that cannot be recorded does, once the command has ended: the run is sealed as failed; or as "
    "completed, with the event in its result; or without a trace of the event.",
)
@click.option("--seed", type=click.IntRange(min=0), help="The master seed, instead of that of the experiment.")
@click.option("--model", metavar="M", help="The model: search, scripted:FILE or PROVIDER:NAME.")
@click.option(
    "--replay-exchanges",
    "replayed",
    metavar="RUN",
    shell_complete=complete_run,
    help="Replay the model responses of this run; needs no key and no network.",
)
@jobs_option
@allow_secret_option
@redact_option
@display_options
@quiet_option
@click.option("--dry-run", is_flag=True, help="Check the experiment and print what would be run, without running it.")
@import_option
@json_option
@click.pass_context
def run(
    context: click.Context,
    /,
    experiment: Path | None,
    store: Path | None,
    name: str | None,
    inputs: tuple[str, ...],
    artifacts: tuple[str, ...],
    artifact_limit: int | None,
    schemas: Path | None,
    strict: bool | None,
    on_bad_event: str,
    seed: int | None,
    model: str | None,
    replayed: str | None,
    jobs: int,
    allowed: tuple[str, ...],
    redacts: bool,
    verbose: bool,
    color: str,
    quiet: bool,
    dry_run: bool,
    imports: bool,
    as_json: bool,
    **switches: bool | None,
) -> None:
    """Run the EXPERIMENT in a file (YAML, TOML or JSON), or any COMMAND, record it, and seal the run.

    Every event of an experiment is recorded and displayed; the last line is the run id. With --json the events are
    printed as recorded, and the run id goes to stderr. With --replay-exchanges no model is called: every request
    must have been made in that run, and gets the response recorded there, so the same experiment produces the same
    run id.

    Of a command, exprec records the command line, the --input files, its stdout and stderr, its exit status and the
    --artifact files. The output is passed through, the run id is the last line on stderr, and exprec exits with the
    exit status of the command (128 + n after signal n, 127 if not found, 126 if not executable; 3 if an event
    cannot be recorded, or an artifact is missing). The command can send events: JSON objects such as
    {"event_type": "epoch", "iteration": 1, "loss": 0.3}, appended as lines to the file named by the variable
    EXPREC_EVENTS. With -v they are displayed after its stdout; with --json they are printed as they arrive, instead of
    its output.

    \b
    Example:
      exprec run examples/castro/two-period.yaml
      id=$(exprec run -q examples/castro/two-period.yaml)
      exprec run --replay-exchanges 3f5c my-experiment.yaml
      exprec run --input data.csv --artifact model.bin -- python train.py --lr 0.1
    """
    argv: tuple[str, ...] | None = context.meta.get(_ARGV)
    if experiment is None:
        if not argv:
            raise click.UsageError("give either the file of an EXPERIMENT, or a command after --", context)
        _refuse_options(context, _OF_EXPERIMENTS, "applies to experiments, not to a command")
        selection = verbose_config(verbose=verbose, switches=switches)
        printed = choose_command_output(selection, color, verbose=verbose, quiet=quiet, as_json=as_json)
        options = _CommandOptions(
            store, name, inputs, artifacts, artifact_limit, schemas, strict, on_bad_event, allowed, redacts
        )
        context.exit(_record_command(argv, options, printed))
    if argv or context.args:
        _refuse_arguments(context, experiment, argv)
    _refuse_options(context, _OF_COMMANDS, "applies to a command (exprec run ... -- COMMAND), not to experiments")
    output = choose_experiment_output(
        verbose_config(verbose=verbose, switches=switches), color, quiet=quiet, as_json=as_json
    )
    request = _ExperimentOptions(experiment, store, seed, model, replayed, jobs or processors(), allowed, redacts)
    if imports and not dry_run:
        raise click.UsageError("--import applies to --dry-run; a run always imports its simulator", context)
    if dry_run:
        ready = _prepare(request, imports=imports)
        choose_reporter(as_json=as_json).experiment(ready.config, ready.location)
    else:
        _record_experiment(request, output)


def _refuse_options(context: click.Context, names: Sequence[str], why: str) -> None:
    """Raise UsageError for the first of these options on the command line."""
    for each in context.command.params:
        if each.name in names and context.get_parameter_source(each.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{max(each.opts, key=len)} {why}", context)


def _refuse_arguments(context: click.Context, experiment: Path, argv: tuple[str, ...] | None) -> None:
    """Raise UsageError for an experiment followed by arguments or by a command."""
    if argv:
        message = f"give either the experiment {experiment}, or the command after --"
        raise click.UsageError(message, context)
    command = shlex.join([str(experiment), *context.args])
    message = f"{experiment} is taken as an experiment, which has no arguments; to record a command, put -- before it"
    raise click.UsageError(f"{message}:\n  exprec run -- {command}", context)


def _record_experiment(request: _ExperimentOptions, output: ExperimentOutput) -> None:
    """Run an experiment and seal the run.

    Raises InvalidInput before the store is created, and as `ExperimentExecution.run`.
    """
    ready = _prepare(request)
    folder = request.experiment.parent
    origin = {"folder": str(folder.absolute())}
    if ready.replayed is not None:
        origin["replayed"] = ready.replayed.run_id
    ExperimentExecution(
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


def _prepare(request: _ExperimentOptions, *, imports: bool = True) -> _ReadyExperiment:
    """Check that the experiment can start, before the store is created. Raises InvalidInput."""
    config = ExperimentConfig.load(request.experiment, seed=request.seed, model=request.model, imports=imports)
    for warning in config.warnings:
        print_message(f"exprec: warning: {warning}")
    location = store_path(request.store, config.output_directory)
    secrets = _make_guard(config, request)
    replayed = None if request.replayed is None else find_run(request.replayed, location)
    proposer = None if replayed is None else recorded_proposer(replayed, config)
    is_prepared = imports or ":" not in config.simulator
    prepared = prepare_experiment(config, request.experiment.parent, proposer) if is_prepared else None
    return _ReadyExperiment(config, location, secrets, replayed, proposer, prepared)


def _make_guard(config: ExperimentConfig, request: _ExperimentOptions) -> SecretGuard:
    """Return the secret guard of the run. Raises InvalidInput if the experiment itself contains a secret."""
    secrets = make_guard(request.allowed, redacts=request.redacts)
    resolved = config.to_dict()
    try:
        secrets.check(str(request.experiment), canonical_json.encode(resolved), resolved)
    except SecretFound as found:
        raise InvalidInput([Problem((), str(found))]) from None
    return secrets


def _record_command(argv: Sequence[str], options: _CommandOptions, output: CommandOutput) -> int:
    """Run and record a command in the current directory; returns the exit code.

    Raises InvalidInput, SecretFound, StorageFailure.
    """
    folder = Path.cwd()
    command = Command.described(
        argv,
        folder,
        inputs=options.inputs,
        artifacts=options.artifacts,
        artifact_limit=options.artifact_limit,
        name=options.name,
        on_bad_event=options.on_bad_event,
    )
    types = _event_types(options)
    secrets = make_guard(options.allowed, redacts=options.redacts)
    config = command.as_config(strict=types.is_strict)
    if not options.redacts:
        # Refuse a command with a secret before the store is created.
        secrets.check("the command", canonical_json.encode(config), config)
    store = Store.open_or_create(store_path(options.store))
    observation = start_observing(folder, command.files(folder))
    runner = CommandRunner(
        command,
        folder,
        child_environment(),
        store=store,
        secrets=secrets,
        types=types,
        on_event=output.on_event,
        on_output=output.on_output,
    )
    try:
        outcome = runner.run()
    except StorageFailure:
        why = "the command was stopped; the run is not sealed"
        report_kept_run(runner.outcome, store, why, can_resume=False)
        raise
    remember_recorded(f"run-{outcome.sealed.run_id}", f"in {folder}: {shlex.join(argv)}")
    output.close(runner, outcome)
    # After the run id is printed, because a full disk must not suppress it.
    executions = runner.attest(observation())
    if not outcome.sealed.is_new:
        output.report_reproduced(executions)
    if output.unwritable is not None and outcome.failure is None:
        raise output.unwritable
    return 0 if outcome.failure is None else outcome.failure.code


def _event_types(options: _CommandOptions) -> EventTypes:
    if options.schemas is None:
        return EventTypes(strict=options.strict)
    return EventTypes.in_folder(options.schemas, strict=options.strict)
