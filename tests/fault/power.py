"""A model of a disk after a power loss: which of a process's system calls may have reached it.

A file has everything written before its last fsync and any part of what was written since; a folder has the names of
its last fsync and any of the changes since. A rename between two folders is atomic. This is the guarantee of POSIX;
most file systems give more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.fault.syscalls import Call

_ROOT = 0


@dataclass(frozen=True, slots=True)
class _Step:
    """A change to one file or to the names in a folder."""

    number: int
    nodes: tuple[int, ...]
    """The changed file or folders: an fsync of one of them makes the change durable."""
    data: bytes | None = None
    """The bytes written at `offset`; zeros where only the size reached the disk."""
    offset: int = 0
    size: int | None = None
    """The size that the file is truncated to."""
    lost: tuple[int, str] | None = None
    """The folder and the name that is removed."""
    new: tuple[int, str, int] | None = None
    """The folder, the name that is added, and the node it names."""


@dataclass
class _Tree:
    """Files and folders by node number."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {_ROOT: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> _Tree:
        return _Tree({node: dict(names) for node, names in self.folders.items()}, dict(self.files))

    def add(self, node: int, *, is_folder: bool) -> None:
        if is_folder:
            self.folders.setdefault(node, {})
        else:
            self.files.setdefault(node, b"")

    def node(self, path: str) -> int:
        found = _ROOT
        for part in Path(path).parts:
            found = self.folders[found][part]
        return found

    def has(self, path: str) -> bool:
        return path in self.content()

    def place(self, path: str) -> tuple[int, str]:
        return self.node(str(Path(path).parent)), Path(path).name

    def make(self, step: _Step) -> None:
        if step.lost is not None:
            folder, name = step.lost
            gone = self.folders[folder].get(name)
            if gone is not None and (step.new is None or gone == step.new[2]):
                del self.folders[folder][name]
        if step.new is not None:
            folder, name, node = step.new
            self.folders[folder][name] = node
        if step.data is not None:
            (node,) = step.nodes
            before = self.files[node]
            self.files[node] = before[: step.offset].ljust(step.offset, b"\0") + step.data
        if step.size is not None:
            (node,) = step.nodes
            self.files[node] = self.files[node][: step.size]

    def content(self) -> dict[str, bytes | None]:
        """The content of each file by its path; None for a folder."""
        found: dict[str, bytes | None] = {}

        def walk(node: int, path: str) -> None:
            for name, below in sorted(self.folders[node].items()):
                here = f"{path}/{name}" if path else name
                if below in self.folders:
                    found[here] = None
                    walk(below, here)
                else:
                    found[here] = self.files[below]

        walk(_ROOT, "")
        return found


@dataclass(frozen=True)
class Lost:
    """A possible content of the disk after a power loss."""

    calls: int
    """The number of calls made before the power loss."""
    content: dict[str, bytes | None]
    """The content of each file by its path; None for a folder."""
    how: str
    """Which of the steps since the last fsync reached the disk."""

    def write(self, folder: Path) -> None:
        """Write the files into a new folder."""
        folder.mkdir()
        for name, data in self.content.items():
            if data is None:
                (folder / name).mkdir()
            else:
                (folder / name).write_bytes(data)


def losses(before: Path, calls: Sequence[Call], *, every_step: bool) -> Iterator[Lost]:
    """Yield the possible contents of the disk after a power loss at any moment of these calls, without repetition.

    Of the steps that are not synced, the first N reached the disk, or only those in one file or folder, or all others;
    with `every_step` also any single step alone, or all but that one.
    """
    start = _read(before)
    now = start.copy()
    steps: list[_Step] = []
    synced: set[int] = set()
    seen: set[tuple[str, str]] = set()
    for number in range(len(calls) + 1):
        if number:
            call = calls[number - 1]
            if call.name == "fsync":
                node = now.node(call.path)
                synced |= {step.number for step in steps if node in step.nodes}
            step = _step(call, now, len(steps))
            if step is not None:
                if step.new is not None:
                    # A node without a name is invisible, so it can exist from the start.
                    start.add(step.new[2], is_folder=step.new[2] in now.folders)
                now.make(step)
                steps.append(step)
        pending = [step for step in steps if step.number not in synced]
        promised = promise(calls[:number])
        for how, kept in _kept(pending, every_step):
            tree = start.copy()
            chosen = {step.number: step for step in kept}
            for step in steps:
                if step.number in synced:
                    tree.make(step)
                elif step.number in chosen:
                    tree.make(chosen[step.number])
            content = tree.content()
            mark = _digest(content)
            if (mark, promised) not in seen:
                seen.add((mark, promised))
                yield Lost(number, content, how)


