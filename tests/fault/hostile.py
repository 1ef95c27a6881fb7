"""A store with a run of each kind to be forged or damaged, and the commands that read it."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.format import canonical_json
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.store import Store
from tests.fixtures import runs
from tests.fixtures.events import OBSERVATION
from tests.fixtures.files import read_json, read_json_lines

CONTROLS = "\x1b[31m\x1b]8;;http://x\x1b\\\x1b]52;c;AA==\x07\x7f\r\x9b1m\x85\u202e\u2066\u200f\u2028\u2029\ufeff\x00\t\n\b\U000e0041"
"""Characters that a terminal obeys or hides: colours, a link, the clipboard, the bell, C1, directions, tags."""
TAG = "tagged"
Words = list[str]
Json = Any


class Victim(NamedTuple):
    """A store that a test may change, in a folder of its own."""

    store: Path
    experiment: Path
    """A sealed run with every type of event and an exchange."""
    command: Path
    """A sealed run of a command, with artifacts and a declared type of events."""
    other: Path
    """Another run of the experiment, for comparisons."""
    work: Path
    """An interrupted run."""

    @property
    def folder(self) -> Path:
        return self.store.parent

    def copied(self, folder: Path) -> Victim:
        """Copy the store to a new folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Victim(*(folder / path.relative_to(self.folder) for path in self))

    def commands(self, run: Path, *more: str | Path) -> list[Words]:
        """List every reading command for a run of this store, with all its output options."""
        names = [run.name if run.parent in (self.store, self.work.parent) else str(run), *map(str, more)]
        found: list[Words] = []
        for name in names:
            for options in ([], ["-v"], ["--json"], ["--event", "note"], ["--agent", "BANK_A"], ["--iteration", "1"]):
                found.append(["show", "--no-pager", name, *options])
            for options in ([], ["--json"], ["--md"], ["--stat"]):
                found.append(["diff", "--no-pager", name, self.other.name, *options])
            found += [["verify", name, *options] for options in ([], ["--json"], ["--quick"])]
            found += [
                ["rerun", "--trust", name],
                ["rerun", "--json", name],
                ["tag", "again", name],
                ["tag", "--delete", "again"],
            ]
        found += [["log", "--no-pager"], ["log", "--json"], ["log", "--tag", "*", "--sort", "cost"]]
        found += [["verify", "--all"], ["verify", "--all", "--json"], ["tag"], ["tag", "--json"]]
        found += [["gc", "--dry-run"], ["gc", "--dry-run", "--json"], ["gc", "--dry-run", self.work.name]]
        found += [["resume", "--trust", self.work.name], ["schema", "run"], ["check", str(run / "config.json")]]
        found += [["check", "--json", str(run / "config.json")], ["simulate", str(run / "config.json")]]
        return found

    def snapshot(self) -> dict[str, tuple[int, str]]:
        """Return the mode and the digest of each file except those that commands may add to a store."""
        inside = (self.store / "attestations", self.store / "tags", self.work.parent, self.work)
        return {
            str(path): (path.lstat().st_mode, _content(path))
            for path in _everything(self.folder)
            if not any(path == each or each in path.parents for each in inside)
        }


PLACES: dict[str, Callable[[Victim], Path]] = {
    "store.json": lambda v: v.store / "store.json",
    ".gitattributes": lambda v: v.store / ".gitattributes",
    ".gitignore": lambda v: v.store / ".gitignore",
    ".work": lambda v: v.store / ".work",
    ".work/<name>": lambda v: v.work,
    ".work/<name>.json": lambda v: v.work.with_name(f"{v.work.name}.json"),
    ".work/<name>.events": lambda v: v.work.with_name(f"{v.work.name}.events"),
    ".work/<name>/config.json": lambda v: v.work / "config.json",
    ".work/<name>/events.jsonl": lambda v: v.work / "events.jsonl",
    ".work/<name>/exchanges.jsonl": lambda v: v.work / "exchanges.jsonl",
    ".work/<name>/schemas.json": lambda v: v.work / "schemas.json",
    ".work/<name>/run.json": lambda v: v.work / "run.json",
    "<run id>": lambda v: v.experiment,
    "<run id>/run.json": lambda v: v.experiment / "run.json",
    "<run id>/config.json": lambda v: v.experiment / "config.json",
    "<run id>/events.jsonl": lambda v: v.experiment / "events.jsonl",
    "<run id>/exchanges.jsonl": lambda v: v.experiment / "exchanges.jsonl",
    "<run id>/schemas.json": lambda v: v.experiment / "schemas.json",
    "<run id>/stdout": lambda v: v.command / "stdout",
    "<run id>/artifacts": lambda v: v.command / "artifacts",
    "<run id>/artifacts/deep": lambda v: v.command / "artifacts" / "deep",
    "<run id>/artifacts/model.txt": lambda v: v.command / "artifacts" / "model.txt",
    "tags": lambda v: v.store / "tags",
    "tags/<tag>": lambda v: v.store / "tags" / TAG,
    "attestations": lambda v: v.store / "attestations",
    "attestations/<run id>": lambda v: v.store / "attestations" / v.experiment.name,
    "attestations/<run id>/<digest>.json": lambda v: next((v.store / "attestations" / v.experiment.name).iterdir()),
}
"""Every place of a store, by the name that reports give it."""


