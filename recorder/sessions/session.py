"""The life cycle of a run: begin or resume, record, seal, attest."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import Damaged, NotAttested, SecretFound, StorageFailure
from exprec.recorder.events import TERMINAL_TYPES, Event, EventTypes, event_fields
from exprec.recorder.format import canonical_json, escape_surrogates, layout
from exprec.recorder.sessions.provenance import read_machine
from exprec.recorder.state import Listener, LiveStateProvider
from exprec.recorder.store import RunDirectory, Sealed, Store, WorkRun

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")

Observation = Callable[[], Mapping[str, Any]]
"""Called once at the end of an execution: returns the fields of its execution record."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of a run that was recorded in a store."""

    run_id: str
    """The run id of a sealed run; the name of the work folder of any other."""
    path: Path
    """The run directory of a sealed run; the work folder of any other."""
    status: str
    """`completed` or `failed` for a sealed run, else `interrupted`."""
    is_new: bool
    """Whether no earlier execution reached this run id; False when this one reproduced a run of the store."""
    has_records: bool
    """Whether anything was recorded: an unsealed run without records is not worth showing or resuming."""

    @property
    def is_sealed(self) -> bool:
        """Whether `run_id` is the run id of a sealed run."""
        return self.status != "interrupted"

    @property
    def interrupted_name(self) -> str | None:
        """The name under which an interrupted run can be shown or resumed; None if nothing was left to show."""
        return None if self.is_sealed or not self.has_records or not self.path.is_dir() else self.run_id


