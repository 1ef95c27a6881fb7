"""The only module that writes to disk: whole files, append-only files, folders, locks.

It knows nothing of runs or events; it turns every OSError into StorageFailure.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exprec.recorder.errors import StorageFailure

_CHUNK_BYTES = 1024 * 1024
_TO_LOCK = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Without blocking if the path is a pipe."""


@contextmanager
def _failures_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailure(path, error) from error


class AppendOnlyFile:
    """A file that only grows: one write(2) a record, and never half a record.

    One that is not there is created by the first append: a log without records need not leave a file.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        """Keep the first `size` bytes of the file; what follows them stays until something is appended.

        Raises StorageFailure.
        """
        self.path = path
        self.size = size
        self._handle: int | None = None
        self._has_rest = False
        """Whether bytes after `size` are still to be cut off."""
        self._is_named = False
        """Whether the name of the file is on the disk too."""
        with _failures_of(path):
            if path.exists():
                self._handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
                self._has_rest = os.fstat(self._handle).st_size > size

    def append(self, data: bytes) -> int:
        """Append `data` and return its offset in bytes.

        Raises StorageFailure when it cannot be written whole; the file then ends where it ended before.
        """
        # Without `_failures_of`, which takes as long as the write itself.
        try:
            handle = self._handle if self._handle is not None else self._create()
            if self._has_rest:
                os.ftruncate(handle, self.size)
                self._has_rest = False
            written, size = os.write(handle, data), len(data)
            if written != size:
                self._write_rest(handle, data[written:])
        except OSError as error:
            raise StorageFailure(self.path, error) from error
        offset = self.size
        self.size = offset + size
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from `offset` on, at most `size` of them."""
        if self._handle is None:
            return b""
        with _failures_of(self.path):
            return os.pread(self._handle, size, offset)

    def sync(self) -> None:
        """Return once everything appended is on the disk."""
        if self._handle is None:
            return
        with _failures_of(self.path):
            os.fsync(self._handle)
        if not self._is_named:
            sync_folder(self.path.parent)
            self._is_named = True

    def close(self) -> None:
        """Close it; nothing happens the second time. Raises StorageFailure."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with _failures_of(self.path):
                os.close(handle)

    def _create(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(self.path, flags, 0o666)
        return self._handle

    def _write_rest(self, handle: int, rest: bytes) -> None:
        # A short write is what a disk that is nearly full gives. The rest may fit, or fail with the
        # real reason; then the half record is taken back, so that the log stays whole.
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
    """A file that was not there, open for writing; what was written is on the disk when this ends."""
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


def copy_new(source: Path, path: Path) -> None:
    """Create a file with the content of another one, on the disk when this returns. Raises StorageFailure."""
    with _failures_of(source):
        origin = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(origin, "rb", 0) as reader, _failures_of(path), _new_file(path) as handle:
        while data := reader.read(_CHUNK_BYTES):
            _write_all(handle, data)
    sync_folder(path.parent)


def replace(path: Path, data: bytes, *, is_executable: bool = False) -> None:
    """Give a file this content at one moment: a reader sees all of the old or all of the new."""
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        write_new(draft, data)
        with _failures_of(path):
            if is_executable:
                draft.chmod(0o755)
            os.rename(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def create_folder(path: Path) -> None:
    """Create a folder and those above it, on the disk when this returns; nothing happens when it is there."""
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
    """Create a folder with a new random name, which is part of no content, and return it.

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
    """Give a finished folder its final name; False, with nothing changed, when that name is taken.

    The rename is one step of the file system: whatever happens, `final` is whole or absent.
    """
    sync_folder(draft)
    with _failures_of(final):
        try:
            os.rename(draft, final)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
    sync_folder(final.parent)
    return True


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens when it is gone."""
    with _failures_of(path):
        if path.is_dir() and not path.is_symlink():
            # Imported here: it loads bz2 and lzma, and a command that reads removes nothing.
            import shutil

            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_upwards(path: Path, top: Path) -> None:
    """Remove a file as far as it is there, and then the folders above it, below `top`, that are empty."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == top:
                break
            folder.rmdir()


def sync_folder(path: Path) -> None:
    """Return once the names in a folder are on the disk."""
    with _failures_of(path):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Lock:
    """An exclusive lock on a file, held until `release` or the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock of an existing file. Raises StorageFailure when another process has it."""
        self._handle: int | None = None
        with _failures_of(path):
            handle = os.open(path, _TO_LOCK)
            try:
                while not _is_taken(handle):
                    # `is_locked` may have held it for a moment. While a process holds it, this raises.
                    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
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
        handle = os.open(path, _TO_LOCK)
    except OSError:
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
