"""Shell completion of arguments: runs, tags, event types, agents and git revisions.

No completer prints or raises: an error would garble the prompt, and the command reports it anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from exprec.cli.terminal import store_path
from exprec.recorder.diagnostics import visible
from exprec.recorder.events import EVENT_SPECS
from exprec.recorder.store import RunDirectory, Store, find_run

_Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(function: Callable[[click.Context, str], Iterable[CompletionItem | str]]) -> _Completer:
    """Turn a function of the context and the incomplete word into a completer that returns nothing on an error."""

    @wraps(function)
    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with suppress(Exception):
            items = function(context, incomplete)
            listed = [item if isinstance(item, CompletionItem) else CompletionItem(item) for item in items]
            # The shell prints them as they are: a name with a control or an invisible character is not offered.
            offered = [item for item in listed if visible(item.value, quoted=True) == item.value]
            for item in offered:
                item.help = item.help and visible(item.help)
            return offered
        return []

    return complete


def complete_run(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete tags and abbreviated run ids; directories where no run matches."""
    return _complete_known_run(context, _, incomplete) or [CompletionItem(incomplete, type="dir")]


@_completer
def _complete_known_run(context: click.Context, incomplete: str) -> Iterable[CompletionItem | str]:
    # Imported here for the sake of start-up time: most calls complete nothing.
    from exprec.recorder.query import abbreviate_ids

    store = _store_of(context)
    short_by_name = abbreviate_ids(store.run_ids() + store.work_names())
    # What is already typed stays, even where fewer digits would be unique.
    names = [
        short if short.startswith(incomplete) else name
        for name, short in short_by_name.items()
        if name.startswith(incomplete)
    ]
    return [*_matching_tags(store, incomplete), *names]


@_completer
def complete_work(context: click.Context, incomplete: str) -> Iterable[str]:
    """Complete the names of runs that are not sealed."""
    return [name for name in _store_of(context).work_names() if name.startswith(incomplete)]


@_completer
def complete_tag(context: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    """Complete tags."""
    return _matching_tags(_store_of(context), incomplete)


@_completer
def complete_event_type(context: click.Context, incomplete: str) -> Iterable[str]:
    """Complete the event types of the sealed RUN typed before; all of exprec's types without one."""
    types = list(EVENT_SPECS)
    with suppress(Exception):
        run = _run_of(context)
        if run.is_sealed:
            types = list(run.head["counts"]["by_type"])
    return [name for name in types if name.startswith(incomplete)]


@_completer
def complete_agent(context: click.Context, incomplete: str) -> Iterable[str]:
    """Complete the agents of the RUN typed before."""
    first_event = next(_run_of(context).reader().entries()).event
    return [agent for agent in first_event["agents"] if agent.startswith(incomplete)]


@_completer
def complete_scenario_agent(context: click.Context, incomplete: str) -> Iterable[str]:
    """Complete the agents of the SCENARIO typed before."""
    # Imported here for the sake of start-up time: most calls complete nothing.
    from exprec.recorder.documents import read_document

    scenario = read_document(Path(context.params.get("scenario") or context.args[0])).value
    return [agent["id"] for agent in scenario["agents"] if agent["id"].startswith(incomplete)]


@_completer
def complete_revision(_: click.Context, incomplete: str) -> Iterable[str]:
    """Complete the branches and tags of the git repository."""
    # Imported here for the sake of start-up time: most calls complete nothing.
    from exprec.recorder.git import Repository

    return [name for name in ("HEAD", *Repository(Path()).names()) if name.startswith(incomplete)]


def _run_of(context: click.Context) -> RunDirectory:
    # The parser leaves RUN in `args` when it stops at an option without its value.
    return find_run(context.params.get("run") or context.args[0], _store_path_of(context))


def _store_of(context: click.Context) -> Store:
    return Store(_store_path_of(context))


def _store_path_of(context: click.Context) -> Path:
    given = context.params.get("store")
    return store_path(Path(given) if given else None)


def _matching_tags(store: Store, incomplete: str) -> list[CompletionItem]:
    tags = store.tags().items()
    return [CompletionItem(tag, help=run_id[:8]) for tag, run_id in tags if tag.startswith(incomplete)]
