"""A run in progress: its work folder from the first byte to the seal.

It records whatever it is given; what the events mean is not its business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exprec import schemas
from exprec.recorder import canonical, files, format
from exprec.recorder.errors import Damaged
from exprec.recorder.events import schema_name
from exprec.recorder.secrets import SecretGuard
from exprec.recorder.store.log import EventLog, ExchangeLog
from exprec.recorder.store.rundir import work_head_path
from exprec.recorder.store.tree import folder_id, sha256_of


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
        self, store: Path, name: str, experiment_type: str, config: Mapping[str, Any], secrets: SecretGuard
    ) -> None:
        """Begin a run. Raises NotEncodable or SecretFound for the config or the name, StorageFailure."""
        self._store = store
        self._head = {"format": format.FORMAT, "name": name, "type": experiment_type}
        config_bytes = canonical.encode(config, indent=True)
        head_bytes = canonical.encode(self._head)
        secrets.check(format.CONFIG_FILE, config_bytes, config)
        secrets.check(format.RUN_FILE, head_bytes, self._head)
        self._secrets = secrets
        self._inputs = hashlib.sha256(config_bytes).hexdigest()
        self.folder = files.create_unique_folder(store / format.WORK_FOLDER)
        self._work_head = work_head_path(self.folder)
        files.write_new(self._work_head, head_bytes)
        self._lock = files.Lock(self._work_head)
        files.write_new(self.folder / format.CONFIG_FILE, config_bytes)
        log = files.AppendOnlyFile(self.folder / format.EVENTS_FILE)
        log.create()
        self.events = EventLog(log, secrets)
        self.exchanges = ExchangeLog(files.AppendOnlyFile(self.folder / format.EXCHANGES_FILE), secrets)

    def seal(self, summary: Summary) -> Sealed:
        """Give the run its address. The rename at the end is the only moment at which it becomes a run.

        When the store has the run already, this execution proved it again: the work folder is dropped.
        Raises StorageFailure, or Damaged when the run in the store is not what its address says; SecretFound.
        """
        # Without the digests of the files: any secret of hex digits is in one of them, given enough runs.
        said = asdict(summary)
        self._secrets.check(format.RUN_FILE, canonical.encode(said), said)
        self._sync_and_close()
        files.write_new(self.folder / format.SCHEMAS_FILE, canonical.encode(self._schemas(), indent=True))
        files.write_new(self.folder / format.RUN_FILE, canonical.encode(self._run_head(summary), indent=True))
        run_id = folder_id(self.folder)
        final = self._store / run_id
        is_new = files.publish_folder(self.folder, final)
        if not is_new:
            if not _is_run(final, run_id):
                raise Damaged(final, f"is not what its address says; this execution of it is kept in {self.folder}")
            files.remove(self.folder)
        files.remove(self._work_head)
        self._lock.release()
        return Sealed(run_id, final, is_new)

    def close(self) -> None:
        """Leave the run as it is: interrupted, with all that was recorded on the disk."""
        self._sync_and_close()
        self._lock.release()

    def discard(self) -> None:
        """Remove the run, with whatever it recorded."""
        self.close()
        files.remove(self.folder)
        files.remove(self._work_head)

    def _sync_and_close(self) -> None:
        for log in (self.exchanges, self.events):
            log.sync()
            log.close()

    def _schemas(self) -> dict[str, Any]:
        """The schemas this log was checked against, by name: those of the types that occur, no others,
        so that a later version with more types gives the same address."""
        names = {schema_name(event_type) for event_type in self.events.event_types}
        if self.exchanges.count:
            names.add("exchange.v1")
        return {name: schemas.load(name) for name in sorted(name for name in names if name)}

    def _run_head(self, summary: Summary) -> dict[str, Any]:
        described = {
            path.name: {"sha256": sha256_of(path), "size": path.stat().st_size} for path in self.folder.iterdir()
        }
        counts = {**summary.counts, "exchanges": self.exchanges.count}
        return {**self._head, **asdict(summary), "counts": counts, "inputs": self._inputs, "files": described}


def _is_run(folder: Path, run_id: str) -> bool:
    """Whether the content of a folder has this address; what cannot be read as a run has none."""
    try:
        return folder_id(folder) == run_id
    except OSError:
        return False
