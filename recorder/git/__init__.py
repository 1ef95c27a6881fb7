"""Runs in git: revisions and the index, read without a checkout, and what exprec sets up in a clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.git import setup as setup
    from exprec.recorder.git.git_store import GitStore as GitStore
    from exprec.recorder.git.git_store import find_repository as find_repository
    from exprec.recorder.git.git_store import find_store_folder as find_store_folder
    from exprec.recorder.git.git_store import store_folders as store_folders
    from exprec.recorder.git.git_tree import TreeIndex as TreeIndex
    from exprec.recorder.git.ignored import explain_ignored_store as explain_ignored_store
    from exprec.recorder.git.repository import Repository as Repository
    from exprec.recorder.git.staged import staged_stores as staged_stores
    from exprec.recorder.git.work_tree import read_git_state as read_git_state

_MODULES = {
    "GitStore": "git_store",
    "Repository": "repository",
    "TreeIndex": "git_tree",
    "explain_ignored_store": "ignored",
    "find_repository": "git_store",
    "find_store_folder": "git_store",
    "read_git_state": "work_tree",
    "setup": "",
    "staged_stores": "staged",
    "store_folders": "git_store",
}

if not TYPE_CHECKING:
    # Lazily, because tab completion needs the repository alone.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
