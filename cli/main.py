"""The command `exprec`: its subcommands by name, and errors as messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any

import click

from exprec.cli.screen import print_message
from exprec.cli.terminal import redact_secrets
from exprec.recorder.errors import Damaged, ExprecError, InvalidInput
from exprec.recorder.version import VERSION

_COMMANDS = {
    "init": "Create a store; set up git to display and verify runs.",
    "run": "Run an experiment or any command, and record the run.",
    "resume": "Resume an interrupted run.",
    "rerun": "Execute runs again, offline, and report whether they reproduce.",
    "show": "Print a recorded run exactly as it was printed when it ran.",
    "log": "List the runs of a store.",
    "diff": "Compare two runs.",
    "tag": "Create, delete and list tags: names of runs.",
    "trust": "Declare runs and folders from elsewhere trusted, for rerun and resume.",
    "verify": "Verify that runs are exactly what was recorded.",
    "review": "Summarize the runs a branch adds, changes or removes.",
    "gc": "Remove interrupted runs and files left by a crash.",
    "check": "Validate experiments, scenarios and policies.",
    "simulate": "Simulate a payment scenario once.",
    "schema": "List the schemas of all formats, or print one.",
}
_INTERRUPTED = 130
_WRITE_FAILED = 6


class CommandGroup(click.Group):
    """Import a subcommand when it is called, and turn an ExprecError into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the help text."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None for an unknown name."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"exprec.cli.commands.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands into the help text."""
        # From the table above, so that --help does not import every command.
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; report an `ExprecError` in one message and exit with its code."""
        try:
            return super().invoke(ctx)
        except ExprecError as error:
            print_message(redact_secrets(_error_text(error)), has_lines=True)
            ctx.exit(error.exit_code)
        except RecursionError:
            # exprec refuses to write such values, so the files come from elsewhere.
            message = "a value in these files is nested too deeply; `exprec verify RUN` reports its line"
            print_message(f"exprec: {message}")
            ctx.exit(Damaged.exit_code)


def _error_text(error: ExprecError) -> str:
    """Return the message of an error; no key and no name of a file begins another line of it."""
    if not isinstance(error, InvalidInput):
        return f"exprec: {error}"
    # Imported here because most commands end without an error.
    from exprec.recorder.diagnostics import visible

    listed = "\n".join(
        str(replace(problem, key=visible(problem.key), source=problem.source and visible(problem.source)))
        for problem in error.problems
    )
    # Problems in files are printed as compilers print them, so that editors can jump to the line.
    return listed if all(problem.source for problem in error.problems) else f"exprec: {listed}"


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="exprec", message="%(prog)s %(version)s")
def cli() -> None:
    """Record experiments, commands and programs, event by event; show, compare, verify and reproduce the runs.

    \b
    Example:
      exprec run examples/castro/two-period.yaml
      exprec show 3f5c
    """


def main() -> None:
    """Run the command of this process and exit with its code."""
    # Output is UTF-8 with plain newlines in every locale.
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    code = 0
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output has exited, as `head` does: there is nothing to report.
        _forget_stdout()
    except OSError as error:
        what = "cannot write the output" if error.filename is None else ascii(error.filename)
        print_message(f"exprec: {what}: {error.strerror or error}")
        _forget_stdout()
        code = _WRITE_FAILED
    sys.exit(code)


def _open_streams() -> None:
    """Open closed standard streams on /dev/null: otherwise the next file opened would get the number of one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _forget_stdout() -> None:
    """Send the flush at interpreter exit to /dev/null, where it cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run() -> int:
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        # The message quotes what was typed, or came from another program through xargs.
        message = io.StringIO()
        error.show(message)
        print_message(message.getvalue().removesuffix("\n"), has_lines=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print_message("exprec: interrupted")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0
