"""`exprec tag`: names for runs, given, removed and listed.

What a tag may be called and where it is kept is told in `recorder.store`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from exprec.cli.options import complete_run, complete_tag, json_option, opened_store, store_option
from exprec.cli.terminal import store_path
from exprec.recorder.errors import InvalidInput, Problem, RunNotFound
from exprec.recorder.store.store import find_run


@click.command(short_help="Give runs names.")
@click.argument("name", required=False, shell_complete=complete_tag)
@click.argument("run", required=False, shell_complete=complete_run)
@store_option
@click.option("--delete", is_flag=True, help="Remove the tag NAME; its run stays.")
@click.option("--force", is_flag=True, help="Let NAME stand for RUN even if it stands for another run now.")
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
    """Give a sealed RUN the NAME, by which any command finds it then; without arguments, list all tags.

    A name has at most 100 letters (A to Z), digits, dots, underscores and hyphens, begins with neither a
    dot nor a hyphen, and is not four or more hex digits alone, which are the beginning of a run id. RUN is a
    run id, 4 or more of its first digits, another tag, or the path of a run directory.

    \b
    Example:
      exprec tag paper-figure-2 3f5c
      exprec show paper-figure-2
      exprec tag --delete paper-figure-2
    """
    path = store_path(store)
    if as_json and name is not None:
        raise click.UsageError("--json goes with the list of tags")
    if delete:
        if name is None or run is not None or force:
            raise click.UsageError("--delete goes with the NAME of a tag alone")
        _delete(context, path, name)
    elif name is None:
        if force:
            raise click.UsageError("--force goes with a NAME and a RUN")
        _list(path, as_json)
    elif run is None:
        raise click.UsageError(f"which run shall be '{name}'? Give a RUN after the NAME")
    else:
        _give(path, name, run, force)


def _give(path: Path, name: str, run: str, force: bool) -> None:
    directory = find_run(run, path)
    if not directory.is_sealed:
        message = f"the run {directory.run_id} is not sealed ({directory.status}); only a sealed run has an address"
        raise InvalidInput([Problem((), message)])
    opened = opened_store(path)
    if opened is None:
        raise RunNotFound(directory.run_id, path)
    before = opened.tag(name, directory.run_id, force=force)
    click.echo(f"{name} {directory.run_id}")
    if before not in (None, directory.run_id):
        click.echo(f"exprec: moved the tag {name} (was {before!a})", err=True)


def _delete(context: click.Context, path: Path, name: str) -> None:
    store = opened_store(path)
    was = None if store is None else store.untag(name)
    if was is None:
        click.echo(f"exprec: no tag '{name}' in the store {path}; `exprec tag` lists those there are", err=True)
        context.exit(RunNotFound.exit_code)
    click.echo(f"exprec: removed the tag {name} (was {was!a})", err=True)


def _list(path: Path, as_json: bool) -> None:
    store = opened_store(path)
    tags = {} if store is None else store.tags()
    if not tags:
        click.echo(f"exprec: no tags in the store {path} yet; `exprec tag NAME RUN` gives one", err=True)
    present = set() if store is None else set(store.run_ids())
    if as_json:
        for name, run_id in tags.items():
            click.echo(json.dumps({"tag": name, "run_id": run_id, "found": run_id in present}, sort_keys=True))
    elif tags:
        _print_tags(tags)
    for name, run_id in tags.items():
        if run_id not in present:
            # What stands in such a file may be anything, as after a merge with a conflict.
            message = f"the tag {name!a} stands for {run_id[:80]!a}, which is no run in the store {path}"
            click.echo(f"exprec: {message}", err=True)


def _print_tags(tags: dict[str, str]) -> None:
    # Imported here because programs that read JSON shall not wait for rich.
    from exprec.cli.output.listing import tag_table

    click.echo(tag_table(tags).encode("utf-8", "backslashreplace"))
