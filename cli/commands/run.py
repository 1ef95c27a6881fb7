"""`exprec run`: an experiment or a command run, displayed while it runs, and sealed.

It parses, and decides which of the two is meant; how each is run is told in `run_experiment` and `run_command`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click
from click.core import ParameterSource

from exprec.cli.commands.execution import chosen_output, jobs_option
from exprec.cli.commands.run_command import Asked, command_output, record_command
from exprec.cli.commands.run_experiment import Request, describe, record_experiment
from exprec.cli.options import complete_run, display_options, json_option, store_option, verbose_config
from exprec.cli.terminal import processors

_WORDS = "exprec.command"
"""Where the context has the words behind `--`."""

_OF_EXPERIMENTS = ("seed", "model", "replayed", "jobs", "dry_run")
_OF_COMMANDS = ("name", "inputs", "artifacts", "artifact_limit", "schemas", "strict")
_UNITS = {None: 1, "k": 1000, "M": 1000**2, "G": 1000**3}


class _RunCommand(click.Command):
    """Everything behind the first `--` is the command to record, and none of exprec's business."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta[_WORDS] = tuple(args[place + 1 :])
            args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "EXPERIMENT | -- COMMAND [ARG]..."]


class _Size(click.ParamType[int]):
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


@click.command(
    cls=_RunCommand,
    context_settings={"allow_extra_args": True},
    short_help="Run an experiment or any command, and record it.",
)
@click.argument("experiment", required=False, type=click.Path(path_type=Path))
@store_option
@click.option("--name", metavar="TEXT", help="Name the run of a command.  [default: its words]")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="A file that the command reads: recorded by its SHA-256 and size. Repeatable.",
)
@click.option(
    "--artifact",
    "artifacts",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="A file that the command makes: copied into the run. Repeatable.",
)
@click.option("--artifact-limit", type=_Size(), help="The largest artifact to take.  [default: 100MB]")
@click.option(
    "--schemas",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Declare the types of events that the command sends, by the files <type>.schema.json in DIR.",
)
@click.option(
    "--strict/--no-strict",
    default=None,
    help="Refuse events of types that are not declared.  [default: only with --schemas]",
)
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
    """Run the EXPERIMENT in a file (YAML, TOML or JSON), or any COMMAND, record it, and seal the run.

    Of an experiment every event is recorded and displayed. The last line names the address of the run. With --json
    the events are printed as they are recorded, and the address goes to stderr. With --replay-exchanges no model is
    asked: every request must be one that was made in that run, and has the answer that it had then. So the same
    experiment comes to the same address.

    Of a command the words, the --input files, what it writes to stdout and stderr, how it ends and the --artifact
    files are recorded. Its output is passed on as it comes, the address is the last line on stderr, and its exit
    status is that of exprec (128 + n after signal n, 127 not found, 126 not executable; 3 where exprec stopped it, or
    an artifact is missing). It can send events: JSON objects such as {"event_type": "epoch", "iteration": 1,
    "loss": 0.3}, each appended as a line to the file that the variable EXPREC_EVENTS names. With -v they are
    displayed behind its stdout; with --json they are printed as they come, in place of its output.

    \b
    Example:
      exprec run examples/castro/two-period.yaml
      id=$(exprec run -q examples/castro/two-period.yaml)
      exprec run --replay-exchanges 3f5c my-experiment.yaml
      exprec run --input data.csv --artifact model.bin -- python train.py --lr 0.1
    """
    words: tuple[str, ...] | None = context.meta.get(_WORDS)
    if experiment is None:
        if not words:
            raise click.UsageError("give the file of an EXPERIMENT, or a command behind --", context)
        _refuse(context, _OF_EXPERIMENTS, "is for the file of an experiment, not for a command")
        selection = verbose_config(verbose=verbose, switches=switches)
        printed = command_output(selection, color, verbose=verbose, quiet=quiet, as_json=as_json)
        asked = Asked(store, name, inputs, artifacts, artifact_limit, schemas, strict)
        context.exit(record_command(words, asked, printed))
    if words or context.args:
        _refuse_words(context, experiment, words)
    _refuse(context, _OF_COMMANDS, "is for a command (exprec run ... -- COMMAND), not for the file of an experiment")
    output = chosen_output(verbose_config(verbose=verbose, switches=switches), color, quiet=quiet, as_json=as_json)
    asked_for = Request(experiment, store, seed, model, replayed, jobs or processors())
    if dry_run:
        describe(asked_for, as_json=as_json)
    else:
        record_experiment(asked_for, output)


def _refuse(context: click.Context, names: Sequence[str], why: str) -> None:
    """Raise UsageError for the first of these options that was given."""
    for each in context.command.params:
        if each.name in names and context.get_parameter_source(each.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{max(each.opts, key=len)} {why}", context)


def _refuse_words(context: click.Context, experiment: Path, words: tuple[str, ...] | None) -> None:
    """Raise UsageError for an experiment with more words behind it."""
    if words:
        message = f"{experiment} stands before --, and a command behind it: give one of them"
        raise click.UsageError(message, context)
    command = shlex.join([str(experiment), *context.args])
    message = f"{experiment} is taken for an experiment, and no word may follow; to record a command, put -- before it"
    raise click.UsageError(f"{message}:\n  exprec run -- {command}", context)
