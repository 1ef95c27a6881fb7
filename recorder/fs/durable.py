"""The only module that writes to disk: whole files, append-only files, folders, locks.

Every OSError becomes StorageFailure.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.fs.safe_read import check_folders, open_plain

_CHUNK_BYTES = 1024 * 1024
_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Of a file system that cannot lock a folder; of NFS, which locks only what is open for writing."""
_FICLONE = 0x40049409
"""The ioctl(2) that makes a file share the blocks of another one; Linux."""
_UNNAMED = getattr(os, "O_TMPFILE", os.O_DIRECTORY)
"""Opens a file without a name; where there is none, the flag makes the call fail."""
_LOCK_ATTEMPTS = 100
_LOCK_PAUSE_SECONDS = 0.05


@contextmanager
def _failures_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailure(path, error) from error


class AppendOnlyFile:
    """A file that only grows: one write(2) per record, and never half a record.

    The first append creates a missing file, so that a log without records leaves no file.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        """Keep the first `size` bytes of the file; the first append removes the rest.

        Raises Damaged for anything but a regular file with one name, StorageFailure.
        """
        self.path = path
        self.size = size
        self._handle: int | None = None
        self.has_rest = False
        """Whether the file has bytes after `size`, which the next append removes."""
        self._is_named = False
        """Whether the entry of the file in its folder is on the disk."""
        with _failures_of(path):
            if os.path.lexists(path):
                self._handle = open_plain(path, os.O_RDWR | os.O_APPEND)
                self.has_rest = os.fstat(self._handle).st_size > size

    def append(self, data: bytes) -> int:
        """Append `data` and return its offset in bytes.

        Raises StorageFailure when it cannot be written whole; the file then ends where it ended before.
        """
        # Without `_failures_of`, which takes as long as the write itself.
        try:
            handle = self._handle if self._handle is not None else self._create()
            if self.has_rest:
                os.ftruncate(handle, self.size)
                self.has_rest = False
            written, size = os.write(handle, data), len(data)
            if written != size:
                self._write_rest(handle, data[written:])
        except OSError as error:
            raise StorageFailure(self.path, error) from error
        offset = self.size
        self.size = offset + size
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from `offset` on. Raises StorageFailure."""
        if self._handle is None:
            return b""
        with _failures_of(self.path):
            return os.pread(self._handle, size, offset)

    def sync(self) -> None:
        """Return once everything appended is on the disk. Raises StorageFailure."""
        if self._handle is None:
            return
        with _failures_of(self.path):
            os.fsync(self._handle)
        if not self._is_named:
            sync_folder(self.path.parent)
            self._is_named = True

    def close(self) -> None:
        """Close the file; a second call does nothing. Raises StorageFailure."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with _failures_of(self.path):
                os.close(handle)

    def _create(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(self.path, flags, 0o666)
        return self._handle

    def _write_rest(self, handle: int, rest: bytes) -> None:
        # A nearly full disk causes a short write. The rest may fit, or fail with the real reason; the half record is
        # then removed, so that the log stays whole.
        try:
            _write_all(handle, rest)
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, self.size)
            raise


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """Create a file, open for writing; when the context ends, what was written is on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield handle
        os.fsync(handle)
    finally:
        os.close(handle)


def write_new(path: Path, data: bytes) -> None:
    """Create a file with this content, on the disk when this returns. Raises StorageFailure if it exists."""
    with _failures_of(path), _new_file(path) as handle:
        _write_all(handle, data)


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Create a file with this content, on the disk when this returns, but for its name. Raises StorageFailure.

    What `pieces` raises is raised, except for an OSError; a part of the file stays.
    """
    with _failures_of(path), _new_file(path) as handle:
        for piece in pieces:
            _write_all(handle, piece)


def clone_new(
    source: int, path: Path, begin: Callable[[os.stat_result], None], is_wanted: Callable[[BinaryIO], bool]
) -> bool:
    """Create a file that shares the blocks of an open one, on the disk when this returns, but for its name.

    Returns False, and creates nothing, if the file system cannot do that, or if `is_wanted`, which reads the copy
    before it has a name, returns False. `begin` is called before with the status of the new file. What the two raise is
    raised. Raises StorageFailure.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _clone_in(folder, source, path, begin, is_wanted)
        finally:
            os.close(folder)
    except _NotCloned:
        return False


