"""The store on disk: runs in progress and sealed runs, their logs, tags, execution records and garbage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.store import garbage as garbage
    from exprec.recorder.store import log as log
    from exprec.recorder.store.file_tree import FileTree as FileTree
    from exprec.recorder.store.run_directory import RunDirectory as RunDirectory
    from exprec.recorder.store.run_directory import Summary as Summary
    from exprec.recorder.store.store import Store as Store
    from exprec.recorder.store.store import find_run as find_run
    from exprec.recorder.store.store_reader import StoreReader as StoreReader
    from exprec.recorder.store.work_run import Sealed as Sealed
    from exprec.recorder.store.work_run import WorkRun as WorkRun

_MODULES = {
    "FileTree": "file_tree",
    "RunDirectory": "run_directory",
    "Sealed": "work_run",
    "Store": "store",
    "StoreReader": "store_reader",
    "Summary": "run_directory",
    "WorkRun": "work_run",
    "find_run": "store",
    "garbage": "",
    "log": "",
}

if not TYPE_CHECKING:
    # Lazily, because a command that reads runs does not need what records them.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
