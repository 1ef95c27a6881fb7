"""The state of the working tree that contains a folder: its commit, and whether it has uncommitted changes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from exprec.recorder.errors import Damaged
from exprec.recorder.fs import read_whole
from exprec.recorder.git.process import names_repository, run_git

_SECONDS = 10
_LARGEST_FILE = 64 * 1024 * 1024
"""Of what is read; `packed-refs` has a line for each branch and tag."""
_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"ref: (refs/[^\0\n]+)")
_SYMBOLIC_REFS = 5
_PLAIN_NAME = re.compile(r"[^=\n]+")


class GitState(NamedTuple):
    """The state of a working tree; None for what is unknown."""

    commit: str | None = None
    is_dirty: bool | None = None
    """Whether tracked files have uncommitted changes, or a given file is untracked.

    Changes within submodules do not count.
    """


class _GitFolder(NamedTuple):
    top: Path
    """The top of the working tree."""
    folder: Path
    """The folder with its HEAD."""


def read_git_state(folder: Path, files: Iterable[Path] = ()) -> GitState:
    """The state of the working tree that contains `folder`; unknown without git, and when git takes too long.

    A file of `files` below the top of the tree that is untracked makes the tree dirty.

    The commit is read from files; git is asked only where these do not tell it.
    """
    found = None if names_repository() else _find_git_folder(folder)
    top = folder if found is None else found.top
    commit = (found and _commit_in_files(found.folder)) or _ask(top, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return GitState()
    return GitState(commit.strip(), _has_untracked(top, files) or _is_dirty(top))


def _find_git_folder(folder: Path) -> _GitFolder | None:
    start = folder.resolve()
    for top in (start, *start.parents):
        mark = top / ".git"
        if mark.is_dir() and (mark / "HEAD").exists():
            return _GitFolder(top, mark)
        named = _read_text(mark)
        if named is not None and named.startswith("gitdir: "):
            return _GitFolder(top, top / named.removeprefix("gitdir: ").rstrip("\n"))
    return None


def _commit_in_files(git_folder: Path) -> str | None:
    """Return the commit of HEAD by loose and packed refs; None where the files do not tell it."""
    shared = git_folder / (_read_text(git_folder / "commondir") or ".").rstrip("\n")
    text = _read_text(git_folder / "HEAD")
    for _ in range(_SYMBOLIC_REFS):
        if text is None or _OBJECT_ID.fullmatch(text.strip()):
            return text and text.strip()
        ref = _REF.fullmatch(text.rstrip("\n"))
        if ref is None or ".." in ref[1]:
            return None
        text = _read_text(git_folder / ref[1]) or _read_text(shared / ref[1]) or _packed(shared, ref[1])
    return None


def _packed(shared: Path, ref: str) -> str | None:
    lines = (_read_text(shared / "packed-refs") or "").splitlines()
    return next((line.partition(" ")[0] for line in lines if line.partition(" ")[2] == ref), None)


def _read_text(path: Path) -> str | None:
    """The text of a regular file, None for anything else."""
    try:
        return read_whole(path, _LARGEST_FILE).decode("utf-8", "surrogateescape")
    except (OSError, ValueError, Damaged):
        return None


def _is_dirty(top: Path) -> bool | None:
    """Whether tracked files have changed; None when git does not tell it without starting filters."""
    names = _filters(top)
    if names is None or not all(map(_PLAIN_NAME.fullmatch, names)):
        return None
    # Empty: git would start the filter for each file that may have changed.
    off = [f"filter.{name}.{key}={value}" for name in sorted(names) for key, value in _NO_FILTER.items()]
    status = ("status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
    changes = _ask(top, *(word for setting in off for word in ("-c", setting)), *status)
    if changes is None:
        return None
    records = changes.split("\0")[:-1]
    # The content of a file is not comparable without its filter.
    unsure = [record[3:] for record in records if names and record.startswith(" M")]
    if len(unsure) < len(records):
        return True
    return bool(records) and _all_filtered(top, unsure)


def _has_untracked(top: Path, files: Iterable[Path]) -> bool:
    """Whether git knows nothing of one of the files in the working tree, ignored or not."""
    root = top.resolve()
    inside = [path for file in files if (path := _real(file)).is_relative_to(root)]
    if not inside:
        return False
    paths = [f":(top,literal){path.relative_to(root)}" for path in dict.fromkeys(inside)]
    return bool(_ask(top, "ls-files", "-z", "--others", "--", *paths))


def _real(file: Path) -> Path:
    """The path of a file without links in its folders; a link itself is what git would track."""
    return file.parent.resolve() / file.name


_NO_FILTER = {"clean": "", "smudge": "", "process": "", "required": "false"}


def _filters(top: Path) -> set[str] | None:
    """The names of all filters in the configuration; None if git cannot read it."""
    keys = _ask(top, "config", "--list", "-z", "--name-only")
    if keys is None:
        return None
    filters = [key.removeprefix("filter.") for key in keys.split("\0") if key.startswith("filter.")]
    return {key.rpartition(".")[0] for key in filters if "." in key}


def _all_filtered(top: Path, paths: list[str]) -> bool | None:
    """Return None if each of these changed files has a filter, else True: some have changed for certain."""
    found = _ask(top, "check-attr", "-z", "--stdin", "filter", data=os.fsencode("\0".join([*paths, ""])))
    if found is None:
        return None
    values = found.split("\0")[2::3]
    return True if any(value in ("unspecified", "unset") for value in values) else None


def _ask(top: Path, *arguments: str, data: bytes = b"") -> str | None:
    try:
        done = run_git(top, *arguments, data=data, timeout=_SECONDS)
    except OSError:
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None
