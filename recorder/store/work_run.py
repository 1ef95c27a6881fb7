"""A run in progress: its work folder from the first byte to the seal."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import (
    Damaged,
    RunInProgress,
    RunNotFound,
    StorageFailure,
)
from exprec.recorder.events import EventTypes, exchange_index
from exprec.recorder.exchanges import EXCHANGE_SCHEMA
from exprec.recorder.format import canonical_json, hashing, layout
from exprec.recorder.fs import check_folders, durable
from exprec.recorder.store.artifacts import Artifacts
from exprec.recorder.store.file_tree import FileSource, FolderTree, folder_id
from exprec.recorder.store.log import Entry, EventLog, ExchangeLog
from exprec.recorder.store.run_directory import REASON_KEY, RunDirectory, Summary
from exprec.recorder.store.sinks import ContinuedSink, Sink

_MACHINE_KEYS = ("host", "boot")
"""The keys of a work head that tell which machine records the run."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A run that was sealed."""

    run_id: str
    path: Path
    """The run directory."""
    is_new: bool
    """Whether no earlier execution in this store reached the same run id."""


class WorkRun:
    """A run in progress in a store.

    `events` and `exchanges` take records until `seal`, `close` or `discard`. A run that is not sealed stays in its
    work folder, with everything that was appended.
    """

    def __init__(
        self,
        folder: Path,
        head: Mapping[str, Any],
        lock: durable.Lock,
        secrets: SecretGuard,
        types: EventTypes | None = None,
        *,
        is_resumed: bool = False,
    ) -> None:
        """Record in a work folder that has a config.json and whose lock is held; see `begin` and `resume`."""
        self.folder = folder
        self.is_resumed = is_resumed
        """Whether an earlier execution recorded a part of this run, which must come again."""
        self._store = folder.parent.parent
        self._head = dict(head)
        self._lock = lock
        self._secrets = secrets
        self._types = types or EventTypes()
        self._streams: dict[str, durable.AppendOnlyFile] = {}
        self._logs: dict[str, durable.AppendOnlyFile] = {}
        self._files = FolderTree(folder, self._store)
        self.artifacts = Artifacts(folder, self._store, secrets)
        self._inputs = self._files.digest(layout.CONFIG_FILE).sha256
        recorded = _find_recorded_ends(folder)
        self.recorded_bytes = recorded.events
        """The size of the events of an earlier execution, which must come again."""
        events = self._sink(layout.EVENTS_FILE, recorded.events)
        self._continued = events if isinstance(events, ContinuedSink) else None
        self.events = EventLog(events, secrets, self._types)
        self.exchanges = ExchangeLog(self._sink(layout.EXCHANGES_FILE, recorded.exchanges), secrets)

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
    ) -> WorkRun:
        """Begin a run with events of these types, by default of exprec's own.

        `origin` is kept beside the work folder for `exprec resume`, and is not part of the run. Raises NotEncodable or
        SecretFound for the config or the name, StorageFailure.
        """
        head = _head(name, experiment_type)
        work_head = {**(origin or {}), **head}
        config_bytes, head_bytes = canonical_json.encode(config, indent=True), canonical_json.encode(work_head)
        secrets.check(layout.CONFIG_FILE, config_bytes, config)
        secrets.check(layout.RUN_FILE, head_bytes, work_head)
        for schema_name, schema in (types or EventTypes()).schemas.items():
            secrets.check(f"the schema {schema_name}", canonical_json.encode(schema), schema)
        _check_work_folder(store)
        _remove_leaked_channels(store / layout.WORK_FOLDER, secrets)
        folder = durable.create_unique_folder(store / layout.WORK_FOLDER)
        lock: durable.Lock | None = None
        try:
            durable.write_new(layout.work_head_path(folder), head_bytes)
            # On disk before anything is recorded: a run cannot be resumed without this file.
            durable.sync_folder(folder.parent)
            lock = durable.Lock(layout.work_head_path(folder))
            durable.write_new(folder / layout.CONFIG_FILE, config_bytes)
            durable.sync_folder(folder)
            durable.write_new(folder / layout.EVENTS_FILE, b"")
            return cls(folder, head, lock, secrets, types)
        except BaseException:
            # A run that cannot begin leaves no trace, if the disk permits.
            with suppress(StorageFailure):
                remove_work(folder)
            if lock is not None:
                lock.release()
            raise

    @classmethod
    def resume(
        cls,
        folder: Path,
        name: str,
        experiment_type: str,
        secrets: SecretGuard,
        machine: Mapping[str, str] | None = None,
    ) -> WorkRun:
        """Resume an interrupted run: its records must come again before new ones are appended.

        `machine` has the `host` and `boot` that resume it, which replace those of an earlier execution beside the work
        folder: `exprec gc` elsewhere judges by them whether the run may be in progress.

        Raises RunInProgress, RunNotFound when it was removed meanwhile, Damaged with an invalid line, StorageFailure.
        """
        head = _head(name, experiment_type)
        _check_work_folder(folder.parent.parent)
        _check_folders(folder)
        lock = _lock_interrupted(folder, head)
        try:
            if not folder.is_dir():
                # Sealed or removed before the lock was taken.
                durable.remove(layout.work_head_path(folder), folder.parent.parent)
                raise RunNotFound(folder.name, folder.parent.parent)
            for file in (layout.SCHEMAS_FILE, layout.RUN_FILE):
                # An interrupted seal leaves them.
                durable.remove(folder / file, folder.parent.parent)
            if machine is not None:
                lock = _take_over(folder, machine, lock)
            return cls(folder, head, lock, secrets, is_resumed=True)
        except BaseException:
            lock.release()
            raise

    @property
    def is_repeating(self) -> bool:
        """Whether an event of an earlier execution must come again next."""
        return self._continued is not None and self._continued.next_recorded() is not None

    def note_interruption(self, reason: str) -> None:
        """Keep beside the work folder why the run is left interrupted, until it is resumed. Raises StorageFailure."""
        head = {**RunDirectory(self.folder).work_head, REASON_KEY: reason}
        self._lock = durable.replace_locked(layout.work_head_path(self.folder), canonical_json.encode(head), self._lock)

    def reopen(self) -> WorkRun:
        """Return this run as its files have it, after an append was interrupted midway.

        As after `resume`, its records must come again. Raises StorageFailure, Damaged.
        """
        self._sync_and_close()
        return WorkRun(self.folder, self._head, self._lock, self._secrets, self._types, is_resumed=True)

    def recorded_events(self) -> Iterator[Entry]:
        """Yield the events of an earlier execution that must come again."""
        return RunDirectory(self.folder).reader().entries(0, self.recorded_bytes)

    def _sink(self, name: str, size: int) -> Sink:
        file = self._logs[name] = durable.AppendOnlyFile(self.folder / name, size)
        return ContinuedSink(file) if size else file

    def write_output(self, stream: str, data: bytes) -> None:
        """Append output of a recorded command to a stream (`stdout` or `stderr`). Raises StorageFailure."""
        assert stream in layout.STREAMS, stream
        if stream not in self._streams:
            self._streams[stream] = durable.AppendOnlyFile(self.folder / stream)
        self._streams[stream].append(data)

    def rewrite_output(self, stream: str, edits: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Write other bytes in place of some of a stream: the offset of each, the bytes, the new ones.

        Raises StorageFailure.
        """
        edits, path = iter(edits), self.folder / stream
        first = next(edits, None)
        if first is not None:
            self._streams[stream].close()
            size = durable.rewrite(path, chain([first], edits))
            self._streams[stream] = durable.AppendOnlyFile(path, size)

    def seal(self, summary: Summary) -> Sealed:
        """Give the run its run id, and move it into the store in one step, a rename.

        When the store has the run already, this execution reproduced it: the work folder is removed. Raises
        StorageFailure, SecretFound, or Damaged when the content of the run in the store does not match its run id; the
        run is interrupted then.
        """
        try:
            return self._publish(summary)
        finally:
            self._lock.release()

    def _publish(self, summary: Summary) -> Sealed:
        # Without the digests of the files, in which a short secret of hex digits occurs by chance.
        recorded = canonical_json.form_floats(summary._asdict())
        self._secrets.check(layout.RUN_FILE, canonical_json.encode(recorded), recorded)
        schemas = self._schemas()
        # Again, because the environment may have changed since the beginning.
        declared = {name: schema for name, schema in schemas.items() if name in self._types.schemas}
        self._secrets.check(layout.SCHEMAS_FILE, canonical_json.encode(declared), declared)
        self._sync_and_close()
        self.artifacts.clean()
        durable.write_new(self.folder / layout.SCHEMAS_FILE, canonical_json.encode(schemas, indent=True))
        digests = {name: self._files.digest(name) for name in self._files.files()}
        self._check_sizes(digests)
        head = canonical_json.encode(self._run_head(recorded, digests), indent=True)
        durable.write_new(self.folder / layout.RUN_FILE, head)
        run_id = hashing.tree_id(
            {layout.RUN_FILE: hashing.blob_id(head), **{name: digest.blob for name, digest in digests.items()}}
        )
        final = self._store / run_id
        is_new = durable.publish_folder(self.folder, final)
        if not is_new and not _is_run(final, run_id):
            raise Damaged(final, f"content does not match the run id; this execution of it is kept in {self.folder}")
        # The run is sealed; `exprec gc` removes what cannot be removed now.
        with suppress(StorageFailure):
            remove_work(self.folder)
        return Sealed(run_id, final, is_new)

    def _check_sizes(self, digests: Mapping[str, hashing.Digest]) -> None:
        """Check that the files are as this process wrote them. Raises Damaged.

        Where a lock does not exclude processes of other machines, two of them may have written to the run.
        """
        for name, file in {**self._logs, **self._streams}.items():
            size = digests[name].size if name in digests else 0
            if size != file.size and not file.has_rest:
                reason = f"has {size} bytes, but this process wrote {file.size}: another process wrote to it"
                remedy = "use one process for each run, and a store whose file system has locks"
                raise Damaged(self.folder / name, reason, remedy=remedy)

    def close(self) -> None:
        """Leave the run interrupted, with everything recorded on the disk. Raises StorageFailure."""
        try:
            self._sync_and_close()
        finally:
            self._lock.release()

    def discard(self) -> None:
        """Remove the run with everything it recorded. Raises StorageFailure."""
        self.close()
        remove_work(self.folder)

    def _sync_and_close(self) -> None:
        files: list[durable.AppendOnlyFile | ExchangeLog | EventLog]
        files = [*self._streams.values(), self.exchanges, self.events]
        with ExitStack() as stack:
            for file in files:
                stack.callback(file.close)
            for file in files:
                file.sync()

    def _schemas(self) -> dict[str, Any]:
        """Return the schemas of the event types that occur, by name.

        Others are left out, so that a later version of exprec with more types gives the same run id.
        """
        names = set(self.events.schema_names)
        if self.exchanges.count:
            names.add(EXCHANGE_SCHEMA)
        has_floats = self.events.has_floats or self._has_floats_in_config()
        if has_floats:
            names.add(canonical_json.FLOAT_SCHEMA)
        return {name: self._types.schema(name, has_floats=has_floats) for name in sorted(names)}

    def _has_floats_in_config(self) -> bool:
        """Return whether the config of a program has floats that JSON cannot hold. Raises StorageFailure."""
        path = self.folder / layout.CONFIG_FILE
        try:
            return self._head["type"] == layout.PYTHON_RUN and canonical_json.has_float_form(path.read_bytes())
        except OSError as error:
            raise StorageFailure(path, error) from error

    def _run_head(self, summary: Mapping[str, Any], digests: Mapping[str, hashing.Digest]) -> dict[str, Any]:
        files = {name: {"sha256": digest.sha256, "size": digest.size} for name, digest in digests.items()}
        counts = {**summary["counts"], "exchanges": self.exchanges.count}
        return {**self._head, **summary, "counts": counts, "inputs": self._inputs, "files": files}


def _remove_leaked_channels(work: Path, secrets: SecretGuard) -> None:
    """Remove what commands sent to runs whose recording was killed, if it contains a secret. Raises StorageFailure.

    Nothing else reads these files; a command may still append to one without a secret if locks do not work.
    """
    for path in sorted(work.glob(f"*{layout.WORK_EVENTS_SUFFIX}")):
        head = path.with_name(path.name.removesuffix(layout.WORK_EVENTS_SUFFIX) + layout.WORK_HEAD_SUFFIX)
        if path.is_symlink() or not path.is_file() or durable.is_locked(head):
            continue
        scan = secrets.scan()
        for piece in FileSource(path).pieces():
            scan.passed(piece)
        if scan.found is not None:
            durable.remove(path, work.parent)


def remove_work(folder: Path) -> None:
    """Remove a work folder and the files beside it, if they exist. Raises Damaged for a link, StorageFailure."""
    _check_folders(folder)
    store = folder.parent.parent
    if folder.is_dir():
        # The log first: after an interruption here, what is left cannot be resumed.
        durable.remove(folder / layout.EVENTS_FILE, store)
        durable.sync_folder(folder)
    for path in filter(os.path.lexists, (folder, layout.work_events_path(folder), layout.work_head_path(folder))):
        durable.remove(path, store)


def _check_work_folder(store: Path) -> None:
    """Check that the folder of runs in progress can hold one, before anything is recorded.

    Raises Damaged for a link or a file in its place; StorageFailure when the run could not be moved into the store.
    """
    work = store / layout.WORK_FOLDER
    try:
        check_folders(work, store)
        if work.stat().st_dev != store.stat().st_dev:
            reason = "is on another file system than its store, so that no run could be sealed"
            raise StorageFailure(work, OSError(errno.EXDEV, reason))
    except OSError as error:
        raise StorageFailure(work, error) from error


def _check_folders(folder: Path) -> None:
    """Check that a work folder is a folder, and not a link to one, if it exists. Raises Damaged, StorageFailure."""
    try:
        check_folders(folder, folder.parent.parent)
    except OSError as error:
        raise StorageFailure(folder, error) from error


def _head(name: str, experiment_type: str) -> dict[str, Any]:
    return {"format": layout.FORMAT, "name": name, "type": experiment_type}


def _lock_interrupted(folder: Path, head: Mapping[str, Any]) -> durable.Lock:
    """Take the lock of an interrupted run. Raises RunInProgress, RunNotFound, StorageFailure."""
    path = layout.work_head_path(folder)
    if not os.path.lexists(path):
        # A crash before it was written, or a copy without it.
        durable.replace(path, canonical_json.encode(head))
    try:
        return durable.Lock(path)
    except StorageFailure as failure:
        if isinstance(failure.error, BlockingIOError):
            raise RunInProgress(folder.name) from None
        if isinstance(failure.error, FileNotFoundError) and not folder.is_dir():
            raise RunNotFound(folder.name, folder.parent.parent) from None
        raise


def _take_over(folder: Path, machine: Mapping[str, str], lock: durable.Lock) -> durable.Lock:
    """Write this machine into the head of a run whose lock is held; returns the lock that is held then.

    Raises StorageFailure, Damaged.
    """
    before = RunDirectory(folder).work_head
    after = {**{key: value for key, value in before.items() if key not in (*_MACHINE_KEYS, REASON_KEY)}, **machine}
    if after == before:
        return lock
    return durable.replace_locked(layout.work_head_path(folder), canonical_json.encode(after), lock)


@dataclass(frozen=True, slots=True)
class _RecordedEnds:
    """The offsets after the last records of a work folder that are complete and must come again."""

    events: int
    exchanges: int


def _find_recorded_ends(folder: Path) -> _RecordedEnds:
    """Find how much of the files of a run must come again.

    The events end before the first that refers to a missing exchange: after a power loss, the log may be longer than
    the exchanges, because only the end of an iteration syncs both. Such an event cannot come again, its response is
    lost.
    """
    run = RunDirectory(folder)
    reader = run.exchange_reader()
    count = sum(1 for _ in reader)
    path = folder / layout.EXCHANGES_FILE
    exchanges_end = path.stat().st_size - (reader.torn_bytes or 0) if path.exists() else 0
    events_end = 0
    for entry in run.reader().entries():
        index = exchange_index(entry.event)
        if index is not None and index >= count:
            break
        events_end = entry.end
    return _RecordedEnds(events_end, exchanges_end)


def _is_run(folder: Path, run_id: str) -> bool:
    """Whether the content of a folder has this run id."""
    try:
        return folder_id(folder) == run_id
    except (OSError, Damaged):
        return False
