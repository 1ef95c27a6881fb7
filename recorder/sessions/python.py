"""Record a run from any Python program: `record` is the whole interface.

It keeps no clock and no environment of its own (see `observation`), and prints nothing: who wants to see the events
hands a display over.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from exprec.recorder import events
from exprec.recorder.diagnostics.secret_guard import SecretFound, SecretGuard
from exprec.recorder.errors import InvalidEvent, InvalidInput, NotEncodable, NotRecording, Problem, StorageFailure
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.format.layout import MAX_ARTIFACT_BYTES
from exprec.recorder.schema.engine import show_value
from exprec.recorder.schema.event_types import EventTypes, problems_of_names, problems_of_sent
from exprec.recorder.sessions import provenance
from exprec.recorder.sessions.coerce import plain
from exprec.recorder.state.protocol import ExperimentStateProvider
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import Recording, Sealed

RUN_TYPE = layout.PYTHON_RUN
"""The type of a run that is recorded here."""


class Display(Protocol):
    """What shows the events of a run while it is recorded."""

    def open(self, provider: ExperimentStateProvider) -> None:
        """Called once before the first event; the provider knows the schemas of the declared types."""
        ...

    def show(self, event: Event) -> None:
        """Called with each event once it is recorded, in their order."""
        ...

    def close(self, provider: ExperimentStateProvider) -> None:
        """Called once the run is sealed."""
        ...


def record(
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    schemas: str | os.PathLike[str] | Mapping[str, Any] | EventTypes | None = None,
    strict: bool | None = None,
    display: Display | None = None,
    artifact_limit: int = MAX_ARTIFACT_BYTES,
    secrets: Mapping[str, str] | None = None,
) -> Run:
    """Begin to record a run, and seal it at the end of the `with` block:

        with record("train", config={"lr": 0.1}) as run:
            for epoch in range(1, 11):
                run.event("epoch", iteration=epoch, loss=train(epoch))
            run.artifact("model.json")
            run.result(accuracy=0.93)
        print(run.id)

    An exception in the block, also that of Ctrl-C, seals the run as `failed` and goes on up. In a notebook call
    `run.close()` or `run.fail(error)` instead; a run that never comes to its end stays, unsealed, in the store.

    `config` is what the run was asked to do: plain JSON values. `store` is a folder, made where there is none; without
    it EXPREC_STORE, or else `runs`. `schemas` is a folder with a file `<type>.schema.json` for each of your types of
    events, or a mapping of types to JSON Schemas; events of other types are refused if there are any, unless `strict`
    is False. `display` gets each event once it is recorded. `artifact_limit` is the size of the largest artifact in
    bytes. `secrets` are the values, by their names, that are kept out of the run: without it those of the environment.

    Raises InvalidInput for a name, config or schema that cannot be used; NotEncodable or SecretFound for what cannot
    be kept of the config; NotAStore, StorageFailure.
    """
    types = _types(schemas, strict)
    guard = SecretGuard(provenance.known_secrets() if secrets is None else secrets)
    kept = _config(name, config)
    finish = provenance.start_observing(provenance.program_folder())
    # Absolute, because a program may change its folder.
    place = Store.open_or_create(provenance.store_path(None if store is None else Path(store)).absolute())
    recording = place.begin(name, RUN_TYPE, kept, guard, types=types)
    return Run(name, place, recording, guard, finish, display=display, artifact_limit=artifact_limit)


class Run:
    """A run that is recorded now; `record` makes it.

    Threads and coroutines may share it: events stand in the order of the calls, and a call returns once its event is
    in the file. A forked process may not: it needs a run of its own.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        recording: Recording,
        guard: SecretGuard,
        finish: Callable[[], Mapping[str, Any]],
        *,
        display: Display | None,
        artifact_limit: int,
    ) -> None:
        """Record into `recording`, which is of `store`; `finish` gives what was observed, once it is sealed."""
        self._name = name
        self._store = store
        self._recording = recording
        self._guard = guard
        self._finish = finish
        self._display = display
        self._artifact_limit = artifact_limit
        self._shown = 0
        """How many events the display was given."""
        self._provider = self._new_provider()
        self._result: dict[str, Any] | None = None
        self._process = os.getpid()
        # One that its own thread can take again: a display or a signal handler that records shall be told that it
        # cannot, rather than wait for itself.
        self._lock = threading.RLock()
        self._is_busy = False
        self._is_cut_off = False
        """Whether something stopped an append midway, as Ctrl-C does: only the files know how far it came."""
        self._broken: StorageFailure | None = None
        self._sealed: Sealed | None = None
        self._is_left = False
        """Whether it was given up without a seal."""
        self._display_by(lambda display: display.open(self._provider))

    @property
    def id(self) -> str:
        """The address of the run once it is sealed; before, and without a seal, the name of its work folder."""
        return self._recording.folder.name if self._sealed is None else self._sealed.run_id

    @property
    def path(self) -> Path:
        """The folder of the run: its work folder until it is sealed."""
        return self._recording.folder if self._sealed is None else self._sealed.path

    def event(self, event_type: str, /, iteration: int = 0, **fields: Any) -> None:
        """Append an event, which is in the file when this returns: `run.event("epoch", iteration=1, loss=0.31)`.

        Its type is a small letter, then small letters, digits and `_`; it is your own, never one of exprec's. An
        `iteration` counts from 1 and never goes down; 0 is an event outside of iterations. The fields are plain JSON
        values, or NumPy scalars, which become the Python value equal to them.

        Raises InvalidEvent (its schema, its type, its place), NotEncodable (a value that JSON cannot keep) and
        SecretFound, all of which leave the log as it was; StorageFailure, after which nothing can be recorded or
        sealed any more; NotRecording after the end of the run and in a forked process.
        """
        self._do(lambda: self._append(event_type, iteration, fields))

    def artifact(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Keep a file, as it is now, in the run; it is part of the address: `run.artifact("model.json")`.

        It is named by its relative path, or by its last part if `path` is absolute, or by `name`, a relative path with
        slashes. Raises InvalidInput when there is no such file, when it is larger than the limit of the run, and for a
        name that is taken or that no artifact can have; SecretFound for its bytes or name; StorageFailure and
        NotRecording as `event` does.
        """
        source = Path(path)
        named = name if name is not None else source.name if source.is_absolute() else source.as_posix()
        self._do(lambda: self._recording.add_artifact(named, source, self._artifact_limit))

    def result(self, **fields: Any) -> None:
        """Say, once, what the run came to: `run.result(accuracy=0.93)`. It is recorded when the run is completed; a
        run that fails has none.

        Raises InvalidEvent the second time and for a field named as exprec names its own; else as `event` does.
        """
        self._do(lambda: self._keep_result(fields))

    def close(self) -> None:
        """Seal the run as completed; nothing happens when it has ended already.

        Raises StorageFailure, also when that was raised before: the run is then not sealed, and what it recorded stays
        in its work folder. NotRecording in a forked process.
        """
        self._end(None)

    def fail(self, error: BaseException) -> None:
        """Seal the run as failed, with the type and the message of the error, and raise what `close` raises."""
        self._end(error)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and (os.getpid() != self._process or error is self._broken):
            # On its way up already. In a forked process this run is the business of its parent.
            self._leave()
        elif error is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
        else:
            self.fail(error)

    def _do(self, act: Callable[[], None]) -> None:
        """One thing at a time, of which the log is as it was when it raises."""
        self._check_process()
        with self._lock:
            self._check_open()
            self._is_busy = True
            try:
                act()
            except StorageFailure as failure:
                self._broken = failure
                raise
            except (InvalidEvent, InvalidInput, NotEncodable, SecretFound):
                raise
            except BaseException:
                self._is_cut_off = True
                raise
            finally:
                self._is_busy = False

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            reason = "this process was forked from the one that records; let that one record, or begin a run of its own"
            raise NotRecording(self._name, reason)

    def _check_open(self) -> None:
        """Raises why nothing can be recorded, if so; sees to what an interruption left behind."""
        if self._is_busy:
            raise NotRecording(self._name, "it is recording just now; do not record from a display or a signal handler")
        if self._broken is not None:
            raise StorageFailure(self._broken.path, self._broken.error) from self._broken
        if self._sealed is not None or self._is_left:
            raise NotRecording(self._name, "it has ended; begin a new one with record()")
        if self._is_cut_off:
            self._read_again()

    def _append(self, event_type: str, iteration: int, fields: dict[str, Any]) -> None:
        problems = problems_of_sent(event_type, fields)
        if problems:
            raise InvalidEvent(str(event_type), problems)
        try:
            self._provider.record_event(iteration, event_type, fields)
        except NotEncodable:
            iteration = plain(iteration, "iteration")
            self._provider.record_event(iteration, event_type, plain(fields))

    def _keep_result(self, fields: dict[str, Any]) -> None:
        if self._result is not None:
            raise InvalidEvent(events.RUN_END, [Problem((), "the result was given already; a run has one")])
        problems = problems_of_names(fields)
        if problems:
            raise InvalidEvent(events.RUN_END, problems)
        data, result = canonical_json.encode_checked(plain(fields))
        self._guard.check("the result", data, result)
        self._result = result

    def _end(self, error: BaseException | None) -> None:
        self._check_process()
        with self._lock:
            if self._sealed is not None or (self._is_left and self._broken is None):
                return
            try:
                self._do(lambda: self._seal(error))
            except NotRecording:
                raise
            except BaseException:
                self._leave()
                raise
            self._display_by(lambda display: display.close(self._provider))
            # Last, as it is no part of the run: a disk that is full by now shall not keep the address back.
            self._store.attest(self.id, self._finish())

    def _seal(self, error: BaseException | None) -> None:
        if error is None:
            self._provider.record_end(self._result or {})
        else:
            self._provider.record_failure(type(error).__name__, self._guard.redacted(_message(error)))
        self._sealed = self._provider.seal()

    def _leave(self) -> None:
        """Give up without a seal: what was recorded stays in the work folder, for others to look at."""
        if os.getpid() == self._process and self._sealed is None and not self._is_left:
            self._is_left = True
            # Why it is given up is on its way to the caller.
            with suppress(StorageFailure):
                self._provider.close()

    def _new_provider(self) -> LiveStateProvider:
        return LiveStateProvider(self._name, RUN_TYPE, recording=self._recording, listener=self._show)

    def _read_again(self) -> None:
        """Go on where the files end: what is whole there was recorded, whether its call returned or not."""
        self._recording = self._recording.reopened()
        self._provider = self._new_provider()
        for entry in RunDirectory(self._recording.folder).reader().entries(0, self._recording.recorded_bytes):
            event = entry.event
            self._provider.record_event(event["iteration"], event["event_type"], events.fields(event))
        self._is_cut_off = False

    def _show(self, event: Event) -> None:
        if self._display is not None and event["seq"] >= self._shown:
            self._shown += 1
            self._display_by(lambda display: display.show(event))

    def _display_by(self, call: Callable[[Display], None]) -> None:
        """Call the display, for the last time if it fails. What it is written to may be gone: the run may have cost
        days, and goes on without whoever looked on. Any other error is one of the program, and goes up."""
        display, self._display = self._display, None
        if display is None:
            return
        try:
            call(display)
        except OSError as error:
            reason = error.strerror or str(error)
            warnings.warn(f"the display of the run stopped ({reason}); it is recorded all the same", stacklevel=2)
        else:
            self._display = display


def _types(schemas: Any, strict: bool | None) -> EventTypes:
    if isinstance(schemas, EventTypes):
        return schemas
    if isinstance(schemas, str | os.PathLike):
        return EventTypes.in_folder(Path(schemas), strict=strict)
    if schemas is not None and not isinstance(schemas, Mapping):
        message = f"must be a folder, or a dict of types and their schemas, not a {type(schemas).__name__}"
        raise InvalidInput([Problem((), message, "schemas")])
    return EventTypes(schemas, strict=strict)


def _config(name: Any, config: Any) -> dict[str, Any]:
    """The config as it is kept. Raises InvalidInput, NotEncodable."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput([Problem((), f"must be a text that names the run, not {show_value(name)}", "name")])
    if config is not None and not isinstance(config, Mapping):
        message = f"must be a dict, not a {type(config).__name__} (of argparse: vars(args))"
        raise InvalidInput([Problem((), message, "config")])
    kept: dict[str, Any] = canonical_json.encode_checked({"config": plain(dict(config or {}), "config")})[1]["config"]
    return kept


def _message(error: BaseException) -> str:
    """What is recorded of an error: its text, with what UTF-8 cannot hold written out."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return (text or "no message").encode(errors="backslashreplace").decode()
