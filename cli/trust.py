"""Asking before code that somebody else recorded is executed, and the list of what this user recorded or trusts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from exprec.cli.terminal import can_ask, state_folder
from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import InvalidInput, Problem, StorageFailure
from exprec.recorder.replay import trust

trust_option = click.option(
    "--trust",
    "is_trusted",
    is_flag=True,
    help="Execute a run that was not recorded here, without asking; for continuous integration.",
)


def trust_list() -> trust.TrustList:
    """Return the list of this user: $XDG_STATE_HOME/exprec/trust."""
    folder = state_folder()
    return trust.TrustList(None if folder is None else folder / "trust")


def remember_recorded(key: str, description: str) -> None:
    """Add what this user has just recorded to the list; without a place to write it, nothing is remembered."""
    with suppress(StorageFailure):
        trust_list().add(key, trust.Origin.RECORDED, description)


def require_trust(execution: trust.Execution, name: str, command: str, *, is_trusted: bool) -> trust.Origin:
    """Return why an execution is trusted; on a terminal, ask. Raises InvalidInput without trust.

    `name` is that of the run, `command` the command line that executes it.
    """
    origin = trust_list().origin(execution)
    if origin is not None:
        return origin
    what = f"run {name} was not recorded here, or its modules have changed; it would execute code"
    shown = visible(execution.description)
    if is_trusted:
        return trust.Origin.TRUSTED
    if can_ask():
        click.echo(f"exprec: {what}:\n  {shown}", err=True)
        if click.confirm("Execute it?", err=True):
            return trust.Origin.TRUSTED
        raise click.Abort
    folder = "" if execution.folder is None else f" {_as_argument(execution.folder)}"
    advice = f"inspect it first; then `{command} --trust`, or once `exprec trust {name}{folder}`"
    raise InvalidInput([Problem((), f"{what}:\n  {shown}\n{advice}")])


def _as_argument(folder: Path) -> str:
    text = str(folder)
    return text if "/" in text else f"./{text}" if text != "." else "./"
