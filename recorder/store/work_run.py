"""A run in progress: its work folder from the first byte to the seal.

It records whatever it is given; what the events mean is not its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import SecretGuard, show_value
from exprec.recorder.errors import (
    Damaged,
    InvalidInput,
    Problem,
    RunInProgress,
    RunNotFound,
    SecretFound,
    StorageFailure,
)
from exprec.recorder.events import exchange_index
from exprec.recorder.exchanges import EXCHANGE_SCHEMA
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.format.hashing import blob_id, file_names, folder_id, sha256_of, tree_id
from exprec.recorder.fs import durable
from exprec.recorder.fs.digests import Digest, digest_of
from exprec.recorder.schema.event_types import EventTypes
from exprec.recorder.store.file_tree import FileSource
from exprec.recorder.store.log import ContinuedSink, EventLog, ExchangeLog, Sink
from exprec.recorder.store.run_directory import RunDirectory, work_events_path, work_head_path


@dataclass(frozen=True, slots=True)
class Summary:
    """What a log comes to, for the head of the run."""

    status: str
    counts: Mapping[str, Any]
    result: Mapping[str, Any] | None
    failure: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed run: its address, its folder, and whether this execution was the first to reach it."""

    run_id: str
    path: Path
    is_new: bool


class Recording:
    """A run in progress in a store.

    `events` and `exchanges` take records until `seal`; without a seal, all that was appended stays in
    the work folder.
    """

    def __init__(
        self,
        folder: Path,
        head: Mapping[str, Any],
        lock: durable.Lock,
        secrets: SecretGuard,
        types: EventTypes | None = None,
    ) -> None:
        """Record in a work folder whose lock is held and that has its config.json; see `begin` and `resume`."""
        self.folder = folder
        self.is_resumed = False
        """Whether something of this run was recorded before."""
        self._store = folder.parent.parent
        self._head = dict(head)
        self._lock = lock
        self._secrets = secrets
        self._types = types or EventTypes()
        self._streams: dict[str, durable.AppendOnlyFile] = {}
        self._inputs = sha256_of(folder / layout.CONFIG_FILE)
        exchanges, exchanges_end = _whole_exchanges(folder)
        self.recorded_bytes = _events_end(folder, exchanges)
        """How much of the log was recorded before: its first bytes must come again."""
        self.events = EventLog(self._sink(layout.EVENTS_FILE, self.recorded_bytes), secrets, self._types)
        self.exchanges = ExchangeLog(self._sink(layout.EXCHANGES_FILE, exchanges_end), secrets)

    @classmethod
    def begin(
        cls,
        store: Path,
        name: str,
        experiment_type: str,
        config: Mapping[str, Any],
        secrets: SecretGuard,
        origin: Mapping[str, str] | None = None,
        types: EventTypes | None = None,
    ) -> Recording:
        """Begin a run of events of these types, of exprec's own without them. `origin` is kept beside the work
        folder, for whoever resumes it, and is no part of the run.

        Raises NotEncodable or SecretFound for the config or the name, StorageFailure.
        """
        head = _head(name, experiment_type)
        work_head = {**(origin or {}), **head}
        config_bytes, head_bytes = canonical_json.encode(config, indent=True), canonical_json.encode(work_head)
        secrets.check(layout.CONFIG_FILE, config_bytes, config)
        secrets.check(layout.RUN_FILE, head_bytes, work_head)
        folder = durable.create_unique_folder(store / layout.WORK_FOLDER)
        lock: durable.Lock | None = None
        try:
            durable.write_new(work_head_path(folder), head_bytes)
            # Before there is anything to go on with: without this file nobody knows how.
            durable.sync_folder(folder.parent)
            lock = durable.Lock(work_head_path(folder))
            durable.write_new(folder / layout.CONFIG_FILE, config_bytes)
            durable.sync_folder(folder)
            durable.write_new(folder / layout.EVENTS_FILE, b"")
            return cls(folder, head, lock, secrets, types)
        except BaseException:
            # What cannot begin leaves no trace, as far as the disk lets it.
            with suppress(StorageFailure):
                remove_work(folder)
            if lock is not None:
                lock.release()
            raise

    @classmethod
    def resume(cls, folder: Path, name: str, experiment_type: str, secrets: SecretGuard) -> Recording:
        """Go on with an interrupted run: what was recorded must come again, and then it grows.

        Raises RunInProgress, RunNotFound when it was removed meanwhile, Damaged for a recorded line that is none,
        StorageFailure.
        """
        head, work_head = _head(name, experiment_type), work_head_path(folder)
        if not work_head.exists():
            # A crash between the folder and this file, or a copy without it.
            durable.replace(work_head, canonical_json.encode(head))
        try:
            lock = durable.Lock(work_head)
        except StorageFailure as error:
            if isinstance(error.error, BlockingIOError):
                raise RunInProgress(folder.name) from None
            if isinstance(error.error, FileNotFoundError) and not folder.is_dir():
                raise RunNotFound(folder.name, folder.parent.parent) from None
            raise
        try:
            if not folder.is_dir():
                # Sealed or removed between the moment it was found and the lock.
                durable.remove(work_head)
                raise RunNotFound(folder.name, folder.parent.parent)
            for leftover in (layout.SCHEMAS_FILE, layout.RUN_FILE):
                # Of a seal that was cut off.
                durable.remove(folder / leftover)
            recording = cls(folder, head, lock, secrets)
        except BaseException:
            lock.release()
            raise
        recording.is_resumed = True
        return recording

    def reopened(self) -> Recording:
        """The same run as its files have it, for when something stopped an append midway: as after `resume`, what
        was recorded must come again, and then it grows. Raises StorageFailure, Damaged."""
        self._sync_and_close()
        recording = Recording(self.folder, self._head, self._lock, self._secrets, self._types)
        recording.is_resumed = True
        return recording

    def _sink(self, name: str, size: int) -> Sink:
        file = durable.AppendOnlyFile(self.folder / name, size)
        return ContinuedSink(file) if size else file

    def write_output(self, stream: str, data: bytes) -> None:
        """Append what a command wrote to a stream (`stdout` or `stderr`). Raises StorageFailure."""
        assert stream in layout.STREAMS, stream
        if stream not in self._streams:
            self._streams[stream] = durable.AppendOnlyFile(self.folder / stream)
        self._streams[stream].append(data)

    def add_artifact(self, name: str, source: Path, max_bytes: int = layout.MAX_ARTIFACT_BYTES) -> None:
        """Copy a file into the run, under a relative path with slashes as its name.

        Raises InvalidInput when there is no such file, when it has more than `max_bytes`, when the name is taken or
        none that a file of a run can have; SecretFound for what is in it or its name; StorageFailure.
        """
        problem = _artifact_problem(name, source, max_bytes)
        path = self.folder / layout.ARTIFACTS_FOLDER / name
        if problem is None and (path.exists() or any(map(Path.is_file, path.parents))):
            problem = "stands for a file of this run already; give each artifact a name of its own"
        if problem is not None:
            raise InvalidInput([Problem((), f"the artifact {show_value(name)} {problem}")])
        self._secrets.check("the name of an artifact", canonical_json.encode(name), name)
        self._check_content(name, source)
        try:
            durable.create_folder(path.parent)
            durable.copy_new(source, path)
        except BaseException:
            # Half a file is no artifact, and in git there are no empty folders.
            durable.remove_upwards(path, self.folder)
            raise

    def _check_content(self, name: str, source: Path) -> None:
        """Let the bytes of an artifact pass. Raises SecretFound, before any of them is written."""
        scan = self._secrets.scan()
        for piece in FileSource(source).pieces():
            scan.passed(piece)
            if scan.found is not None:
                raise SecretFound(f"the artifact {show_value(name)}", scan.found)

    def seal(self, summary: Summary) -> Sealed:
        """Give the run its address. The rename at the end is the only moment at which it becomes a run.

        When the store has the run already, this execution proved it again: the work folder is dropped.
        Raises StorageFailure, or Damaged when the run in the store is not what its address says; SecretFound. Then
        the run is an interrupted one.
        """
        try:
            return self._sealed(summary)
        finally:
            self._lock.release()

    def _sealed(self, summary: Summary) -> Sealed:
        # Without the digests of the files: any secret of hex digits is in one of them, given enough runs.
        said = asdict(summary)
        self._secrets.check(layout.RUN_FILE, canonical_json.encode(said), said)
        self._sync_and_close()
        durable.write_new(self.folder / layout.SCHEMAS_FILE, canonical_json.encode(self._schemas(), indent=True))
        digests = {name: digest_of(self.folder / name) for name in file_names(self.folder)}
        head = canonical_json.encode(self._run_head(summary, digests), indent=True)
        durable.write_new(self.folder / layout.RUN_FILE, head)
        run_id = tree_id({layout.RUN_FILE: blob_id(head), **{name: each.blob for name, each in digests.items()}})
        final = self._store / run_id
        is_new = durable.publish_folder(self.folder, final)
        if not is_new and not _is_run(final, run_id):
            raise Damaged(final, f"is not what its address says; this execution of it is kept in {self.folder}")
        # The run has its address; what cannot be removed now is left for `gc`.
        with suppress(StorageFailure):
            remove_work(self.folder)
        return Sealed(run_id, final, is_new)

    def close(self) -> None:
        """Leave the run as it is: interrupted, with all that was recorded on the disk."""
        try:
            self._sync_and_close()
        finally:
            self._lock.release()

    def discard(self) -> None:
        """Remove the run, with whatever it recorded."""
        self.close()
        remove_work(self.folder)

    def _sync_and_close(self) -> None:
        appended: list[durable.AppendOnlyFile | ExchangeLog | EventLog]
        appended = [*self._streams.values(), self.exchanges, self.events]
        with ExitStack() as ended:
            for each in appended:
                ended.callback(each.close)
            for each in appended:
                each.sync()

    def _schemas(self) -> dict[str, Any]:
        """The schemas this log was checked against, by name: those of the types that occur, no others,
        so that a later version with more types gives the same address."""
        names = set(self.events.schema_names)
        if self.exchanges.count:
            names.add(EXCHANGE_SCHEMA)
        return {name: self._types.schema(name) for name in sorted(names)}

    def _run_head(self, summary: Summary, digests: Mapping[str, Digest]) -> dict[str, Any]:
        described = {name: {"sha256": each.sha256, "size": each.size} for name, each in digests.items()}
        counts = {**summary.counts, "exchanges": self.exchanges.count}
        return {**self._head, **asdict(summary), "counts": counts, "inputs": self._inputs, "files": described}


