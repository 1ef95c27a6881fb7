"""`exprec init`: create a store, and set up git to display and verify its runs."""

from __future__ import annotations

from pathlib import Path

import click

from exprec.cli.options import json_option, store_option
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.output.results import StoreSetup
from exprec.cli.screen import print_message
from exprec.cli.terminal import store_path, this_program
from exprec.recorder.errors import InvalidInput, Problem, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.fs import durable, read_whole
from exprec.recorder.git import explain_ignored_store, find_repository, setup
from exprec.recorder.store import Store


@click.command()
@store_option
@click.option("--git", "with_git", is_flag=True, help="Make git diff and git log -p show event logs as text.")
@click.option("--hook", "with_hook", is_flag=True, help="Install a pre-commit hook that verifies staged runs.")
@json_option
def init(store: Path | None, with_git: bool, with_hook: bool, as_json: bool) -> None:
    """Create a store (./runs by default), and optionally set up git for it.

    `exprec run` also creates the store; this command is needed for --git and --hook. These change only the
    configuration and the hooks of this clone, not committed files, so run it in every clone. If git ignores the
    store, a warning names the rule and what to type.

    With --git, git shows event logs as `exprec show -v` does; `git diff --no-textconv` shows the JSON lines. With
    --hook, a pre-commit hook runs `exprec verify --staged`; `git commit --no-verify` skips it. An existing hook of
    another tool is left unchanged (exit code 2; the message has the line to add to it).

    \b
    Example:
      exprec init --git --hook
      exprec init --store results
    """
    path = store_path(store)
    # Report what cannot be set up before anything is created.
    git = setup.GitSetup(find_repository(path)[0].folder) if with_git or with_hook else None
    made = _create(path)
    shown = git.show_logs(this_program()) if git is not None and with_git else None
    hook, hooked = git.verify_commits(this_program()) if git is not None and with_hook else (None, None)
    choose_reporter(as_json=as_json).store_setup(StoreSetup(path, made, shown, hooked, hook))
    ignored = explain_ignored_store(path)
    if ignored is not None:
        print_message(f"exprec: warning: {ignored}")
    if hooked == setup.FOREIGN:
        message = f"this hook is not exprec's and was not changed; add this line to it: {setup.HOOK_LINE} || exit 1"
        raise InvalidInput([Problem((), message, source=str(hook))])


def _create(path: Path) -> str:
    """Create or update the store; returns NEW, CHANGED or PRESENT. Raises NotAStore, StorageFailure."""
    is_new = not (path / layout.STORE_FILE).exists()
    Store.open_or_create(path)
    if is_new:
        return setup.NEW
    return setup.CHANGED if _complete_attributes(path / ".gitattributes") else setup.PRESENT


def _complete_attributes(path: Path) -> bool:
    """Add the lines that this file lacks, as one of an older exprec does; returns whether it lacked any."""
    try:
        text = read_whole(path, layout.MAX_LINE_BYTES).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise StorageFailure(path, error) from error
    lines = text.splitlines()
    missing = [line for line in layout.GIT_ATTRIBUTES.splitlines() if line not in lines]
    if missing:
        durable.replace(path, "\n".join([*lines, *missing, ""]).encode("utf-8", "surrogateescape"))
    return bool(missing)
