"""The command `exprec`: its subcommands by name, and errors turned into messages and exit codes.

What the subcommands do is told in a file each; a file is imported only when its command is called.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from exprec.cli.terminal import known_secrets
from exprec.recorder.errors import Damaged, ExprecError, InvalidInput
from exprec.recorder.version import VERSION

_COMMANDS = {
    "init": "Create a store, and set up git to show and verify runs.",
    "run": "Run an experiment or any command, and record it.",
    "resume": "Go on with an interrupted run.",
    "rerun": "Execute runs again, offline, and say whether they reproduce.",
    "show": "Print a recorded experiment as it printed when it ran.",
    "log": "List the runs of a store.",
    "diff": "Compare two runs.",
    "tag": "Give runs names.",
    "verify": "Prove that runs are what was recorded.",
    "review": "Tell what a branch does to runs.",
    "gc": "Remove what interrupted runs left behind.",
    "check": "Validate experiments, scenarios and policies.",
    "simulate": "Evaluate one set of policies once.",
    "schema": "List and print the schemas of all formats.",
}
_INTERRUPTED = 130
_WRITE_FAILED = 6


class CommandGroup(click.Group):
    """The subcommands, imported when called; the errors exprec raises on purpose end with their exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"exprec.cli.commands.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table above: help shall not import every command.
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ExprecError as error:
            # Problems in files stand as compilers write them, so that editors can jump there.
            in_files = isinstance(error, InvalidInput) and all(problem.source for problem in error.problems)
            message = str(error) if in_files else f"exprec: {error}"
            # It may quote what somebody wrote into a file. Imported here because few commands end so.
            from exprec.recorder.diagnostics import SecretGuard, visible

            click.echo(visible(SecretGuard(known_secrets()).redacted(message), keep="\n"), err=True)
            ctx.exit(error.exit_code)
        except RecursionError:
            # Nothing that exprec wrote: it refuses such values.
            message = "a value in these files is nested too deeply; `exprec verify` names the line of a run"
            click.echo(f"exprec: {message}", err=True)
            ctx.exit(Damaged.exit_code)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="exprec", message="%(prog)s %(version)s")
def cli() -> None:
    """Run iterative experiments, record every event, and show, compare and prove what was recorded.

    \b
    Example:
      exprec run examples/castro/two-period.yaml
      exprec show 3f5c
    """


def main() -> None:
    """Run the command of this process and exit with its code."""
    # The display is UTF-8 with plain newlines in every locale.
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    code = 0
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does: nothing is left to say to it.
        _forget_stdout()
    except OSError as error:
        what = "cannot write the output" if error.filename is None else ascii(error.filename)
        click.echo(f"exprec: {what}: {error.strerror or error}", err=True)
        _forget_stdout()
        code = _WRITE_FAILED
    sys.exit(code)


def _open_streams() -> None:
    """Let a stream that is closed be empty or lead nowhere: else the next file that is opened would be taken for it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _forget_stdout() -> None:
    """Let Python's own flush at exit go nowhere, instead of failing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run() -> int:
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("exprec: interrupted", err=True)
        return _INTERRUPTED
    return code if isinstance(code, int) else 0
