"""Asking before code from elsewhere is executed, and the list of what this user recorded or trusts."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

import click

from exprec.cli.screen import print_message
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


def require_trust(
    execution: trust.Execution,
    command: str,
    run: str,
    *,
    files: Path | None,
    store: Path | None,
    is_trusted: bool,
) -> trust.Origin:
    """Return why an execution is trusted; on a terminal, ask. Raises InvalidInput without trust.

    The arguments are those of the command that executes it (`rerun` or `resume`), as its user gave them.
    """
    origin = trust_list().origin(execution)
    if origin is not None:
        return origin
    if is_trusted:
        return trust.Origin.TRUSTED
    why = "was not recorded here" if execution.folder is None else "or a module in the folder was not recorded here"
    what = f"run {run} {why}; it would execute\n  {visible(execution.description)}"
    if can_ask():
        print_message(f"exprec: {what}", has_lines=True)
        if click.confirm("Execute it?", err=True):
            return trust.Origin.TRUSTED
        raise click.Abort
    in_store = [] if store is None else ["--store", str(store)]
    in_folder = [] if files in (None, Path()) else ["--files", str(files)]
    again = shlex.join(["exprec", command, run, *in_folder, *in_store, "--trust"])
    folder = [] if execution.folder is None else [_as_argument(execution.folder)]
    once = shlex.join(["exprec", "trust", run, *folder, *in_store])
    raise InvalidInput([Problem((), f"{what}\ninspect it first; then `{again}`, or once `{once}`")])


def _as_argument(folder: Path) -> str:
    text = str(folder)
    return text if "/" in text else f"./{text}" if text != "." else "./"
