"""The artifacts of a run in progress: files and folders that are copied into it, each whole or not at all."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple

from exprec.recorder.diagnostics import SecretGuard, show_value
from exprec.recorder.errors import InvalidInput, Problem, SecretFound, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.fs import durable, walk_files
from exprec.recorder.store.archive_members import is_compressed, read_members

CLONED_BYTES = 1024 * 1024
"""Of a file of this size or more, the blocks are shared where the file system can."""

_CHUNK_BYTES = 1024 * 1024
_ATTEMPTS = 3
_TICK_NS = 20_000_000
"""More than the granularity of the times of files: within it, a second change may leave the time as it was."""
_MISSING = "cannot be kept: there is no such file"
_SPECIAL = "cannot be kept: it is a special file, such as a pipe or a device"
_REASONS = {
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _MISSING,
    errno.EACCES: "cannot be read: its permissions do not allow it",
    errno.EPERM: "cannot be read: its permissions do not allow it",
    errno.ELOOP: "cannot be kept: it is a link to itself or to a folder that contains it",
    errno.ENAMETOOLONG: "cannot be kept: its path is too long",
}
"""Why a file cannot be read, in words of exprec: failed runs record them."""
_OF_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC, errno.EDQUOT)
"""Errors that say nothing about a file: the run is not sealed with them."""
_OLD = "was there before, and the command did not write it"
_UNREADABLE = "cannot be read: its file system reports an error"


class _Refused(Exception):
    """Why a file is not an artifact, as the end of a sentence."""


@dataclass(slots=True)
class _Node:
    """A file or a folder among the artifacts."""

    name: str
    """The name in its folder, as it was given."""
    inner: dict[str, _Node] | None = None
    """What is in a folder, by what names that are one file elsewhere have in common; None for a file."""


@dataclass(slots=True)
class _Batch:
    """What one call keeps, and what it cannot keep."""

    kept: int = 0
    left_out: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    secrets: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, name: str, reason: object) -> None:
        """Note why a file cannot be kept."""
        self.refused.append(f"the artifact {show_value(name)} {reason}")


@dataclass(slots=True)
class _Tree:
    """A folder that is being copied."""

    draft: Path
    inner: dict[str, _Node] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)
    """The folders of the copy that have files."""


class Artifacts:
    """The artifacts of one run in progress."""

    def __init__(self, folder: Path, store: Path, secrets: SecretGuard) -> None:
        """Keep artifacts in the work folder of a run of `store`, and none with one of `secrets`."""
        self._folder = folder
        self._store = store
        self._secrets = secrets
        self._draft_folder = folder / layout.WORK_DRAFT
        self._numbers = count()
        self._names: dict[str, _Node] | None = None

    def add(
        self,
        name: str,
        source: Path,
        max_bytes: int = layout.MAX_ARTIFACT_BYTES,
        is_new: Callable[[Path], bool] | None = None,
    ) -> tuple[str, ...]:
        """Copy a file, or a folder with everything in it, into the run as the artifact `name`, a path with slashes.

        An artifact of this name is replaced: the last one counts. Links are followed. `is_new` tells of a file whether
        the recorded command wrote it: others of a folder are left out, and their names returned. If the secret guard of
        the run redacts, the secrets in names, and in text in UTF-8, become placeholders.

        What can be kept of a folder is kept, also when an error is raised for the rest: InvalidInput for an invalid
        name, or one that is another artifact's on other systems; for a file that is missing, unreadable or special,
        has more than `max_bytes`, or changes whenever it is copied; SecretFound for a secret in a content or a name.
        Raises StorageFailure.
        """
        batch = _Batch()
        try:
            if _is_folder(source) and layout.artifact_name_problem(name) is None:
                self._add_folder(name, source, max_bytes, is_new, batch)
            elif is_new is not None and not is_new(source):
                batch.refuse(name, _OLD)
            else:
                self._attempt(batch, name, lambda: self._add_file(name, source, max_bytes))
        finally:
            self.clean()
        if batch.secrets:
            raise SecretFound(*batch.secrets[0], more=batch.secrets[1:])
        if batch.refused:
            others = len(batch.refused) - 1
            also = f" ({others} other file{'s' if others > 1 else ''} of it cannot be kept either)" if others else ""
            raise InvalidInput([Problem((), f"{batch.refused[0]}{also}")])
        return tuple(batch.left_out)

    def clean(self) -> None:
        """Remove what is left of files that were being copied. Raises StorageFailure."""
        if os.path.lexists(self._draft_folder):
            durable.remove(self._draft_folder, self._store)

    def _attempt(self, batch: _Batch, name: str, act: Callable[[], None]) -> None:
        """Keep one file; if it cannot be kept, note why."""
        try:
            act()
            batch.kept += 1
        except _Refused as refused:
            batch.refuse(name, refused)
        except SecretFound as found:
            batch.secrets += found.hits

    def _add_file(self, name: str, source: Path, max_bytes: int) -> None:
        _check(layout.artifact_name_problem(name))
        known = self._known()
        shown, name = name, self._secrets.admit("the name of an artifact", name)
        _check(_place_problem(known, name, is_folder=False))
        draft = self._draft_folder / str(next(self._numbers))
        durable.create_folder(draft.parent, self._store)
        self._copy(shown, source, draft, max_bytes)
        path = self._folder / layout.ARTIFACTS_FOLDER / name
        durable.create_folder(path.parent)
        durable.put(draft, path)
        _enter(known, name)

    def _add_folder(
        self, name: str, source: Path, max_bytes: int, is_new: Callable[[Path], bool] | None, batch: _Batch
    ) -> None:
        """Copy the files of a folder, then let the copy take the place of an earlier artifact of this name."""
        known, placed = self._known(), self._secrets.admit("the name of an artifact", name)
        problem = _place_problem(known, placed, is_folder=True)
        if problem is None and self._store.resolve().is_relative_to(source.resolve()):
            problem = "cannot be kept: it contains the store; name a folder beside it"
        if problem is not None:
            batch.refuse(name, problem)
            return
        tree = _Tree(self._draft_folder / str(next(self._numbers)))
        # All names first: what is copied meanwhile must not be found too.
        for found in sorted(walk_files(source)):
            whole = f"{name}/{found.name}" if found.name else name
            if is_new is not None and found.error is None and not is_new(found.path):
                batch.left_out.append(whole)
            else:
                self._attempt(batch, whole, partial(self._add_member, tree, whole, max_bytes, *found))
        if batch.kept:
            self._put_folder(tree, placed)
            _enter(known, placed, tree.inner)
        elif not (batch.refused or batch.secrets):
            batch.refuse(name, _OLD if batch.left_out else "cannot be kept: it is a folder without files")

    def _add_member(
        self, tree: _Tree, whole: str, max_bytes: int, name: str, source: Path, error: OSError | None
    ) -> None:
        """Copy a file of a folder into the draft of the folder. Raises _Refused, SecretFound, StorageFailure."""
        if error is not None:
            raise _failure(source, error)
        _check(layout.artifact_name_problem(whole) or layout.portability_problem(name))
        name = self._secrets.admit("the name of an artifact", name)
        _check(_place_problem(tree.inner, name, is_folder=False))
        draft = tree.draft / name
        durable.create_folder(draft.parent, self._store)
        try:
            self._copy(whole, source, draft, max_bytes)
        except BaseException:
            durable.remove_upwards(draft, self._draft_folder, self._store)
            raise
        tree.folders.add(draft.parent)
        _enter(tree.inner, name)

    def _put_folder(self, tree: _Tree, name: str) -> None:
        for folder in tree.folders:
            durable.sync_folder(folder)
        path = self._folder / layout.ARTIFACTS_FOLDER / name
        durable.create_folder(path.parent)
        if path.exists():
            durable.put(path, self._draft_folder / f"{next(self._numbers)}")
        durable.put(tree.draft, path)

    def _known(self) -> dict[str, _Node]:
        """Return the artifacts that the run has."""
        if self._names is None:
            self._names = {}
            folder = self._folder / layout.ARTIFACTS_FOLDER
            for found in walk_files(folder) if folder.exists() else ():
                _enter(self._names, found.name)
        return self._names

    def _copy(self, name: str, source: Path, draft: Path, max_bytes: int) -> None:
        """Copy a file that does not change meanwhile. Raises _Refused, SecretFound, StorageFailure."""
        for _ in range(_ATTEMPTS):
            with _open_file(source) as reader:
                size = _stamp(reader).size
                if size > max_bytes:
                    advice = "raise --artifact-limit (in Python: artifact_limit), or record its SHA-256 instead"
                    raise _Refused(f"has {size} bytes, and {max_bytes} are the most; {advice}")
                copy = _Copy(f"the artifact {show_value(name)}", reader, draft, self._secrets)
                if (size >= CLONED_BYTES and copy.clone()) or copy.stream():
                    return
            durable.remove(draft, self._store)
        raise _Refused("changed while it was copied; keep it once it is complete")


class _Copy:
    """One attempt to copy an open file."""

    def __init__(self, what: str, reader: BinaryIO, draft: Path, secrets: SecretGuard) -> None:
        """Copy to `draft`; `what` names the artifact in messages."""
        self._what = what
        self._reader = reader
        self._draft = draft
        self._secrets = secrets
        self._before: _Stamp | None = None
        """What the file was before it was read; None if it was changing."""

    def clone(self) -> bool:
        """Let the copy share the blocks of the file; False if that is not possible, or the file changed."""
        has_copy = durable.clone_new(self._reader.fileno(), self._draft, self._begin, self._is_free_of_secrets)
        if has_copy and _stamp(self._reader) != self._before:
            durable.remove(self._draft)
            return False
        return has_copy

    def stream(self) -> bool:
        """Copy what is read; False if the file changed meanwhile."""
        self._reader.seek(0)
        searched = self._search_members(self._reader)
        copied = hashlib.sha256()
        scan = self._secrets.scan_file()
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            self._begin(self._draft.stat())
            text, is_text = codecs.getincrementaldecoder("utf-8")(), True
            for piece in _pieces(self._reader):
                # Searched as it is copied: another process may write the file in the meantime.
                kept = scan.passed(piece) if piece else scan.rest()
                if scan.found is not None:
                    raise SecretFound(self._what, scan.found)
                if self._secrets.redacts:
                    is_text = is_text and _is_text(text, piece)
                    if scan.replaced and not is_text:
                        raise SecretFound(self._what, scan.replaced)
                if searched is not None:
                    copied.update(piece)
                size += len(piece)
                yield kept

        durable.write_pieces(self._draft, pieces())
        after = _stamp(self._reader)
        if after != self._before or size != after.size or searched not in (None, copied.hexdigest()):
            return False
        self._secrets.settle(self._what, scan)
        return True

    def _begin(self, copy: os.stat_result) -> None:
        """Note what the file is before it is read; `copy` is the status of the new file, which tells the time.

        Of a file that has just changed, waits until another change would change its time too.
        """
        self._before = stamp = _stamp(self._reader)
        if abs(copy.st_mtime_ns - stamp.changed_ns) < _TICK_NS:
            # Imported here because few commands keep artifacts.
            import threading

            threading.Event().wait(_TICK_NS / 1e9)
            # A file that changed meanwhile may change again, and have the same time.
            self._before = stamp if _stamp(self._reader) == stamp else None

    def _is_free_of_secrets(self, copy: BinaryIO) -> bool:
        """Search a copy; False if something in it is to be replaced. Raises SecretFound."""
        if not self._secrets.has_any:
            return True
        self._search_members(copy)
        scan = self._secrets.scan()
        for piece in _pieces(copy):
            scan.passed(piece)
            if scan.found is not None:
                if self._secrets.redacts:
                    return False
                raise SecretFound(self._what, scan.found)
        return True

    def _search_members(self, file: BinaryIO) -> str | None:
        """Search the members of a compressed file; returns its SHA-256, None for other files. Raises SecretFound."""
        if not self._secrets.has_any or not is_compressed(file):
            return None
        digest = hashlib.sha256()
        for piece in _pieces(file):
            digest.update(piece)
        try:
            for member, pieces in read_members(file):
                scan = self._secrets.scan()
                for piece in pieces:
                    scan.passed(piece)
                    if scan.found is not None:
                        place = show_value(self._secrets.redacted(member))
                        raise SecretFound(f"{place} in {self._what}", scan.found)
        except OSError as error:
            raise _failure(Path(str(file.name)), error) from None
        return digest.hexdigest()


class _Stamp(NamedTuple):
    """What differs once a file has changed."""

    inode: int
    size: int
    changed_ns: int


def _stamp(file: BinaryIO) -> _Stamp:
    try:
        status = os.fstat(file.fileno())
    except OSError as error:
        raise _failure(Path(str(file.name)), error) from None
    return _Stamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _open_file(path: Path) -> BinaryIO:
    """Open a regular file, links followed. Raises _Refused for anything else."""
    try:
        # Before it is opened: that of a device may do something.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _Refused(_SPECIAL)
        # A pipe that takes its place meanwhile would block.
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except ValueError:
        # A path with a zero byte.
        raise _Refused(_MISSING) from None
    except OSError as error:
        raise _failure(path, error) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _Refused(_SPECIAL)
    return file


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file from its beginning on in pieces, and empty bytes at its end. Raises _Refused."""
    try:
        file.seek(0)
        while piece := file.read(_CHUNK_BYTES):
            yield piece
    except OSError as error:
        raise _failure(Path(str(file.name)), error) from None
    yield b""