class Session:
    """One run from its first event to its seal, in a store or in memory.

    `provider` is the state of the run, and records events and exchanges. A session ends with `seal`, `complete`,
    `fail`, `leave` or `discard`.
    """

    def __init__(
        self,
        name: str,
        run_type: str,
        recording: WorkRun | None = None,
        *,
        store: Store | None = None,
        secrets: SecretGuard | None = None,
        listener: Listener | None = None,
        run_id: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Record into `recording`, a run in progress of `store`, or into memory without one.

        `listener` gets each event once, right after it was recorded. `run_id` names the run until it is sealed.
        `config` is the configuration of the run.
        """
        self.sealed: Sealed | None = None
        """The sealed run; None before the seal, and for a run in memory."""
        self._name = name
        self._run_type = run_type
        self._recording = recording
        self._store = store
        self._secrets = secrets or SecretGuard()
        self._listener = listener
        self._run_id = run_id
        self._config = config
        self._heard = 0
        """The number of events that the listener got."""
        self._has_output = False
        self.provider = self._new_provider()

    @classmethod
    def begin(
        cls,
        store: Store,
        name: str,
        run_type: str,
        config: Mapping[str, Any],
        *,
        secrets: SecretGuard | None = None,
        types: EventTypes | None = None,
        origin: Mapping[str, str] | None = None,
        listener: Listener | None = None,
    ) -> Session:
        """Begin a new run in `store`.

        `config` is as it is recorded, with forms in place of floats that JSON cannot hold. `types` are the event types
        that the run may contain beside exprec's own. `origin` is kept beside the work folder
        for `exprec resume`, and is not part of the run. Raises NotEncodable or SecretFound for the config or the name,
        StorageFailure.
        """
        if secrets is not None and secrets.redacts:
            config = secrets.admit(layout.CONFIG_FILE, dict(config))
            name = secrets.admit(layout.RUN_FILE, {"name": name})["name"]
        recording = store.begin(name, run_type, config, secrets, {**read_machine(), **(origin or {})}, types)
        if run_type == layout.PYTHON_RUN:
            config = canonical_json.restore_floats(dict(config))
        return cls(name, run_type, recording, store=store, secrets=secrets, listener=listener, config=config)

    @classmethod
    def resume(
        cls,
        store: Store,
        run: RunDirectory,
        name: str,
        run_type: str,
        *,
        secrets: SecretGuard | None = None,
        listener: Listener | None = None,
    ) -> Session:
        """Resume an interrupted run of `store`: what was recorded must be recorded again, byte for byte.

        Raises RunInProgress, RunNotFound, Damaged, StorageFailure.
        """
        if secrets is not None and secrets.redacts:
            for exchange in run.exchange_reader():
                secrets.reserve(canonical_json.encode(exchange).decode())
            for entry in run.reader().entries():
                secrets.reserve(entry.line.decode())
        recording = store.resume(run, name, run_type, secrets, read_machine())
        return cls(name, run_type, recording, store=store, secrets=secrets, listener=listener, config=run.config)

    @property
    def work_folder(self) -> Path:
        """The work folder of a run in a store."""
        return self._in_store().folder

    @property
    def run_id(self) -> str:
        """The run id once the run is sealed; the name of the work folder before."""
        return self.work_folder.name if self.sealed is None else self.sealed.run_id

    @property
    def path(self) -> Path:
        """The run directory once the run is sealed; the work folder before."""
        return self.work_folder if self.sealed is None else self.sealed.path

    @property
    def is_repeating(self) -> bool:
        """Whether the next event was recorded before the resumption, and must come again."""
        return self._recording is not None and self._recording.is_repeating

    @property
    def outcome(self) -> RunOutcome | None:
        """What became of the run so far; None for a run in memory."""
        if self._recording is None:
            return None
        described = self.provider.get_run_metadata()
        if self.sealed is not None:
            return RunOutcome(self.run_id, self.path, described["status"], self.sealed.is_new, has_records=True)
        has_records = self._has_output or self._recording.is_resumed or described["events"] > 0
        return RunOutcome(self.run_id, self.path, "interrupted", is_new=False, has_records=has_records)

    def emit(self, iteration: int, event_type: str, fields: Mapping[str, Any]) -> Event:
        """Append an event; returns it as recorded. Raises InvalidEvent, NotEncodable, SecretFound, StorageFailure."""
        return self.provider.record_event(iteration, event_type, fields)

    def admit_request(self, request: Mapping[str, Any]) -> Any:
        """Return a request to a model as it may be sent. Raises SecretFound for a secret in it, NotEncodable."""
        data, value = canonical_json.encode_checked(request)
        try:
            self._secrets.check("request", data, value, "it was not sent")
        except SecretFound as found:
            return self._secrets.replace(found, value)
        return request

    def admit(self, what: str, value: Any) -> Any:
        """Return a value as it may be recorded: with placeholders if secrets are redacted.

        Raises SecretFound for a secret in it, NotEncodable.
        """
        return self._secrets.admit(what, value)

    def rewrite_output(self, stream: str, edits: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Write other bytes in place of some of a stream; see `WorkRun.rewrite_output`. Raises StorageFailure."""
        self._in_store().rewrite_output(stream, edits)

    def write_output(self, stream: str, data: bytes) -> None:
        """Append to the recorded `stdout` or `stderr`. Raises StorageFailure."""
        self._has_output = True
        self._in_store().write_output(stream, data)

    def add_artifact(
        self,
        name: str,
        source: Path,
        max_bytes: int = layout.MAX_ARTIFACT_BYTES,
        is_new: Callable[[Path], bool] | None = None,
    ) -> tuple[str, ...]:
        """Copy a file or a folder into the run under `name`; returns the names of those that `is_new` left out.

        Raises InvalidInput, SecretFound, StorageFailure.
        """
        return self._in_store().artifacts.add(name, source, max_bytes, is_new)

    def recorded_end(self) -> Event | None:
        """The last event recorded before the resumption, if it ends the run."""
        last = deque(self._recorded_events(), maxlen=1)
        return last[0] if last and last[0]["event_type"] in TERMINAL_TYPES else None

    def record_again(self) -> None:
        """Record a second time everything that the files of a resumed run contain, exchanges first.

        The listener gets the events that are new to it. Raises Damaged, StorageFailure.
        """
        for exchange in RunDirectory(self.work_folder).exchange_reader():
            self.provider.record_exchange(exchange)
        for event in self._recorded_events():
            self.emit(event["iteration"], event["event_type"], event_fields(event))

    def reopen(self) -> None:
        """Restore the state from the files after an append was interrupted midway.

        What is complete in the files was recorded, whether its call returned or not. Raises Damaged, StorageFailure.
        """
        self._recording = self._in_store().reopen()
        self.provider = self._new_provider()
        self.record_again()

    def complete(self, result: Mapping[str, Any]) -> None:
        """Record the end of a program or a command, with its result, and seal the run. Raises as `seal` does."""
        self.provider.record_end(result)
        self.seal()

    def fail(self, error_type: str, message: str) -> None:
        """Record why a run failed, with secrets redacted, and seal it. Raises as `seal` does."""
        # With placeholders the event is redacted like any other.
        text = message if self._secrets.redacts else self._secrets.redacted(message)
        self.provider.record_failure(error_type, text)
        self.seal()

    def seal(self) -> None:
        """Give the run its run id; a run in memory is left as it is. Raises StorageFailure, Damaged, SecretFound."""
        self.sealed = self.provider.seal()

    def attest(self, observation: Mapping[str, Any]) -> int:
        """Add the execution record of a sealed run; returns the number of its executions.

        Raises NotAttested when it cannot be written, or one of an earlier execution cannot be read.
        """
        assert self._store is not None
        assert self.sealed is not None, "only a sealed run is attested"
        try:
            self._store.attest(self.sealed.run_id, observation)
            return 1 if self.sealed.is_new else len(self._store.attestations(self.sealed.run_id))
        except (Damaged, StorageFailure) as error:
            raise NotAttested(self.sealed.run_id, error) from error

    def leave(self, reason: str | None = None) -> None:
        """Leave the run interrupted, with everything that was recorded on the disk. Raises StorageFailure.

        `reason` is kept beside the work folder, with secrets redacted.
        """
        if self.sealed is not None:
            return
        if reason is not None and self._recording is not None:
            self._recording.note_interruption(self._secrets.redacted(reason))
        self.provider.close()

    def discard(self) -> None:
        """Remove a run that is not worth keeping; a resumed one is left as it was. Raises StorageFailure."""
        if self._recording is not None and not self._recording.is_resumed:
            self._recording.discard()
        else:
            self.leave()

    def _in_store(self) -> WorkRun:
        assert self._recording is not None, "the run is recorded in a store"
        return self._recording

    def _new_provider(self) -> LiveStateProvider:
        return LiveStateProvider(
            self._name,
            self._run_type,
            self._config,
            self._run_id,
            recording=self._recording,
            listener=self._tell,
        )

    def _recorded_events(self) -> Iterator[Event]:
        return (entry.event for entry in self._in_store().recorded_events())

    def _tell(self, event: Event) -> None:
        """Give the listener an event that is new to it."""
        if event["seq"] >= self._heard:
            self._heard += 1
            if self._listener is not None:
                self._listener(event)


def error_text(error: BaseException, *, empty: str = "no message") -> str:
    """The recorded message of an error: its text, or `empty` if it has none.

    Addresses in memory are left out, and what UTF-8 cannot encode is written as escape sequences.
    """
    try:
        text = str(error)
    except Exception:
        text = ""
    return _ADDRESS.sub("0x…", escape_surrogates(text)) or empty
