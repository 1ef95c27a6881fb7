"""`exprec trust`: declare runs and folders trusted, so that `exprec rerun` and `exprec resume` execute them."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from exprec.cli.completion import complete_run
from exprec.cli.options import store_option
from exprec.cli.screen import print_message
from exprec.cli.terminal import store_path
from exprec.cli.trust import trust_list
from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import RunNotFound
from exprec.recorder.replay import check_sealed
from exprec.recorder.replay import trust as trusted
from exprec.recorder.store import find_run


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN|FOLDER...", shell_complete=complete_run)
@store_option
@click.option("--revoke", is_flag=True, help="Remove the entries instead.")
def trust(names: tuple[str, ...], store: Path | None, revoke: bool) -> None:
    """Declare runs and folders of modules trusted, so that `exprec rerun` and `exprec resume` execute them.

    What you recorded yourself is trusted. A run from elsewhere is executed only with --trust, after this command, or
    when you confirm it on a terminal. Inspect it first: `exprec show RUN`, and `config.json` in its directory.

    RUN is a run id, a prefix of 4 or more digits, or a tag; FOLDER has a slash (./ is the current one). An entry is
    bound to the content: a folder whose modules change must be trusted again. The list is in
    $XDG_STATE_HOME/exprec/trust (by default in ~/.local/state).

    \b
    Example:
      exprec trust 3f5c
      exprec trust 3f5c ./experiments/queueing/
      exprec trust --revoke 3f5c
    """
    entries = trust_list()
    for name in names:
        key, description = _entry(name, store_path(store))
        if revoke:
            done = "no longer trusted" if entries.remove(key) else "was not trusted"
        else:
            entries.add(key, trusted.Origin.TRUSTED, description)
            done = "trusted"
        print_message(f"exprec: {done}: {visible(description)}")


def _entry(name: str, store: Path) -> tuple[str, str]:
    """Return the key of a run or folder, and its description. Raises RunNotFound, StorageFailure, NotVerified."""
    try:
        run = find_run(name, store)
    except RunNotFound:
        if "/" not in name or not Path(name).is_dir():
            raise
        return trusted.folder_key(Path(name)), f"the modules in {Path(name).absolute()}"
    if run.is_sealed:
        check_sealed(run)
    execution = trusted.find_execution(run, Path())
    what = "executes exprec alone" if execution is None else execution.description.partition(": ")[2]
    return trusted.run_key(run), f"run {run.run_id[:12]} ({shlex.quote(run.name)}): {what}"
