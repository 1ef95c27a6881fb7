"""`exprec tag`: create, delete and list tags."""

from __future__ import annotations

from pathlib import Path

import click

from exprec.cli.completion import complete_run, complete_tag
from exprec.cli.options import json_option, open_store, store_option
from exprec.cli.output.reporters import Reporter, choose_reporter
from exprec.cli.output.results import TagReference
from exprec.cli.screen import print_message
from exprec.cli.terminal import store_path
from exprec.recorder.errors import InvalidInput, Problem, RunNotFound
from exprec.recorder.store import find_run


@click.command()
@click.argument("name", required=False, shell_complete=complete_tag)
@click.argument("run", required=False, shell_complete=complete_run)
@store_option
@click.option("--delete", is_flag=True, help="Delete the tag NAME, not the run.")
@click.option("--force", is_flag=True, help="Move NAME to RUN if it names another run.")
@json_option
@click.pass_context
def tag(
    context: click.Context,
    name: str | None,
    run: str | None,
    store: Path | None,
    delete: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Tag a sealed RUN with a NAME that every command accepts in place of its id; without arguments, list all tags.

    A name consists of at most 100 letters (A to Z), digits, dots, underscores and hyphens. It does not begin with a
    dot or a hyphen, and is not four or more hex digits, which would look like a run id. It is a file on every
    system, so that it does not differ from another tag only in case, end in a dot, or name a device of Windows (con).
    RUN is a run id, a prefix of 4 or more digits, another tag, or the path of a run directory.

    \b
    Example:
      exprec tag paper-figure-2 3f5c
      exprec show paper-figure-2
      exprec tag --delete paper-figure-2
    """
    path = store_path(store)
    if as_json and name is not None:
        raise click.UsageError("--json applies to the list of tags; leave NAME out")
    if delete:
        if name is None or run is not None or force:
            raise click.UsageError("--delete takes the NAME of a tag and nothing else")
        _delete_tag(context, path, name)
    elif name is None:
        if force:
            raise click.UsageError("--force requires a NAME and a RUN")
        _list_tags(path, choose_reporter(as_json=as_json))
    elif run is None:
        raise click.UsageError(f"missing argument RUN: the run to tag '{name}'")
    else:
        _tag_run(path, name, run, force)


def _tag_run(path: Path, name: str, run: str, force: bool) -> None:
    directory = find_run(run, path)
    if not directory.is_sealed:
        message = f"run {directory.run_id} is not sealed ({directory.status}); only sealed runs can be tagged"
        raise InvalidInput([Problem((), message)])
    opened = open_store(path)
    if opened is None:
        raise RunNotFound(directory.run_id, path)
    before = opened.tag(name, directory.run_id, force=force)
    click.echo(f"{name} {directory.run_id}")
    if before not in (None, directory.run_id):
        print_message(f"exprec: moved the tag {name} (was {before!a})")


def _delete_tag(context: click.Context, path: Path, name: str) -> None:
    store = open_store(path)
    was = None if store is None else store.untag(name)
    if was is None:
        print_message(f"exprec: no tag '{name}' in the store {path}; `exprec tag` lists all tags")
        context.exit(RunNotFound.exit_code)
    print_message(f"exprec: deleted the tag {name} (was {was!a})")


def _list_tags(path: Path, reporter: Reporter) -> None:
    store = open_store(path)
    tags = {} if store is None else store.tags()
    if not tags:
        print_message(f"exprec: the store {path} has no tags yet; `exprec tag NAME RUN` creates one")
    present = set() if store is None else set(store.run_ids())
    references = [TagReference(name, run_id, run_id in present) for name, run_id in tags.items()]
    reporter.tags(references)
    for tag in references:
        if not tag.exists:
            # The file of a tag may contain anything, for one after a merge conflict.
            message = f"the tag {tag.name!a} refers to {tag.run_id[:80]!a}, which is not a run of the store {path}"
            print_message(f"exprec: {message}")
