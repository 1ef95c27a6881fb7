"""What a disk may have after power was lost: the calls of a process, and which of them came to the disk.

A file has what was written before its last fsync, and any of what was written since; a folder has the names that it
had at its last fsync, and any of those that came or went since. A rename between two folders is one step. This is
what POSIX grants, and less than what most file systems do.
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
    """A change of one file or of the names in a folder."""

    number: int
    nodes: tuple[int, ...]
    """The file or the folders that it is in: an fsync of one of them brings it to the disk."""
    data: bytes | None = None
    """What is written, at `offset`; zeros are what is there when only the size came to the disk."""
    offset: int = 0
    size: int | None = None
    """What the file is cut to."""
    lost: tuple[int, str] | None = None
    """The name that goes, and its folder."""
    new: tuple[int, str, int] | None = None
    """The name that comes, its folder, and what it names."""


@dataclass
class _Tree:
    """Files and folders by their numbers."""

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
        """The files by their paths, and folders as None."""
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
    """What a disk may have after power was lost."""

    calls: int
    """So many calls had been made."""
    content: dict[str, bytes | None]
    """The files by their paths, and folders as None."""
    how: str
    """Which of the steps since the last fsync came to the disk."""

    def write(self, folder: Path) -> None:
        """Make the files, in a folder that is not there."""
        folder.mkdir()
        for name, data in self.content.items():
            if data is None:
                (folder / name).mkdir()
            else:
                (folder / name).write_bytes(data)


def losses(before: Path, calls: Sequence[Call], *, every_step: bool) -> Iterator[Lost]:
    """Disks that may be there once power was lost at some moment of these calls, each content once.

    At every moment the steps that were not synced came to the disk up to any of them, or all but those in one file or
    folder, or those alone; with `every_step` also all but any one step, or that alone.
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
                    # Without a name it may as well have been there before.
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
    """How much must be there after these calls: the iterations that were synced, and whether the run is sealed."""
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
    """Whether a process that made these calls has sealed its run, and may have told so."""
    return any(call.name == "unlink" and re.fullmatch(r"runs/\.work/[0-9a-f]{16}\.json", call.path) for call in calls)


def _kept(pending: Sequence[_Step], every_step: bool) -> Iterator[tuple[str, Iterable[_Step]]]:
    """Which of the steps may have come to the disk."""
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
    """The change that a call makes, if it makes one."""
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