def _failure(path: Path, error: OSError) -> _Refused | StorageFailure:
    """Return why a file cannot be read, as an error to raise."""
    if error.errno in _OF_MACHINE:
        return StorageFailure(path, error)
    return _Refused(_REASONS.get(error.errno or 0, _UNREADABLE))


def _check(problem: str | None) -> None:
    if problem is not None:
        raise _Refused(problem)


def _is_text(decoder: codecs.IncrementalDecoder, piece: bytes) -> bool:
    """Whether the next piece of a file, empty at its end, is text in UTF-8."""
    try:
        decoder.decode(piece, not piece)
    except UnicodeDecodeError:
        return False
    return b"\0" not in piece


def _place_problem(names: Mapping[str, _Node], name: str, *, is_folder: bool) -> str | None:
    """Return why there cannot be a file or a folder of this name beside others, or None."""
    *folders, last = name.split("/")
    for part, wants_folder in (*((folder, True) for folder in folders), (last, is_folder)):
        node = names.get(layout.file_key(part))
        if node is None:
            return None
        if node.name != part:
            both = f"{show_value(part)} and {show_value(node.name)}"
            return f"cannot be kept: {both} are one name on some systems; give it another name"
        if wants_folder != (node.inner is not None):
            kind = "file" if wants_folder else "folder"
            return f"cannot be kept: {show_value(part)} is a {kind} among the artifacts; give it another name"
        names = node.inner or {}
    return None


def _enter(names: dict[str, _Node], name: str, inner: dict[str, _Node] | None = None) -> None:
    """Enter a file, or a folder with what is in it, among others."""
    *folders, last = name.split("/")
    for folder in folders:
        node = names.setdefault(layout.file_key(folder), _Node(folder, {}))
        assert node.inner is not None, "a file is not a folder"
        names = node.inner
    names[layout.file_key(last)] = _Node(last, inner)
