"""Recording a run from a Python program: `record` and `Run`."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from exprec.recorder.diagnostics import SecretGuard, show_value
from exprec.recorder.errors import (
    InvalidEvent,
    InvalidInput,
    NotEncodable,
    NotRecording,
    Problem,
    SecretFound,
    StorageFailure,
)
from exprec.recorder.events import Event, EventTypes, common
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.sessions import provenance
from exprec.recorder.sessions.coerce import coerce_path, coerce_value
from exprec.recorder.sessions.session import Observation, Session, error_text
from exprec.recorder.state import ExperimentStateProviderProtocol
from exprec.recorder.store import Store

RUN_TYPE = layout.PYTHON_RUN
"""The run type of a Python program."""


class Display(Protocol):
    """Shows the events of a run while it is recorded."""

    def open(self, provider: ExperimentStateProviderProtocol) -> None:
        """Called once before the first event; the provider has the schemas of the declared event types."""
        ...

    def show(self, event: Event) -> None:
        """Called with each event, in order, right after it was recorded."""
        ...

    def close(self, provider: ExperimentStateProviderProtocol) -> None:
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
    artifact_limit: int = layout.MAX_ARTIFACT_BYTES,
    secrets: Mapping[str, str] | None = None,
    allow_secrets: Sequence[str] = (),
    redact: bool = False,
) -> Run:
    """Begin to record a run, which is sealed at the end of the `with` block.

        with record("train", config={"lr": 0.1}) as run:
            for epoch in range(1, 11):
                run.event("epoch", iteration=epoch, loss=train(epoch))
            run.artifact("model.json")
            run.result(accuracy=0.93)
        print(run.id)

    An event, artifact or result with a secret is left out, with a warning, and the run is sealed as `failed`.

    An exception in the block, Ctrl-C included, seals the run as `failed` and is raised as usual. In a notebook, call
    `run.close()` or `run.fail(error)` instead. A run that reaches neither stays in the store, interrupted.

    Args:
        name: The name of the run.
        config: The inputs of the run, as plain JSON values.
        store: The folder of the store, which is created if it is missing; None: EXPREC_STORE, else `runs`.
        schemas: The declared event types: a folder with a file `<type>.schema.json` each, or a mapping of types to
            JSON Schemas.
        strict: Whether events of types that are not declared are refused; None: if any type is declared.
        display: Gets each event right after it was recorded.
        artifact_limit: The size of the largest artifact, in bytes.
        secrets: The values that must not enter the run, by name; None: those that exprec knows from the environment,
            which is read again for each record, and from files of secrets, and whatever has the shape of a key.
        allow_secrets: Names of secrets and of shapes that may be recorded all the same.
        redact: Whether to record what contains a secret with placeholders `[redacted:NAME:k]`, with a warning, and to
            seal the run as usual.

    Raises:
        InvalidInput: The name, the config or a schema cannot be used.
        NotEncodable: A value of the config has no exact JSON form.
        SecretFound: The config or the name contains a secret.
        NotAStore: `store` is another folder, or a store of a newer format.
        StorageFailure: The store cannot be written.
    """
    types = _event_types(schemas, strict)
    guard = (
        provenance.make_guard(allow_secrets, is_renewed=True, redacts=redact)
        if secrets is None
        else SecretGuard(secrets, allowed=allow_secrets, redacts=redact)
    )
    checked = _check_config(name, config)
    observation = provenance.observe_program()
    # Absolute, because a program may change its working directory.
    opened = Store.open_or_create(provenance.store_path(None if store is None else Path(store)).absolute())
    return Run(name, opened, checked, types, guard, observation, display=display, artifact_limit=artifact_limit)


class Run:
    """A run in progress that this program records; `record` begins it.

    Threads and coroutines may share a run: its events are in the order of the calls, and a call returns once its event
    is in the file. A forked process must not use it, and begins a run of its own.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        config: Mapping[str, Any],
        types: EventTypes,
        secrets: SecretGuard,
        observation: Observation,
        *,
        display: Display | None,
        artifact_limit: int,
    ) -> None:
        """Begin a run in `store`; programs call `record` instead.

        `observation` is called at the end, for the execution record. Raises NotEncodable, SecretFound, StorageFailure.
        """
        self._name = name
        self._session = Session.begin(store, name, RUN_TYPE, config, secrets=secrets, types=types, listener=self._show)
        self._secrets = secrets
        self._observation = observation
        self._display = display
        self._artifact_limit = artifact_limit
        self._result: dict[str, Any] | None = None
        self._redacts = secrets.redacts
        self._reported = 0
        """The number of redacted fields and files of which a warning was given."""
        self._withheld: list[tuple[str, str]] = []
        """The fields and files that contain a secret and were not recorded, with the name of the secret."""
        self._process = os.getpid()
        # Reentrant: a display or a signal handler that records gets an error instead of a deadlock.
        self._lock = threading.RLock()
        self._is_busy = False
        self._is_sealing = False
        self._is_cut_off = False
        """Whether an append was interrupted midway, as by Ctrl-C: only the files know how far it got."""
        self._broken: StorageFailure | None = None
        """The failure after which nothing can be recorded."""
        self._is_left = False
        """Whether the run ended without a seal."""
        self._display_by(lambda display: display.open(self._session.provider))

    @property
    def id(self) -> str:
        """The run id once the run is sealed; the name of its work folder before, and if it is never sealed."""
        return self._session.run_id

    @property
    def path(self) -> Path:
        """The run directory once the run is sealed; its work folder before."""
        return self._session.path

    def event(self, event_type: str, /, iteration: int = 0, **fields: Any) -> None:
        """Append an event: `run.event("epoch", iteration=1, loss=0.31)`. It is in the file when this returns.

        Args:
            event_type: A type of your own, not one of exprec's: a lower-case letter, then lower-case letters, digits
                and `_`.
            iteration: The number of the iteration, from 1, which never decreases; 0 for an event outside of iterations.
            fields: Plain JSON values, or values that equal them, such as NumPy scalars, which are recorded as these.

        Raises:
            InvalidEvent: The type, the iteration or a field is not allowed; the log is unchanged.
            NotEncodable: A value has no exact JSON form; the log is unchanged.
            StorageFailure: The disk refused to write; nothing can be recorded or sealed any more.
            NotRecording: The run has ended, or belongs to another process.
        """
        self._do(lambda: self._append(event_type, iteration, fields))

    def artifact(self, path: str | os.PathLike[str], name: str | os.PathLike[str] | None = None) -> None:
        """Copy a file, as it is now, into the run, whose run id depends on it: `run.artifact("model.json")`.

        Of a folder, everything in it is copied. The same name again replaces the earlier artifact: the last one counts.

        Args:
            path: The file or the folder.
            name: The name of the artifact, a relative path with slashes; None: `path` if it is relative, else its last
                component.

        Raises:
            InvalidInput: The file is missing, unreadable, special, larger than the `artifact_limit` of the run, or
                changes while it is copied; `path` is not a path; or the name is not allowed, or the same file as
                another artifact on some systems. Of a folder, the other files are kept.
            StorageFailure, NotRecording: As for `event`.
        """
        self._do(lambda: self._add_artifact(path, name))

    def result(self, **fields: Any) -> None:
        """Set the result of the run, once: `run.result(accuracy=0.93)`.

        It is recorded when the run is completed; a run that fails has no result.

        Raises:
            InvalidEvent: There is a result already, or a field has a name that is exprec's own.
            NotEncodable, StorageFailure, NotRecording: As for `event`.
        """
        self._do(lambda: self._keep_result(fields))

    def close(self) -> None:
        """Seal the run as completed; do nothing if it has ended already.

        Raises:
            StorageFailure: The run cannot be sealed, also because of an earlier failure; its work folder stays.
            NotRecording: The run belongs to another process, or this is called from a display or a signal handler.
        """
        self._end(None)

    def fail(self, error: BaseException) -> None:
        """Seal the run as failed, with the type and the message of `error`. Raises what `close` raises."""
        self._end(error)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and (os.getpid() != self._process or error is self._broken):
            # The error is raised already. In a forked process the run belongs to the parent.
            self._leave()
        elif error is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
        else:
            self.fail(error)

    def _do(self, act: Callable[[], None]) -> None:
        """Do one thing at a time; if it raises one of exprec's own errors, the log is as it was."""
        self._check_process()
        with self._lock:
            self._check_open()
            self._is_busy = True
            try:
                act()
            except StorageFailure as failure:
                self._broken = failure
                raise
            except SecretFound as found:
                if self._is_sealing:
                    raise
                # The program continues; the run fails at its end.
                self._withheld += found.hits
                warnings.warn(f"{found}; the run is sealed as failed", stacklevel=4)
            except (InvalidEvent, InvalidInput, NotEncodable):
                raise
            except BaseException:
                self._is_cut_off = True
                raise
            finally:
                self._is_busy = False
            if self._redacts:
                self._report_redacted()

    def _report_redacted(self) -> None:
        hits = self._secrets.hits[self._reported :]
        self._reported += len(hits)
        for field, name in hits:
            warnings.warn(f"{field} contained the value of {name}; it is recorded with a placeholder", stacklevel=5)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            reason = "this process was forked from the one that records; let that one record, or begin a run of its own"
            raise NotRecording(self._name, reason)

    def _check_open(self) -> None:
        """Raise an error if nothing can be recorded; restore the state after an interrupted append."""
        if self._is_busy:
            raise NotRecording(self._name, "it is recording just now; do not record from a display or a signal handler")
        if self._broken is not None:
            raise StorageFailure(self._broken.path, self._broken.error) from self._broken
        if self._session.sealed is not None or self._is_left:
            raise NotRecording(self._name, "it has ended; begin a new one with record()")
        if self._is_cut_off:
            self._session.reopen()
            self._is_cut_off = False

    def _append(self, event_type: str, iteration: int, fields: dict[str, Any]) -> None:
        problems = EventTypes.find_sent_problems(event_type, fields)
        if problems:
            raise InvalidEvent(str(event_type), problems)
        try:
            self._session.emit(iteration, event_type, fields)
        except NotEncodable:
            # Coercing every value of every event would cost more than encoding it.
            plain_type, number = coerce_value(event_type, "event_type"), coerce_value(iteration, "iteration")
            self._session.emit(number, plain_type, coerce_value(fields))

    def _add_artifact(self, path: Any, name: Any) -> None:
        source = Path(coerce_path(path, "an artifact"))
        if name is None:
            named = source.name if source.is_absolute() else source.as_posix()
        else:
            named = coerce_path(name, "the name of an artifact")
        if layout.artifact_name_problem(named) is None:
            problem = layout.portability_problem(named)
            if problem is not None:
                raise InvalidInput([Problem((), f"the artifact {show_value(named)} {problem}")])
        self._session.add_artifact(named, source, self._artifact_limit)

    def _keep_result(self, fields: dict[str, Any]) -> None:
        if self._result is not None:
            raise InvalidEvent(common.RUN_END.event_type, [Problem((), "the result was given already; a run has one")])
        problems = EventTypes.find_reserved_fields(fields)
        if problems:
            raise InvalidEvent(common.RUN_END.event_type, problems)
        result = canonical_json.encode_program_value(coerce_value(fields))[1]
        self._result = canonical_json.restore_floats(self._secrets.admit("the result", result))

    def _end(self, error: BaseException | None) -> None:
        self._check_process()
        with self._lock:
            if self._session.sealed is not None or (self._is_left and self._broken is None):
                return
            try:
                self._do(lambda: self._seal(error))
            except NotRecording:
                raise
            except BaseException:
                self._leave()
                raise
            self._display_by(lambda display: display.close(self._session.provider))
            # Last, because it is not part of the run: when the disk is full by now, the run is sealed all the same.
            self._session.attest(self._observation())

    def _seal(self, error: BaseException | None) -> None:
        self._is_sealing = True
        if self._withheld:
            found = SecretFound(*self._withheld[0], more=tuple(dict.fromkeys(self._withheld[1:])))
            self._session.fail(type(found).__name__, str(found))
        elif error is None:
            self._session.complete(self._result or {})
        else:
            self._session.fail(type(error).__name__, error_text(error))

    def _leave(self) -> None:
        """End the run without a seal; what was recorded stays in its work folder."""
        if os.getpid() == self._process and self._session.sealed is None and not self._is_left:
            self._is_left = True
            # The caller gets the error that is the reason.
            with suppress(StorageFailure):
                self._session.leave()

    def _show(self, event: Event) -> None:
        self._display_by(lambda display: display.show(event))

    def _display_by(self, call: Callable[[Display], None]) -> None:
        """Call the display; never again after an OSError.

        A long run must not fail because its terminal was closed. Other errors are those of the program and propagate.
        """
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


def _event_types(schemas: Any, strict: bool | None) -> EventTypes:
    if isinstance(schemas, EventTypes):
        return schemas
    if isinstance(schemas, str | os.PathLike):
        return EventTypes.in_folder(Path(schemas), strict=strict)
    if schemas is not None and not isinstance(schemas, Mapping):
        message = f"must be a folder, or a dict of types and their schemas, not a {type(schemas).__name__}"
        raise InvalidInput([Problem((), message, "schemas")])
    return EventTypes(schemas, strict=strict)


def _check_config(name: Any, config: Any) -> dict[str, Any]:
    """The config as it is recorded. Raises InvalidInput, NotEncodable."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput([Problem((), f"must be a text that names the run, not {show_value(name)}", "name")])
    if config is not None and not isinstance(config, Mapping):
        message = f"must be a dict, not a {type(config).__name__} (of argparse: vars(args))"
        raise InvalidInput([Problem((), message, "config")])
    coerced = {"config": coerce_value(dict(config or {}), "config")}
    kept: dict[str, Any] = canonical_json.encode_program_value(coerced)[1]["config"]
    return kept
