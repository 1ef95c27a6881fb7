"""What a store holds beside sealed runs and runs in progress: interrupted runs, and files that a crash left."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.fs import check_folders, durable
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import remove_work

_DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{8}")
"""The name of a file while `durable.replace` writes it."""
_STORE_FILES = (layout.STORE_FILE, ".gitattributes", ".gitignore")


@dataclass(frozen=True, slots=True)
class Orphan:
    """An interrupted run, or a file that belongs to no run."""

    path: Path
    """The work folder of the run, or the file."""
    size: int
    """The bytes of all its files, with the events that a recorded command sent and exprec did not take yet."""
    changed: float
    """The time of the last write, in seconds since the epoch."""
    is_run: bool = False
    may_begin: bool = False
    """Whether another process may have just begun to write it: then only its age tells that it is garbage."""
    host: str = ""
    """The host that began the run, or resumed it last; "" if that is not recorded."""
    boot: str = ""
    """The id of the boot of that host."""
    store: Path | None = None
    """The folder of the store of a file."""

    @property
    def name(self) -> str:
        """The name of the work folder or file."""
        return self.path.name

    def may_be_in_progress(self, machine: Mapping[str, str]) -> bool:
        """Return whether a process of another machine may still record the run, of which no lock tells here.

        `machine` has `host` and `boot` of this one. A process of an earlier boot of this host has ended, and the locks
        of all containers of one boot are seen by each other.
        """
        is_known = bool(self.host and self.boot)
        return is_known and self.host != machine.get("host") and self.boot != machine.get("boot")

    def remove(self) -> bool:
        """Remove it. Returns False, and changes nothing, if it is in progress or was written to since it was found.

        Raises Damaged for a link that has taken its place, StorageFailure.
        """
        head = layout.work_head_path(self.path)
        if self.is_run and not _is_work_folder(self.path):
            return False
        if not self.is_run or not os.path.lexists(head):
            return self._remove_unchanged()
        try:
            # Held to the end, so that no process resumes the run meanwhile.
            lock = durable.Lock(head)
        except StorageFailure as failure:
            if isinstance(failure.error, (BlockingIOError, FileNotFoundError)):
                return False
            raise
        try:
            return self._remove_unchanged()
        finally:
            lock.release()

    def _remove_unchanged(self) -> bool:
        if (_measure_run if self.is_run else _measure)(self.path) != _Extent(self.size, self.changed):
            return False
        if self.is_run:
            remove_work(self.path)
        else:
            durable.remove(self.path, self.store)
        return True


def find_orphans(store: Store) -> list[Orphan]:
    """Return all interrupted runs, then all files that belong to no run, each sorted by path.

    Only what has a name that exprec gives, and the files that a work folder has, is garbage. Raises Damaged for a link
    in place of a folder, StorageFailure.
    """
    work = store.path / layout.WORK_FOLDER
    files = [*filter(_is_alone, _list_folder(work, store.path)), *_find_drafts(store.path)]
    folders = [work / name for name in store.work_names()]
    runs = [interrupted_run(folder) for folder in folders if _is_work_folder(folder)]
    return [
        orphan
        for orphan in (*runs, *(_orphaned_file(file, store.path) for file in sorted(files)))
        if orphan is not None
    ]


def interrupted_run(folder: Path) -> Orphan | None:
    """Return the interrupted run in a work folder; None if it is in progress or gone.

    Raises Damaged for a folder that exprec did not create, or a link in its place; StorageFailure.
    """
    if not _is_work_folder(folder) and folder.exists():
        raise Damaged(folder, "is not a folder that exprec created for a run", remedy="remove it if it is not needed")
    extent = None if RunDirectory(folder).status == "running" else _measure_run(folder)
    if extent is None:
        return None
    # A run that begins creates its log last, after it took its lock.
    may_begin = not (folder / layout.EVENTS_FILE).exists()
    head: Mapping[str, object] = {}
    with suppress(Damaged):
        head = RunDirectory(folder).work_head
    host, boot = (str(head.get(key, "")) for key in ("host", "boot"))
    return Orphan(folder, extent.size, extent.changed, is_run=True, may_begin=may_begin, host=host, boot=boot)


def _orphaned_file(path: Path, store: Path) -> Orphan | None:
    extent = _measure(path)
    return None if extent is None else Orphan(path, extent.size, extent.changed, may_begin=True, store=store)


def _is_work_folder(folder: Path) -> bool:
    """Whether exprec created a folder: it has a name that it gives, and a work head, a log, or nothing at all in it."""
    try:
        check_folders(folder, folder.parent.parent)
        if not layout.is_work_name(folder.name):
            return False
        owned = (layout.work_head_path(folder), folder / layout.EVENTS_FILE)
        return any(map(os.path.lexists, owned)) or not any(folder.iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageFailure(folder, error) from error


def _is_alone(path: Path) -> bool:
    """Whether a file beside the work folders has lost its folder.

    A seal that was cut off at its end leaves one, and a recorded command whose child process still writes events.
    """
    if path.suffix not in (layout.WORK_HEAD_SUFFIX, layout.WORK_EVENTS_SUFFIX) or not _is_plain_file(path):
        return False
    folder = path.with_name(path.stem)
    return (
        layout.is_work_name(folder.name)
        and not os.path.lexists(folder)
        and not durable.is_locked(layout.work_head_path(folder))
    )


def _find_drafts(store: Path) -> Iterator[Path]:
    """Yield the files that were being written when their process died."""
    yield from (path for path in _list_folder(store, store) if _drafted_name(path) in _STORE_FILES)
    yield from filter(_drafted_name, _list_folder(store / layout.TAGS_FOLDER, store))
    for path in _list_folder(store / layout.WORK_FOLDER, store):
        if _drafted_name(path).endswith(layout.WORK_HEAD_SUFFIX):
            yield path
    for folder in _list_folder(store / layout.ATTESTATIONS_FOLDER, store):
        for path in _list_folder(folder, store) if layout.is_run_id(folder.name) else ():
            if layout.is_run_id(_drafted_name(path).removesuffix(".json")):
                yield path


def _drafted_name(path: Path) -> str:
    """The name that the file would have when written; "" if it is not a draft."""
    match = _DRAFT.fullmatch(path.name)
    return match[1] if match is not None and _is_plain_file(path) else ""


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _list_folder(folder: Path, store: Path) -> list[Path]:
    try:
        check_folders(folder, store)
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageFailure(folder, error) from error


@dataclass(frozen=True, slots=True)
class _Extent:
    """The size of files in bytes, and the time of their last write."""

    size: int
    changed: float


def _measure_run(folder: Path) -> _Extent | None:
    """The extent of a work folder with the events file beside it; None when it is gone."""
    recorded, sent = _measure(folder), _measure(layout.work_events_path(folder))
    if recorded is None or sent is None:
        return recorded
    return _Extent(recorded.size + sent.size, max(recorded.changed, sent.changed))


def _measure(path: Path) -> _Extent | None:
    """The extent of a file, or of all files in a folder; None when it is gone."""
    try:
        entries = [path.lstat()]
        if stat.S_ISDIR(entries[0].st_mode):
            # Links to folders are not followed.
            entries.extend(inner.lstat() for inner in path.rglob("*"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailure(path, error) from error
    size = sum(entry.st_size for entry in entries if not stat.S_ISDIR(entry.st_mode))
    return _Extent(size, max(entry.st_mtime for entry in entries))