def remove_work(folder: Path) -> None:
    """Remove a work folder and the files beside it, as far as they are there. Raises StorageFailure."""
    if folder.is_dir():
        # The log first: where this is cut off, what is left is nothing to go on with.
        durable.remove(folder / layout.EVENTS_FILE)
        durable.sync_folder(folder)
    for path in filter(Path.exists, (folder, work_events_path(folder), work_head_path(folder))):
        durable.remove(path)


def _artifact_problem(name: str, source: Path, max_bytes: int) -> str | None:
    """Return why a file cannot be kept under this name, or None. Raises StorageFailure.

    Failed runs record these sentences: they name no folder, and a change of wording changes run ids.
    """
    problem = layout.artifact_name_problem(name)
    if problem is not None:
        return problem
    try:
        if not source.exists():
            return "cannot be kept: there is no such file"
        if not source.is_file():
            return "cannot be kept: it is no file"
        size = source.stat().st_size
    except OSError as error:
        raise StorageFailure(source, error) from error
    if size > max_bytes:
        return f"has {size} bytes, and {max_bytes} are the most; raise the limit, or record its SHA-256 instead"
    return None


def _head(name: str, experiment_type: str) -> dict[str, Any]:
    return {"format": layout.FORMAT, "name": name, "type": experiment_type}


def _whole_exchanges(folder: Path) -> tuple[int, int]:
    """How many exchanges are whole, and where in the file the last of them ends."""
    path = folder / layout.EXCHANGES_FILE
    reader = RunDirectory(folder).exchange_reader()
    count = sum(1 for _ in reader.exchanges())
    return count, path.stat().st_size - (reader.torn_bytes or 0) if path.exists() else 0


def _events_end(folder: Path, exchanges: int) -> int:
    """Where the events end that are whole, up to the first that names an exchange that is not there.

    After a power loss the log may have come further than the exchanges: only the end of an iteration has both
    on the disk. Such an event would never come again, because its answer is lost.
    """
    end = 0
    for entry in RunDirectory(folder).reader().entries():
        index = exchange_index(entry.event)
        if index is not None and index >= exchanges:
            break
        end = entry.end
    return end


def _is_run(folder: Path, run_id: str) -> bool:
    """Whether the content of a folder has this address; what cannot be read as a run has none."""
    try:
        return folder_id(folder) == run_id
    except (OSError, Damaged):
        return False
