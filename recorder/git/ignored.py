"""Parts of a store that git leaves out of commits, with the rule and what to type."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import GitFailure, Problem
from exprec.recorder.format import layout
from exprec.recorder.fs import file_names
from exprec.recorder.git.repository import Repository

_STORE_FILES = (layout.STORE_FILE, ".gitattributes", ".gitignore")


def explain_ignored_store(store: Path) -> str | None:
    """Return why git commits nothing of a store, and what to type; None if it does, and outside of a repository."""
    try:
        repository = Repository(store)
        folder = Path(os.path.realpath(store))
        # Outermost first: what is in an ignored folder cannot be included again.
        paths = [str(path) for path in (*reversed(folder.parents), folder, folder / layout.STORE_FILE)]
        top = os.path.realpath(store / repository.top())
        rules = repository.ignored(path for path in paths if path.startswith(f"{top}/"))
    except GitFailure:
        return None
    first = next((path for path in paths if path in rules), None)
    if first is None:
        return None
    advice = "remove the rule"
    if first == str(folder):
        rule, file = f"!/{folder.name}/", os.path.relpath(folder.parent / ".gitignore")
        advice += f", or type: echo {shlex.quote(rule)} >> {shlex.quote(file)}"
    elif not first.startswith(str(folder)):
        advice += ", or name a store in another folder with --store"
    shown = visible(os.path.relpath(first))
    return f"git ignores {shown} by {rules[first]}, so that its runs will not be committed; {advice}"


def find_ignored_files(
    repository: Repository, folder: str, runs: Iterable[str], staged: Collection[str]
) -> Iterator[Problem]:
    """Yield a problem for each file of these runs, and of their store, that git ignores and that is not in the index.

    `folder` is the path of the store from the top of the repository, and so are the paths of `staged`. Files of
    problems are named from the store. Raises GitFailure.
    """
    top = repository.folder / repository.top()
    store = top / folder
    names = [name for name in _STORE_FILES if (store / name).exists()]
    for run in runs:
        for part in (run, f"{layout.ATTESTATIONS_FOLDER}/{run}"):
            names += [f"{part}/{name}" for name in _file_names(store / part)]
    prefix = f"{folder}/" if folder else ""
    missing = {os.path.relpath(store / name, repository.folder): name for name in names if prefix + name not in staged}
    for path, rule in (repository.ignored(missing) if missing else {}).items():
        command = f"git add --force -- {shlex.quote(path)}"
        yield Problem(
            (), f"is not in the commit, because git ignores it by {rule}; type: {command}", source=missing[path]
        )


def _file_names(folder: Path) -> list[str]:
    """Return the files below a folder; nothing for what cannot be read, which is not in the commit either."""
    try:
        return file_names(folder) if folder.is_dir() and not folder.is_symlink() else []
    except OSError:
        return []
