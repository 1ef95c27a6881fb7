"""The verification of a store beside its runs, step by step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Damaged, Problem
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs import EntryKind
from exprec.recorder.store import FileTree, Store
from exprec.recorder.verify.messages import MOVE, RESTORE, unexpected, unreadable, wrong_kind

_GIT_ATTRIBUTES, _GIT_IGNORE = ".gitattributes", ".gitignore"
_FILES = (layout.STORE_FILE, _GIT_ATTRIBUTES, _GIT_IGNORE)
_FOLDERS = (layout.WORK_FOLDER, layout.ATTESTATIONS_FOLDER, layout.TAGS_FOLDER)
_GIT = ".git"
"""In a store that is itself the top of a repository."""
_DRAFT = re.compile(rf"\.({'|'.join(map(re.escape, _FILES))})\.[0-9a-f]{{8}}")
_IGNORES_WORK = {f"{before}{layout.WORK_FOLDER}{after}" for before in ("/", "") for after in ("/", "")}
_SHOWN_BYTES = 1000
"""Read of a tag: more than a message shows, and more than a run id."""


def verify_store(store: Store) -> Iterator[Problem]:
    """Yield everything wrong with a store beside its runs; files are named from the store.

    A folder with the files of a run is part of the verification of that run, whatever its name.
    """
    files = store.files
    # 1. The folder has the entries of a store, and no other folders.
    try:
        names = files.names()
    except OSError as error:
        yield Problem((), unreadable(error, as_a="a folder"), source=".")
        return
    for name in names:
        yield from _check_entry(files, name)
    # 2. The mark is canonical; opening the store checked its content.
    yield from _check_mark(files)
    # 3. git converts no line endings, and ignores unsealed runs.
    yield from _check_attributes(files)
    yield from _check_ignored(files)
    # 4. Each tag is the run id of a run in the store.
    yield from _check_tags(files)
    # 5. Execution records belong to runs in the store.
    yield from _check_attestations(files)


def _check_entry(files: FileTree, name: str) -> Iterator[Problem]:
    report = partial(Problem, (), source=name)
    try:
        kind = files.kind(name)
    except OSError as error:
        yield report(unreadable(error))
        return
    if name in _FILES and kind is not EntryKind.FILE:
        yield report(f"{wrong_kind(kind, EntryKind.FILE)}; {RESTORE}")
    elif name in _FOLDERS and kind is not EntryKind.FOLDER:
        yield report(f"{wrong_kind(kind, EntryKind.FOLDER)}; {MOVE}")
    elif name in (*_FILES, *_FOLDERS, _GIT) or _is_run(files, name, kind):
        return
    elif _DRAFT.fullmatch(name):
        yield report("is an unfinished write of a process that died; remove it with `exprec gc`")
    elif kind is not EntryKind.FILE:
        # A file beside the runs, such as the user's README, is harmless.
        yield report(unexpected(name, "in the store"))


def _is_run(files: FileTree, name: str, kind: EntryKind) -> bool:
    if layout.is_run_id(name):
        return True
    try:
        return kind is EntryKind.FOLDER and layout.is_run(name, files.names(name))
    except OSError:
        return False


def _check_mark(files: FileTree) -> Iterator[Problem]:
    data = _read(files, layout.STORE_FILE)
    if data is not None and data != canonical_json.encode({"format": layout.FORMAT}):
        message = f"is not in the canonical form that exprec writes; {RESTORE}"
        yield Problem((), message, source=layout.STORE_FILE, line=1)


def _check_attributes(files: FileTree) -> Iterator[Problem]:
    for words in map(str.split, _lines(files, _GIT_ATTRIBUTES)):
        if words[:1] == ["*"] and "-text" in words:
            return
    wanted = layout.GIT_ATTRIBUTES.splitlines()[0]
    message = f"has no line '{wanted}', so git may convert line endings in runs; add it"
    yield Problem((), message, source=_GIT_ATTRIBUTES)


def _check_ignored(files: FileTree) -> Iterator[Problem]:
    if not any(line.rstrip() in _IGNORES_WORK for line in _lines(files, _GIT_IGNORE)):
        message = f"has no line '/{layout.WORK_FOLDER}/', so git shows unsealed runs as new files; add it"
        yield Problem((), message, source=_GIT_IGNORE)


def _check_tags(files: FileTree) -> Iterator[Problem]:
    for name in _visible_names(files, layout.TAGS_FOLDER):
        report = partial(Problem, (), source=f"{layout.TAGS_FOLDER}/{name}")
        if _kind(files, f"{layout.TAGS_FOLDER}/{name}") is not EntryKind.FILE:
            yield report(f"is not a regular file, so it is not a tag; {MOVE}")
            continue
        try:
            data = files.read(f"{layout.TAGS_FOLDER}/{name}")
        except (OSError, Damaged) as error:
            yield report(unreadable(error) if isinstance(error, OSError) else f"{error.reason}; {RESTORE}")
            continue
        run_id = data[:_SHOWN_BYTES].decode("utf-8", "replace").removesuffix("\n")
        advice = "set the tag again with `exprec tag --force`, or remove it with `exprec tag --delete`"
        if not layout.is_run_id(run_id) or not data.endswith(b"\n"):
            yield report(f"must be one line with a run id, not {show_value(run_id)}; {advice}", line=1)
        elif not _is_folder(files, run_id):
            yield report(f"refers to the run {run_id}, which is not in the store; {advice}", line=1)


def _check_attestations(files: FileTree) -> Iterator[Problem]:
    for name in _visible_names(files, layout.ATTESTATIONS_FOLDER):
        report = partial(Problem, (), source=f"{layout.ATTESTATIONS_FOLDER}/{name}")
        if not layout.is_run_id(name) or not _is_folder(files, f"{layout.ATTESTATIONS_FOLDER}/{name}"):
            yield report(f"is not a folder named by a run id; {MOVE}")
        elif not _is_folder(files, name):
            yield report("belongs to a run that is not in the store; restore the run, or remove this folder")


def _kind(files: FileTree, name: str) -> EntryKind | None:
    """Return what is under a name; None if there is nothing, or if that cannot be determined."""
    try:
        return files.kind(name)
    except (OSError, Damaged):
        return None


def _is_folder(files: FileTree, name: str) -> bool:
    # A run that is a link to a folder is a problem of that run alone.
    return _kind(files, name) in (EntryKind.FOLDER, EntryKind.LINK)


def _visible_names(files: FileTree, folder: str) -> list[str]:
    """Return the names in a folder that do not begin with a dot; [] if it cannot be read, which step 1 reports."""
    try:
        return [name for name in files.names(folder) if not name.startswith(".")]
    except (OSError, Damaged):
        return []


def _read(files: FileTree, name: str) -> bytes | None:
    """Return the content of a file; None if it is missing, unreadable or not a regular file."""
    try:
        return files.read(name)
    except (OSError, Damaged):
        return None


def _lines(files: FileTree, name: str) -> Iterator[str]:
    """Yield the lines of a file that are not empty; nothing if it does not exist."""
    # One at a time: a list of millions of lines would take ten times the memory of the file.
    for line in re.finditer(rb"[^\n]+", _read(files, name) or b""):
        yield line[0].decode("utf-8", "replace")
