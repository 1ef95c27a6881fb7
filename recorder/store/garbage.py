"""What is in a store and belongs to no sealed run: interrupted runs, and files that a crash left.

It finds and removes it; which of it shall go is up to the caller. Nothing of a sealed run is ever among it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.fs import durable
from exprec.recorder.store.run_directory import RunDirectory, work_events_path, work_head_path
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import remove_work

_DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{8}")
"""The name of a file while it is written; see `files.replace`."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A run that is not in progress and not sealed, or a file without a run."""

    path: Path
    """The work folder of a run, or the file."""
    size: int
    """Bytes of all its files, those that a recorded command sent and exprec did not take yet included."""
    changed: float
    """When it was last written: seconds since the epoch."""
    is_run: bool = False
    experiment: str = ""
    iterations: int = 0
    """Iterations begun."""
    events: int = 0
    exchanges: int = 0
    """Lines recorded; of a damaged log those before the damage."""
    may_begin: bool = False
    """Whether it looks like what another process has just begun to write: then its age alone tells."""

    @property
    def name(self) -> str:
        return self.path.name

    def remove(self) -> bool:
        """Remove it; False, with nothing changed, when it is in progress or was written to since it was found.

        Raises StorageFailure.
        """
        head = work_head_path(self.path)
        if not self.is_run or not head.exists():
            return self._remove_unchanged()
        try:
            # Held to the end, so that nobody resumes the run in between.
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
        if (_run_extent if self.is_run else _extent)(self.path) != (self.size, self.changed):
            return False
        (remove_work if self.is_run else durable.remove)(self.path)
        return True


def leftovers(store: Store) -> list[Leftover]:
    """Everything in a store that is neither sealed nor in progress: runs, then files, each sorted by path.

    Raises StorageFailure.
    """
    work = store.path / layout.WORK_FOLDER
    heads = [path for path in _listed(work) if _is_alone(path)]
    found = [interrupted(work / name) for name in store.work_names()]
    found += [_file(path) for path in sorted([*heads, *_drafts(store.path)])]
    return [each for each in found if each is not None]


def interrupted(folder: Path) -> Leftover | None:
    """The interrupted run in a work folder, or None when it is in progress or gone. Raises StorageFailure."""
    run = RunDirectory(folder)
    extent = None if run.status == "running" else _run_extent(folder)
    if extent is None:
        return None
    iterations: set[int] = set()
    events = exchanges = 0
    experiment = ""
    try:
        experiment = run.name
        for entry in run.reader().entries():
            events += 1
            iterations.add(entry.event["iteration"])
        for _ in run.exchange_reader().exchanges():
            exchanges += 1
    except Damaged:
        # What is damaged is as abandoned as the rest.
        pass
    # A run that begins has its log last, and its lock before that.
    may_begin = not (folder / layout.EVENTS_FILE).exists()
    return Leftover(folder, *extent, True, experiment, len(iterations - {0}), events, exchanges, may_begin)


def _file(path: Path) -> Leftover | None:
    extent = _extent(path)
    return None if extent is None else Leftover(path, *extent, may_begin=True)


def _is_alone(path: Path) -> bool:
    """Whether this is a file beside a work folder that has gone: of a seal that was cut off at its very end, or written
    by what a recorded command left running."""
    folder = path.with_name(path.stem)
    if path.suffix not in (layout.WORK_HEAD_SUFFIX, layout.WORK_EVENTS_SUFFIX) or not path.is_file():
        return False
    return not folder.exists() and not durable.is_locked(work_head_path(folder))


def _drafts(store: Path) -> Iterator[Path]:
    """The files that were being written when their process died."""
    own = (layout.STORE_FILE, ".gitattributes", ".gitignore")
    yield from (path for path in _listed(store) if _drafted(path) in own)
    yield from (path for path in _listed(store / layout.TAGS_FOLDER) if _drafted(path))
    work = store / layout.WORK_FOLDER
    yield from (path for path in _listed(work) if (_drafted(path) or "").endswith(layout.WORK_HEAD_SUFFIX))
    for folder in _listed(store / layout.ATTESTATIONS_FOLDER):
        if layout.is_run_id(folder.name):
            yield from (
                path for path in _listed(folder) if layout.is_run_id((_drafted(path) or "").removesuffix(".json"))
            )


def _drafted(path: Path) -> str | None:
    """The name that a draft would have got; None when this is none."""
    match = _DRAFT.fullmatch(path.name)
    return match[1] if match is not None and path.is_file() and not path.is_symlink() else None


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StorageFailure(folder, error) from error


def _run_extent(folder: Path) -> tuple[int, float] | None:
    """The same of a work folder, with the events beside it."""
    found, sent = _extent(folder), _extent(work_events_path(folder))
    return found if found is None or sent is None else (found[0] + sent[0], max(found[1], sent[1]))


def _extent(path: Path) -> tuple[int, float] | None:
    """The size of a file, or of all files in a folder, and when the last of them was written; None when it is gone."""
    try:
        found = [path.lstat()]
        if path.is_dir() and not path.is_symlink():
            found.extend(each.lstat() for each in path.rglob("*"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailure(path, error) from error
    return sum(each.st_size for each in found if not stat.S_ISDIR(each.st_mode)), max(each.st_mtime for each in found)