class _NotCloned(Exception):
    """The file system cannot let two files share blocks."""


@contextmanager
def _or_not_cloned() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _NotCloned from error


def _clone_in(
    folder: int, source: int, path: Path, begin: Callable[[os.stat_result], None], is_wanted: Callable[[BinaryIO], bool]
) -> bool:
    with _or_not_cloned():
        copy = os.fdopen(os.open(".", os.O_RDWR | _UNNAMED | os.O_CLOEXEC, 0o666, dir_fd=folder), "rb", 0)
    with copy:
        begin(os.fstat(copy.fileno()))
        with _or_not_cloned():
            fcntl.ioctl(copy.fileno(), _FICLONE, source)
        if not is_wanted(copy):
            return False
        with _failures_of(path):
            os.fsync(copy.fileno())
        with _or_not_cloned():
            # With a folder, because else Python does not follow the link.
            os.link(f"/proc/self/fd/{copy.fileno()}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    return True


def put(draft: Path, path: Path) -> None:
    """Give a file or a folder its name, in place of a file, if there is one. Raises StorageFailure."""
    with _failures_of(path):
        os.rename(draft, path)
    sync_folder(path.parent)


def rewrite(path: Path, edits: Iterable[tuple[int, bytes, bytes]]) -> int:
    """Replace parts of a file by others: the offset of each, in order, its bytes, and the new ones.

    Returns the size of the file. A reader sees all of the old or all of the new content. Raises StorageFailure.
    """
    with _failures_of(path), _draft_of(path) as draft:
        with path.open("rb") as reader, _new_file(draft) as handle:
            for start, old, new in edits:
                _copy_bytes(reader, handle, start - reader.tell())
                _write_all(handle, new)
                reader.seek(len(old), os.SEEK_CUR)
            _copy_bytes(reader, handle, os.fstat(reader.fileno()).st_size - reader.tell())
            size = os.fstat(handle).st_size
        os.rename(draft, path)
    sync_folder(path.parent)
    return size


def _copy_bytes(reader: BinaryIO, handle: int, size: int) -> None:
    while size > 0 and (piece := reader.read(min(size, _CHUNK_BYTES))):
        _write_all(handle, piece)
        size -= len(piece)


def overwrite(handle: int, path: Path, offset: int, data: bytes) -> None:
    """Write over bytes of an open file, also if it was removed or renamed; `path` is for errors.

    Raises StorageFailure.
    """
    with _failures_of(path):
        while data:
            written = os.pwrite(handle, data, offset)
            data, offset = data[written:], offset + written


def replace(path: Path, data: bytes, *, is_executable: bool = False) -> None:
    """Replace the content of a file atomically: a reader sees all of the old or all of the new one."""
    with _draft_of(path) as draft:
        write_new(draft, data)
        with _failures_of(path):
            if is_executable:
                draft.chmod(0o755)
            os.rename(draft, path)
    sync_folder(path.parent)


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """The path of a new file that takes the place of another; it is removed after an error."""
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        yield draft
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def replace_locked(path: Path, data: bytes, lock: Lock) -> Lock:
    """Replace the content of a file whose lock is held; returns the lock of the new file, and releases `lock`.

    At no moment can another process lock the file. Raises StorageFailure; then the caller releases `lock`.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    new: Lock | None = None
    try:
        write_new(draft, data)
        new = Lock(draft)
        with _failures_of(path):
            os.rename(draft, path)
        sync_folder(path.parent)
    except BaseException:
        if new is not None:
            new.release()
        with suppress(OSError):
            draft.unlink()
        raise
    lock.release()
    return new


def create_folder(path: Path, top: Path | None = None) -> None:
    """Create a folder and its parents, on the disk when this returns; does nothing if it exists.

    Raises Damaged for a link, or anything but a folder, in place of it or of one of its parents below `top`.
    """
    if top is not None:
        with _failures_of(path):
            check_folders(path, top)
    if path.is_dir():
        return
    if path.parent != path:
        create_folder(path.parent)
    with _failures_of(path):
        try:
            path.mkdir(exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
    sync_folder(path.parent)


def create_unique_folder(parent: Path) -> Path:
    """Create a folder with a new random name and return its path. The name never becomes content of a run.

    The name is on the disk once `parent` is synced.
    """
    with _failures_of(parent):
        while True:
            path = parent / os.urandom(8).hex()
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path


def publish_folder(draft: Path, final: Path) -> bool:
    """Give a finished folder its final name. Returns False, and changes nothing, if that name is taken.

    The rename is one step of the file system: whatever happens, `final` is whole or absent.
    """
    sync_folder(draft)
    with _failures_of(final):
        try:
            os.rename(draft, final)
        except OSError as error:
            # In a folder with the sticky bit, the folder of another user is not even compared.
            is_taken = error.errno in (errno.EPERM, errno.EACCES) and os.path.lexists(final)
            if is_taken or error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
    sync_folder(final.parent)
    return True


def remove(path: Path, top: Path | None = None) -> None:
    """Remove a file, or a folder with its content; does nothing if it is missing.

    No link is followed, also one that another process puts in place of a folder meanwhile: in the path below `top`, by
    default the folder of the file, and in what is removed. Raises Damaged for one in the path, StorageFailure.
    """
    with _failures_of(path), suppress(FileNotFoundError), _open_folder(path.parent, top or path.parent) as parent:
        if stat.S_ISDIR(os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode):
            # Imported here: it loads bz2 and lzma, and a command that reads removes nothing.
            import shutil

            shutil.rmtree(path.name, dir_fd=parent)
        else:
            os.unlink(path.name, dir_fd=parent)


@contextmanager
def _open_folder(folder: Path, top: Path) -> Iterator[int]:
    """Open a folder, and before it those above it below `top`. Raises Damaged for a link, OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    first, *others = folder.relative_to(top).parts or ("",)
    try:
        # `top`, which the user names, may be a link.
        handle = os.open(top / first, flags | os.O_NOFOLLOW if first else flags)
        try:
            for name in others:
                inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            check_folders(folder, top)
        raise


def remove_upwards(path: Path, last: Path, top: Path) -> None:
    """Remove a file, if it exists, and then the empty folders above it, but not `last`. Ignores failures.

    As in `remove`, no link below `top` is followed.
    """
    with suppress(OSError, Damaged, StorageFailure):
        remove(path, top)
        for folder in path.parents:
            if folder == last:
                break
            with _open_folder(folder.parent, top) as parent:
                os.rmdir(folder.name, dir_fd=parent)


def sync_folder(path: Path) -> None:
    """Return once the entries of a folder are on the disk."""
    with _failures_of(path):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this context with this folder.

    No process is excluded where the file system cannot lock a folder. Raises StorageFailure, also when another process
    stays in it.
    """
    with _failures_of(folder):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        with _failures_of(folder):
            _wait_for_lock(handle)
        yield
    finally:
        os.close(handle)


def _wait_for_lock(handle: int) -> None:
    """Take a lock that other processes hold for milliseconds. Raises BlockingIOError when one keeps it."""
    # Imported here because only tags are locked so.
    import threading

    for attempt in range(_LOCK_ATTEMPTS):
        try:
            if _is_taken(handle):
                return
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            raise
        if attempt:
            threading.Event().wait(_LOCK_PAUSE_SECONDS)
    raise BlockingIOError(errno.EAGAIN, "another process is changing it; try again")


class Lock:
    """An exclusive lock on a file, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Lock an existing file.

        Raises StorageFailure if another process holds the lock or has replaced the file meanwhile, Damaged for
        anything but a regular file.
        """
        self._handle: int | None = None
        with _failures_of(path):
            handle = open_plain(path)
            try:
                while not _is_taken(handle):
                    # `is_locked` may have held it for a moment. While a process holds it, this raises.
                    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(handle), os.lstat(path)):
                    # By `replace_locked`, in the process that released the lock of this file.
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            except OSError:
                os.close(handle)
                raise
        self._handle = handle

    def release(self) -> None:
        """Give the lock up; nothing happens the second time."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _is_taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of this file.

    False if the file is missing or cannot be opened: a caller that then takes the lock gets the reason as an error.
    """
    try:
        handle = open_plain(path)
    except (OSError, Damaged):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(handle)
