"""Hooks before the system calls of this process that touch a folder: a test can log, interrupt or fail each of them.

`test_kill_points` checks with strace that no other calls touch the folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

CHANGING = frozenset({"create", "write", "ftruncate", "rename", "mkdir", "unlink", "rmdir"})
"""The calls that change what is on the disk."""
SPACE = frozenset({"create", "write", "rename", "mkdir"})
"""The calls that may need disk space."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call about to be made."""

    name: str
    """The name in Linux, but `create` for an `open` that may create the file."""
    path: str
    """The path of the file or folder in the watched folder."""
    data: bytes = b""
    """The bytes to write."""
    size: int = 0
    """The size to truncate to."""
    to: str = ""
    """The new path of a `rename`."""


class Half(Exception):
    """Raised by a hook to write only the first `written` bytes and then call `then`."""

    def __init__(self, written: int, then: Callable[[], None]) -> None:
        super().__init__(written)
        self.written, self.then = written, then


Before = Callable[[Call], None]
"""Called before each system call; an error it raises replaces the call. `close` closes even if an OSError is raised."""

_NAMES = ("open", "write", "fsync", "ftruncate", "rename", "replace", "mkdir", "unlink", "remove", "rmdir", "close")
_REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in _NAMES}
_REAL_FLOCK = fcntl.flock


@contextmanager
def watched(folder: Path, before: Before) -> Iterator[None]:
    """Call `before` ahead of every system call of this process that touches `folder`."""
    calls = _Calls(folder, before)
    replaced = {name: getattr(calls, name) for name in _NAMES}
    with mock.patch.multiple(os, **replaced), mock.patch.object(fcntl, "flock", calls.flock):
        yield


class _Calls:
    """Replacements of the functions of `os` and `fcntl` with the same names."""

    def __init__(self, folder: Path, before: Before) -> None:
        self._folder = os.path.realpath(folder)
        self._before = before
        self._paths: dict[int, str] = {}
        """The paths of open files, by file descriptor."""
        self._written: set[int] = set()
        """The descriptors open for writing; closing one that is only read needs no hook."""

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        inside = self._inside(path, dir_fd)
        if inside is None:
            return int(_REAL["open"](path, flags, mode, dir_fd=dir_fd))
        self._before(Call("create" if flags & os.O_CREAT else "open", inside))
        handle = int(_REAL["open"](path, flags, mode, dir_fd=dir_fd))
        self._paths[handle] = inside
        if flags & (os.O_WRONLY | os.O_RDWR):
            self._written.add(handle)
        return handle

    def write(self, handle: int, data: Any) -> int:
        inside = self._paths.get(handle)
        if inside is None:
            return int(_REAL["write"](handle, data))
        try:
            self._before(Call("write", inside, data=bytes(data)))
        except Half as half:
            written = _REAL["write"](handle, data[: half.written]) if half.written else 0
            half.then()
            return int(written)
        return int(_REAL["write"](handle, data))

    def fsync(self, handle: int) -> None:
        if handle in self._paths:
            self._before(Call("fsync", self._paths[handle]))
        _REAL["fsync"](handle)

    def ftruncate(self, handle: int, size: int) -> None:
        if handle in self._paths:
            self._before(Call("ftruncate", self._paths[handle], size=size))
        _REAL["ftruncate"](handle, size)

    def flock(self, handle: int, operation: int) -> None:
        if handle in self._paths:
            self._before(Call("flock", self._paths[handle]))
        _REAL_FLOCK(handle, operation)

    def close(self, handle: int) -> None:
        inside = self._paths.pop(handle, None)
        failure: OSError | None = None
        if inside is not None and handle in self._written:
            self._written.remove(handle)
            try:
                self._before(Call("close", inside))
            except OSError as error:
                # Linux closes the descriptor even then.
                failure = error
        _REAL["close"](handle)
        if failure is not None:
            raise failure

    def rename(self, path: Any, to: Any, **more: Any) -> None:
        inside, target = self._inside(path, None), self._inside(to, None)
        if inside is not None and target is not None:
            self._before(Call("rename", inside, to=target))
        _REAL["rename"](path, to, **more)

    replace = rename

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._tell("mkdir", path, dir_fd)
        _REAL["mkdir"](path, mode, dir_fd=dir_fd)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._tell("unlink", path, dir_fd)
        _REAL["unlink"](path, dir_fd=dir_fd)

    remove = unlink

    def rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._tell("rmdir", path, dir_fd)
        _REAL["rmdir"](path, dir_fd=dir_fd)

    def _tell(self, name: str, path: Any, dir_fd: int | None) -> None:
        inside = self._inside(path, dir_fd)
        if inside is not None:
            self._before(Call(name, inside))

    def _inside(self, path: Any, dir_fd: int | None) -> str | None:
        """Return the path relative to the watched folder, `.` for the folder itself, None outside of it."""
        if isinstance(path, int):
            return self._paths.get(path)
        name = os.fsdecode(path)
        if dir_fd is not None:
            if dir_fd not in self._paths:
                return None
            name = os.path.join(self._folder, self._paths[dir_fd], name)
        found = os.path.relpath(os.path.abspath(name), self._folder)
        return None if found == ".." or found.startswith("../") else found
