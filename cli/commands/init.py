"""`exprec init`: a store made before the first run, and git set up to show and verify what is recorded in it.

It decides and prints; what a store consists of is told in `recorder.store`, how git is set up in `git.setup`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from exprec.cli.options import json_option, store_option
from exprec.cli.terminal import store_path, this_program
from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import InvalidInput, Problem, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.fs import durable
from exprec.recorder.fs.safe_read import read_whole
from exprec.recorder.git.setup import CHANGED, FOREIGN, HOOK_LINE, NEW, PRESENT, GitSetup
from exprec.recorder.git.source import repository_of
from exprec.recorder.store.store import Store

_STORE = {
    NEW: "created the store {}",
    CHANGED: "completed the .gitattributes of the store {}",
    PRESENT: "{} is a store already",
}
_GIT = {
    NEW: "git diff and git log -p now show logs as text (in this clone)",
    CHANGED: "git diff and git log -p now show logs as text by this exprec (in this clone)",
    PRESENT: "git diff and git log -p show logs as text already",
}
_HOOK = {
    NEW: "installed the hook {}: it verifies runs before they are committed",
    CHANGED: "replaced the hook {} by that of this exprec",
    PRESENT: "the hook {} verifies runs already",
}


@click.command(short_help="Create a store, and set up git to show and verify runs.")
@store_option
@click.option("--git", "with_git", is_flag=True, help="Let git diff and git log -p show event logs as text.")
@click.option("--hook", "with_hook", is_flag=True, help="Install a pre-commit hook that verifies staged runs.")
@json_option
def init(store: Path | None, with_git: bool, with_hook: bool, as_json: bool) -> None:
    """Create the store, which is ./runs by default, and say what is there already.

    `exprec run` creates the store too: what needs this command is --git and --hook. They change this clone
    alone, its configuration and its hooks, and nothing that is committed; so each clone has its own.

    With --git, git shows event logs as `exprec show -v` does; `git diff --no-textconv` shows their lines. With
    --hook, git lets `exprec verify --staged` decide about each commit; `git commit --no-verify` asks it not.
    A pre-commit hook that is there and not exprec's stays as it is (exit code 2, with the line to add to it).

    \b
    Example:
      exprec init --git --hook
      exprec init --store results
    """
    path = store_path(store)
    # What cannot be set up is found out before anything is made.
    git = GitSetup(repository_of(path)[0].folder) if with_git or with_hook else None
    made = _create(path)
    shown = git.show_logs(this_program()) if git is not None and with_git else None
    hook, hooked = git.verify_commits(this_program()) if git is not None and with_hook else (None, None)
    if as_json:
        said = {"store": made, "git": shown, "hook": hooked, "path": str(path), "hook_path": hook and str(hook)}
        click.echo(json.dumps(said, sort_keys=True))
    else:
        texts = [_STORE[made].format(path), _GIT.get(shown or ""), _HOOK.get(hooked or "", "").format(hook)]
        click.echo("\n".join(visible(text) for text in texts if text))
    if git is not None and git.ignores(path / layout.STORE_FILE):
        message = f"git ignores {path} (git check-ignore -v {path} says why); runs in it will not be committed"
        click.echo(f"exprec: warning: {visible(message)}", err=True)
    if hooked == FOREIGN:
        message = f"this hook is not exprec's and stays as it is; add this line to it: {HOOK_LINE} || exit 1"
        raise InvalidInput([Problem((), message, source=str(hook))])


def _create(path: Path) -> str:
    """Create the store or complete it; returns what became of it. Raises NotAStore, StorageFailure."""
    is_new = not (path / layout.STORE_FILE).exists()
    Store.open_or_create(path)
    return NEW if is_new else CHANGED if _complete_attributes(path / ".gitattributes") else PRESENT


def _complete_attributes(path: Path) -> bool:
    """Add the lines that stores have by now and this file has not; returns whether there were any."""
    try:
        text = read_whole(path).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise StorageFailure(path, error) from error
    lines = text.splitlines()
    missing = [line for line in layout.GIT_ATTRIBUTES.splitlines() if line not in lines]
    if missing:
        durable.replace(path, "\n".join([*lines, *missing, ""]).encode("utf-8", "surrogateescape"))
    return bool(missing)