def promise(calls: Sequence[Call]) -> str:
    """Return what must survive after these calls: the number of synced iterations, and whether the run is sealed."""
    ends = 0
    written = False
    for call in calls:
        is_log = call.path.endswith("/events.jsonl")
        if written and call.name == "write":
            ends, written = ends + 1, False
        if is_log and call.name == "write" and b'"event_type":"iteration_end"' in call.data:
            written = True
    return f"{ends} {is_sealed(calls)}"


def is_sealed(calls: Sequence[Call]) -> bool:
    """Whether a process that made these calls has sealed its run and may have reported it."""
    return any(call.name == "unlink" and re.fullmatch(r"runs/\.work/[0-9a-f]{16}\.json", call.path) for call in calls)


def _kept(pending: Sequence[_Step], every_step: bool) -> Iterator[tuple[str, Iterable[_Step]]]:
    """Yield the sets of steps that may have reached the disk."""
    for number in range(len(pending) + 1):
        yield f"the first {number} of {len(pending)}", pending[:number]
    for node in sorted({node for step in pending for node in step.nodes}):
        yield f"all but in node {node}", [step for step in pending if node not in step.nodes]
        yield f"in node {node} alone", [step for step in pending if node in step.nodes]
    for number, step in enumerate(pending):
        if every_step:
            yield f"all but number {number}", [*pending[:number], *pending[number + 1 :]]
            yield f"number {number} alone", [step]
        if step.data:
            half = len(step.data) // 2
            torn = replace(step, data=step.data[:half])
            holed = replace(step, data=step.data[:half].ljust(len(step.data), b"\0"))
            yield f"the first {number} and half of the next", [*pending[:number], torn]
            yield f"the first {number} and half of the next, as long as all of it", [*pending[:number], holed]
    yield "all names and no data", [step for step in pending if step.data is None]
    yield (
        "all names and sizes",
        [step if step.data is None else replace(step, data=bytes(len(step.data))) for step in pending],
    )


def _step(call: Call, now: _Tree, number: int) -> _Step | None:
    """Return the change that a call makes, if any."""
    match call.name:
        case "create" | "mkdir":
            folder, name = now.place(call.path)
            if name in now.folders[folder]:
                return None
            node = len(now.folders) + len(now.files) + 1
            now.add(node, is_folder=call.name == "mkdir")
            return _Step(number, (folder,), new=(folder, name, node))
        case "write":
            node = now.node(call.path)
            return _Step(number, (node,), data=call.data, offset=len(now.files[node]))
        case "ftruncate":
            return _Step(number, (now.node(call.path),), size=call.size)
        case "unlink" | "rmdir" if now.has(call.path):
            place = now.place(call.path)
            return _Step(number, (place[0],), lost=place)
        case "rename":
            old, new = now.place(call.path), now.place(call.to)
            return _Step(number, (old[0], new[0]), lost=old, new=(*new, now.node(call.path)))
    return None


def _read(folder: Path) -> _Tree:
    tree = _Tree()

    def walk(path: Path, node: int) -> None:
        for each in sorted(path.iterdir()):
            number = len(tree.folders) + len(tree.files) + 1
            tree.folders[node][each.name] = number
            if each.is_dir():
                tree.folders[number] = {}
                walk(each, number)
            else:
                tree.files[number] = each.read_bytes()

    walk(folder, _ROOT)
    return tree


def _digest(content: dict[str, bytes | None]) -> str:
    digest = hashlib.sha256()
    for name, data in content.items():
        digest.update(f"{name}\0{'-' if data is None else len(data)}\0".encode() + (data or b""))
    return digest.hexdigest()
