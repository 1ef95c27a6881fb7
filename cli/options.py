"""The options that several commands share, so that they have the same names, defaults and meaning.

What the options do is up to the commands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from exprec.cli.terminal import store_path
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.errors import StorageFailure
from exprec.recorder.events import EVENT_TYPES, OTHER_TYPES
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store, find_run

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SWITCHES = {
    "iterations": "the beginning of each iteration",
    "bootstrap": "evaluations on a set of seeds",
    "llm": "requests to a model",
    "policy": "accepted proposals",
    "rejections": "proposals that were not accepted",
    "metrics": "the end of each iteration and the figures behind decisions",
}

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The store.  [default: EXPREC_STORE, or ./runs]",
)

color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour the output.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

pager_option = click.option("--no-pager", is_flag=True, help="Print it all at once, even if it is long.")
"""Taken by whatever prints within `exprec.cli.pager.paged`."""


def display_options(command: _Command) -> _Command:
    """The switches that select what is displayed, and colour; see `verbose_config`."""
    defaults = VerboseConfig()
    for name, what in reversed(_SWITCHES.items()):
        state = "shown" if getattr(defaults, name) else "not shown"
        command = click.option(f"--{name}/--no-{name}", name, default=None, help=f"Show {what}.  [default: {state}]")(
            command
        )
    command = click.option(
        "-v", "--verbose", is_flag=True, help="Show everything, except what a --no-... switch leaves out."
    )(command)
    return color_option(command)


def verbose_config(*, verbose: bool, switches: dict[str, bool | None]) -> VerboseConfig:
    """What to display: the defaults, or all with `verbose`, and above that each switch that was given."""
    base = VerboseConfig.all_enabled() if verbose else VerboseConfig()
    given = {name: value for name, value in switches.items() if value is not None}
    return replace(base, **given)


def opened_store(path: Path) -> Store | None:
    """The store at `path`, or None where nothing was recorded yet: no folder, or one with nothing but hidden names.

    Such a folder is what git leaves of a store, `.work` alone, when a branch without it is checked out. Raises
    NotAStore, StorageFailure.
    """
    try:
        is_blank = not path.exists() or (path.is_dir() and all(each.name.startswith(".") for each in path.iterdir()))
    except OSError as error:
        raise StorageFailure(path, error) from error
    return None if is_blank else Store(path)


def complete_run(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tags and short ids of runs that begin like `incomplete`, else folders. It never prints or raises."""
    try:
        store = _store_of(context)
        # Imported here because a command that completes nothing shall not wait for it.
        from exprec.recorder.query.listing import short_ids

        shorts = short_ids(store.run_ids() + store.work_names())
        # What is typed already stays, even where fewer digits would do.
        names = [
            short if short.startswith(incomplete) else name
            for name, short in shorts.items()
            if name.startswith(incomplete)
        ]
        found = [*_tag_items(store, incomplete), *map(CompletionItem, names)]
    except Exception:
        # Whatever is wrong with the store, the command itself will say it; here it would garble a prompt.
        found = []
    return found or [CompletionItem(incomplete, type="dir")]


def complete_work(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of runs that are not sealed that begin like `incomplete`. It never prints or raises."""
    try:
        return [CompletionItem(name) for name in _store_of(context).work_names() if name.startswith(incomplete)]
    except Exception:
        # As in `complete_run`.
        return []


def complete_tag(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The tags that begin like `incomplete`. It never prints or raises."""
    try:
        return _tag_items(_store_of(context), incomplete)
    except Exception:
        # As in `complete_run`.
        return []


def complete_event_type(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The event types that begin like `incomplete`: those of the sealed RUN before it, else all. It never prints or
    raises."""
    types = [*EVENT_TYPES, *OTHER_TYPES]
    try:
        run = _run_of(context)
        if run.is_sealed:
            types = list(run.head["counts"]["by_type"])
    except Exception:
        # As in `complete_run`; without a run any type may be meant.
        pass
    return [CompletionItem(each) for each in types if each.startswith(incomplete)]


def complete_agent(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The agents of the RUN before it that begin like `incomplete`. It never prints or raises."""
    try:
        run = _run_of(context)
        start = next(run.reader().entries()).event
        return [CompletionItem(agent) for agent in start["agents"] if agent.startswith(incomplete)]
    except Exception:
        # As in `complete_run`.
        return []


def complete_revision(_context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The branches and tags of the repository that begin like `incomplete`. It never prints or raises."""
    try:
        # Imported here because a command that completes nothing shall not wait for it.
        from exprec.recorder.git.repository import Repository

        names = ["HEAD", *Repository(Path()).names()]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    except Exception:
        # As in `complete_run`.
        return []


def _run_of(context: click.Context) -> RunDirectory:
    """The RUN that was typed; the parser has it in `args` when it gave up on an option without its value."""
    return find_run(context.params.get("run") or context.args[0], _store_path_of(context))


def _store_of(context: click.Context) -> Store:
    return Store(_store_path_of(context))


def _store_path_of(context: click.Context) -> Path:
    given = context.params.get("store")
    return store_path(Path(given) if given else None)


def _tag_items(store: Store, incomplete: str) -> list[CompletionItem]:
    tags = store.tags().items()
    return [CompletionItem(tag, help=run_id[:8]) for tag, run_id in tags if tag.startswith(incomplete)]
