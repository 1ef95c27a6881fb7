"""The files of a store beside its runs: its mark, what git is told of it, tags, folders of attestations.

It looks into no run; attestations are verified with the run that they are of.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Damaged, Problem
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs.safe_read import read_whole
from exprec.recorder.store import Store
from exprec.recorder.verify.messages import RESTORE, kind_of, unreadable

_GIT_ATTRIBUTES, _GIT_IGNORE = ".gitattributes", ".gitignore"
_FILES = (layout.STORE_FILE, _GIT_ATTRIBUTES, _GIT_IGNORE)
_FOLDERS = (layout.WORK_FOLDER, layout.ATTESTATIONS_FOLDER, layout.TAGS_FOLDER)
_GIT = ".git"
"""Where the store is itself the top of a repository."""
_DRAFT = re.compile(rf"\.({'|'.join(map(re.escape, _FILES))})\.[0-9a-f]{{8}}")
_IGNORES_WORK = {f"{before}{layout.WORK_FOLDER}{after}" for before in ("/", "") for after in ("/", "")}
_MOVE = "move it elsewhere"


def verify_store(store: Store) -> Iterator[Problem]:
    """Everything wrong with a store beside its runs; files are named from the store.

    A folder with the files of a run is left to the verification of that run, whatever its name.
    """
    names = _names(store.path)
    if isinstance(names, OSError):
        yield Problem((), unreadable(names, a="a folder"), source=".")
        return
    runs = set(store.run_names())
    for name in names:
        if name not in runs:
            yield from _entry_problems(store.path, name)
    yield from _mark_problems(store.path / layout.STORE_FILE)
    yield from _attributes_problems(store.path / _GIT_ATTRIBUTES)
    yield from _ignore_problems(store.path / _GIT_IGNORE)
    yield from _tag_problems(store)
    yield from _attestation_problems(store)


def _entry_problems(store: Path, name: str) -> Iterator[Problem]:
    """What stands in the store under a name: what should, or something else."""
    try:
        mode = (store / name).lstat().st_mode
    except OSError as error:
        yield Problem((), unreadable(error), source=name)
        return
    if name in _FILES and not stat.S_ISREG(mode):
        yield Problem((), f"must be a file, and is {kind_of(mode)}; {RESTORE}", source=name)
    elif name in _FOLDERS and not stat.S_ISDIR(mode):
        yield Problem((), f"must be a folder, and is {kind_of(mode)}; {_MOVE}", source=name)
    elif name in (*_FILES, *_FOLDERS, _GIT):
        return
    elif _DRAFT.fullmatch(name):
        yield Problem((), "was being written when its process died; remove it with exprec gc", source=name)
    elif not stat.S_ISREG(mode):
        # A note of the user's, a README: a file beside the runs takes nothing from any of them.
        yield Problem((), f"is no part of a store; {_MOVE}", source=name)


def _mark_problems(path: Path) -> Iterator[Problem]:
    data = _read(path)
    # Of what it says the store was opened by; of its form nobody asked yet.
    if isinstance(data, bytes) and data != canonical_json.encode({"format": layout.FORMAT}):
        yield Problem((), f"is not in the form that exprec writes; {RESTORE}", source=path.name, line=1)


def _attributes_problems(path: Path) -> Iterator[Problem]:
    wanted = layout.GIT_ATTRIBUTES.splitlines()[0]
    for words in map(str.split, _lines(path)):
        if words[:1] == ["*"] and "-text" in words:
            return
    yield Problem((), f"has no line '{wanted}', so git may convert line ends in runs; add it", source=path.name)


def _ignore_problems(path: Path) -> Iterator[Problem]:
    wanted = layout.GIT_IGNORE.strip()
    if not any(line.rstrip() in _IGNORES_WORK for line in _lines(path)):
        yield Problem((), f"has no line '{wanted}', so git sees unsealed runs; add it", source=path.name)


def _tag_problems(store: Store) -> Iterator[Problem]:
    folder = store.path / layout.TAGS_FOLDER
    for name in _visible_names(folder):
        source = f"{layout.TAGS_FOLDER}/{name}"
        if not (folder / name).is_file() or (folder / name).is_symlink():
            yield Problem((), f"is no plain file, so it is no tag; {_MOVE}", source=source)
            continue
        data = _read(folder / name)
        if isinstance(data, OSError):
            yield Problem((), unreadable(data), source=source)
            continue
        # More than a message shows of it is never a tag.
        address = data[:1000].decode("utf-8", "replace").removesuffix("\n")
        again = "give the tag again with exprec tag --force, or remove it with exprec tag --delete"
        if not layout.is_run_id(address) or not data.endswith(b"\n"):
            message = f"is not one line with the address of a run, but {show_value(address)}; {again}"
            yield Problem((), message, source=source, line=1)
        elif not (store.path / address).is_dir():
            message = f"stands for the run {address}, which is not in the store; {again}"
            yield Problem((), message, source=source, line=1)


def _attestation_problems(store: Store) -> Iterator[Problem]:
    folder = store.path / layout.ATTESTATIONS_FOLDER
    for name in _visible_names(folder):
        source = f"{layout.ATTESTATIONS_FOLDER}/{name}"
        if not layout.is_run_id(name) or not (folder / name).is_dir():
            yield Problem((), f"is no folder named by the address of a run; {_MOVE}", source=source)
        elif not (store.path / name).is_dir():
            message = "is of a run that is not in the store; restore the run, or remove this folder"
            yield Problem((), message, source=source)


def _names(folder: Path) -> list[str] | OSError:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        return error


def _visible_names(folder: Path) -> list[str]:
    """The names in a folder of the store that do not begin with a dot; a folder that is none was reported before."""
    names = _names(folder)
    return [] if isinstance(names, OSError) else [name for name in names if not name.startswith(".")]


def _read(path: Path) -> bytes | OSError:
    try:
        return read_whole(path)
    except OSError as error:
        return error
    except Damaged as error:
        # Of the files of a store, what stands in their place was told already.
        return OSError(error.reason)


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file that are not empty; none when there is no such file."""
    data = _read(path)
    if isinstance(data, bytes):
        # One at a time: a list of millions of lines would take ten times the file.
        yield from (line[0].decode("utf-8", "replace") for line in re.finditer(rb"[^\n]+", data))