def _everything(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        yield from (Path(where) / name for name in (*folders, *files))


def _content(path: Path) -> str:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return os.readlink(path)
    # Large files are sparse; writing to one would change its size.
    return (
        hashlib.sha256(path.read_bytes()).hexdigest()
        if found.st_size < 2**20 and path.is_file()
        else str(found.st_size)
    )


def made(folder: Path) -> Victim:
    """Record the runs through the library."""
    folder.mkdir()
    store = Store.open_or_create(folder / "runs")
    experiment, command = runs.record(store).path, runs.record_command(store).path
    other = runs.record(store, {"name": "another"}, latency=0.5).path
    victim = Victim(store.path, experiment, command, other, runs.interrupted(store))
    for run in (experiment, command, other):
        store.attest(run.name, OBSERVATION)
    store.tag(TAG, experiment.name)
    return victim


def resealed(run: Path) -> Path:
    """Recompute the digests and the run id, as a forger would; returns the new folder."""
    path = run / "run.json"
    head = read_json(path)
    for name in head["files"]:
        data = (run / name).read_bytes()
        head["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    head["inputs"] = head["files"]["config.json"]["sha256"]
    path.write_bytes(canonical_json.encode(head, indent=True))
    return readdressed(run)


def readdressed_with_size(run: Path, path: Path) -> Path:
    """Record only the size, not the digests, of a file that is too large to hash in a test."""
    head = read_json(run / "run.json")
    head["files"][path.name]["size"] = path.stat().st_size
    (run / "run.json").write_bytes(canonical_json.encode(head, indent=True))
    return run


def readdressed(run: Path) -> Path:
    """Rename a run to the id of its content."""
    return run.rename(run.with_name(folder_id(run)))


class Place(NamedTuple):
    """A string in a file of a run: its record, its path, and whether it is the key at the end of the path."""

    record: int
    path: tuple[str | int, ...]
    is_key: bool


def records(path: Path) -> list[Json]:
    """Read the values of a JSON file or a log."""
    return read_json_lines(path) if path.suffix == ".jsonl" else [read_json(path)]


def write(path: Path, values: list[Json]) -> None:
    """Write values as exprec does."""
    path.write_bytes(b"".join(canonical_json.encode(each, indent=path.suffix == ".json") for each in values))


def places(values: list[Json]) -> list[Place]:
    """Return the first occurrence of each kind of string in some records."""
    found: dict[tuple[object, ...], Place] = {}
    for number, value in enumerate(values):
        for path, is_key in _strings(value, ()):
            kind = tuple("#" if isinstance(part, int) else part for part in path)
            found.setdefault((value.get("event_type"), is_key, kind), Place(number, path, is_key))
    return list(found.values())


def _strings(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], bool]]:
    if isinstance(value, str):
        yield path, False
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(key, str):
            yield (*path, key), True
        yield from _strings(part, (*path, key))


def with_controls(values: list[Json], place: Place) -> list[Json]:
    """Return the records with control characters appended to one of their strings."""
    changed = list(values)
    changed[place.record] = copy.deepcopy(values[place.record])
    part = changed[place.record]
    for key in place.path[:-1]:
        part = part[key]
    last = place.path[-1]
    if place.is_key:
        part[f"{last}{CONTROLS}"] = part.pop(last)
    else:
        part[last] += CONTROLS
    return changed
