"""Runs a command and records it, from its command line to a sealed run in a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import (
    ExprecError,
    InvalidEvent,
    InvalidInput,
    InvalidLine,
    NotEncodable,
    SecretFound,
    StorageFailure,
)
from exprec.recorder.events import EventTypes, common
from exprec.recorder.format import layout
from exprec.recorder.fs import walk_files
from exprec.recorder.sessions.command.command import FAIL, MARK, Command
from exprec.recorder.sessions.command.event_channel import VARIABLE, EventChannel, SentEvent, remove_channel
from exprec.recorder.sessions.command.process import BlockedSignals, Child, ExitInfo, NotStarted
from exprec.recorder.sessions.session import RunOutcome, Session
from exprec.recorder.state import Listener, LiveStateProvider
from exprec.recorder.store import Sealed, Store

NOT_STARTED = "NotStarted"
"""The error type of a command that could not be started."""

_FAILED = 3
_MOST_BAD_EVENTS = 10
"""Events that cannot be recorded of which the reason is kept; the others are counted."""

OutputListener = Callable[[str, bytes], None]
"""Called with a stream and each piece of what the command writes to it, as soon as it is written, also if the piece is
recorded later or not at all."""


@dataclass(frozen=True, slots=True)
class CommandFailure:
    """Why a command failed."""

    error_type: str
    message: str
    code: int
    """The exit code: that of the command, or 3 if an event cannot be recorded or an artifact is missing."""
    is_news: bool = False
    """Whether exprec found it, so that the command's own output does not show it."""


class BadEvents(NamedTuple):
    """Events of a command that cannot be recorded, and did not fail its run."""

    total: int
    first: tuple[str, ...]
    """Why the first of them cannot be."""


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of a recorded command."""

    sealed: Sealed
    failure: CommandFailure | None
    """Why it failed; None for a command that succeeded."""
    left_open: tuple[str, ...]
    """The streams that were still open in a process it had started when the command ended."""
    was_interrupted: bool
    """Whether exprec received a signal that asks to terminate while the command ran."""
    redacted: tuple[tuple[str, str], ...] = ()
    """What contained a secret and was recorded with a placeholder, with the name of the secret."""
    left_out: tuple[str, ...] = ()
    """The files in folders of artifacts that were there before and that the command did not write."""
    bad_events: BadEvents | None = None
    """The events that cannot be recorded, if there are any and they do not fail the run."""


class CommandRunner:
    """Runs one command and seals the run; `run` it once."""

    def __init__(
        self,
        command: Command,
        folder: Path,
        environment: Mapping[str, str],
        *,
        store: Store,
        secrets: SecretGuard,
        types: EventTypes,
        on_event: Listener | None = None,
        on_output: OutputListener | None = None,
        has_input: bool = True,
        name: str | None = None,
    ) -> None:
        """Describe the execution of `command` in `folder`; nothing is recorded yet.

        `environment` is that of the command, to which the path of the event file is added. `on_event` gets each event
        once it is recorded, and `on_output` each piece of output at once. Without `has_input` the command's stdin is
        empty, else it is that of this process. `name` is the name of the run, by default that of the command.
        """
        self._command = command
        self._folder = folder
        self._environment = environment
        self._store = store
        self._secrets = secrets
        self._types = types
        self._on_event = on_event
        self._on_output = on_output
        self._has_input = has_input
        self._name = name or command.name
        self._bad_events: list[CommandFailure] = []
        """Why events cannot be recorded: the first of them."""
        self._bad_event_count = 0
        self._withheld: list[tuple[str, str]] = []
        """What contains a secret and was not recorded, with the name of the secret."""
        self._left_out: list[str] = []
        """The files in folders of artifacts that the command did not write."""
        self._session: Session | None = None

    @property
    def state_provider(self) -> LiveStateProvider | None:
        """The state of the run; None before it began."""
        return None if self._session is None else self._session.provider

    @property
    def outcome(self) -> RunOutcome | None:
        """What became of the run, also after an error; None before it began."""
        return None if self._session is None else self._session.outcome

    def attest(self, observation: Mapping[str, object]) -> int:
        """Add the execution record of the sealed run; returns the number of its executions. Raises NotAttested."""
        assert self._session is not None, "the command ran"
        return self._session.attest(observation)

    def run(self) -> CommandOutcome:
        """Run the command and seal the run, as failed if the command failed.

        Raises:
            NotEncodable, SecretFound: The command line cannot be recorded; nothing is recorded.
            StorageFailure: The run cannot be recorded to its end; it is left interrupted in the store.
        """
        config = self._command.as_config(strict=self._types.is_strict)
        session = self._session = Session.begin(
            self._store,
            self._name,
            layout.COMMAND_RUN,
            config,
            secrets=self._secrets,
            types=self._types,
            listener=self._on_event,
        )
        try:
            # Until the run is sealed: Ctrl-C is to end the command, and to keep its record.
            with BlockedSignals() as signals:
                return self._record(session, signals)
        except BaseException:
            with suppress(StorageFailure):
                remove_channel(session.work_folder)
            session.leave()
            raise

    def _record(self, session: Session, signals: BlockedSignals) -> CommandOutcome:
        for stream in layout.STREAMS:
            session.write_output(stream, b"")
        channel = EventChannel(layout.work_events_path(session.work_folder), self._secrets)
        before = _file_stamps(self._folder / name for name in self._command.artifacts)
        exit_info = ExitInfo()
        left_open: tuple[str, ...] = ()
        not_started: NotStarted | None = None
        try:
            with Child(
                self._command.argv,
                self._folder,
                {**self._environment, VARIABLE: str(channel.path.absolute())},
                signals,
                has_input=self._has_input,
            ) as child:
                self._follow(child, channel, session)
                exit_info, left_open = child.exit_info, tuple(child.left_open)
        except NotStarted as error:
            not_started = error
        missing = self._keep_artifacts(session, before)
        withheld = [*self._withheld, *channel.withheld]
        failure = _find_failure(self._event_failure(), withheld, not_started, exit_info, missing)
        if failure is not None:
            failure = replace(failure, message=self._secrets.redacted(failure.message) + self._bad_event_note())
        session.emit(
            0, common.COMMAND_END.event_type, {"exit_status": exit_info.exit_status, "signal": exit_info.signal}
        )
        if failure is None:
            session.complete(self._bad_event_mark())
        else:
            session.fail(failure.error_type, failure.message)
        channel.close()
        assert session.sealed is not None, "a run in a store is sealed"
        return CommandOutcome(
            session.sealed,
            failure,
            left_open,
            signals.any(),
            self._secrets.hits,
            tuple(self._left_out),
            self._events_left_out(),
        )

    def _follow(self, child: Child, channel: EventChannel, session: Session) -> None:
        """Record what the child writes and sends until it has ended.

        Output is withheld from the first line with a secret on, and so are events that contain one. What is shown of
        the output does not wait for the end of its line, as the record does.
        """
        scans = {stream: self._secrets.scan_lines() for stream in layout.STREAMS}

        def keep(stream: str, data: bytes) -> None:
            if data:
                session.write_output(stream, data)

        for stream, data in child.output():
            keep(stream, scans[stream].passed(data))
            if data and self._on_output is not None:
                self._on_output(stream, data)
            self._record_sent(channel.received, session)
        for stream, scan in scans.items():
            keep(stream, scan.rest())
            if scan.found is not None:
                self._withheld.append((f"{stream} from line {scan.line} on", scan.found))
        self._record_sent(channel.rest, session)
        # Last, so that the numbers of placeholders do not depend on which of streams and events came first.
        for stream, scan in scans.items():
            session.rewrite_output(stream, self._secrets.settle(stream, scan))

    def _record_sent(self, receive: Callable[[], Iterable[SentEvent]], session: Session) -> None:
        """Record the events that were received; those that cannot be recorded are left out."""
        is_read = False
        while not is_read:
            try:
                for line, event_type, iteration, fields in receive():
                    try:
                        session.emit(iteration, event_type, fields)
                    except SecretFound as found:
                        self._withheld += ((f"line {line} of {VARIABLE}: {field}", name) for field, name in found.hits)
                    except (InvalidEvent, NotEncodable) as error:
                        self._add_bad_event(error, f"line {line} of {VARIABLE}: ")
                is_read = True
            except InvalidLine as error:
                # The next call continues after that line.
                self._add_bad_event(error)

    def _add_bad_event(self, error: ExprecError, prefix: str = "") -> None:
        self._bad_event_count += 1
        if len(self._bad_events) < _MOST_BAD_EVENTS:
            failure = _failure_of(error, prefix)
            self._bad_events.append(replace(failure, message=self._secrets.redacted(failure.message)))

    def _event_failure(self) -> CommandFailure | None:
        """The failure of the run because of events that cannot be recorded, if these are to fail it."""
        if not self._bad_events or self._command.on_bad_event != FAIL:
            return None
        first, others = self._bad_events[0], self._bad_event_count - 1
        more = f"; {others} more cannot be recorded" if others else ""
        return replace(first, message=f"{first.message}{more}")

    def _bad_event_mark(self) -> dict[str, Any]:
        """What the result says of events that cannot be recorded, if it is to be marked."""
        if not self._bad_events or self._command.on_bad_event != MARK:
            return {}
        return {"bad_events": {"count": self._bad_event_count, "first": [each.message for each in self._bad_events]}}

    def _bad_event_note(self) -> str:
        """What the failure of a marked run adds about events that cannot be recorded."""
        mark = self._bad_event_mark().get("bad_events")
        return "" if mark is None else f"; events that cannot be recorded: {mark['count']}, first {mark['first'][0]}"

    def _events_left_out(self) -> BadEvents | None:
        """The events that cannot be recorded, if they do not fail the run."""
        if not self._bad_events or self._command.on_bad_event == FAIL:
            return None
        return BadEvents(self._bad_event_count, tuple(each.message for each in self._bad_events))

    def _keep_artifacts(self, session: Session, before: Mapping[Path, _FileStamp | None]) -> ExprecError | None:
        """Copy the artifacts into the run; returns what is wrong with the first that cannot be kept."""
        limit = self._command.artifact_limit
        max_bytes = layout.MAX_ARTIFACT_BYTES if limit is None else limit

        def is_new(path: Path) -> bool:
            return before.get(path) is None or _file_stamp(path) != before[path]

        problem: ExprecError | None = None
        for name in self._command.artifacts:
            try:
                self._left_out += session.add_artifact(name, self._folder / name, max_bytes, is_new)
            except SecretFound as found:
                self._withheld += found.hits
            except InvalidInput as error:
                problem = problem or error
        return problem


def _find_failure(
    bad_event: CommandFailure | None,
    withheld: Sequence[tuple[str, str]],
    not_started: NotStarted | None,
    exit_info: ExitInfo,
    missing: ExprecError | None,
) -> CommandFailure | None:
    """Why a command failed: a bad event, else secrets, else its exit, else a missing artifact."""
    if bad_event is not None:
        return bad_event
    if withheld:
        return _failure_of(SecretFound(*withheld[0], more=withheld[1:]))
    if not_started is not None:
        return CommandFailure(NOT_STARTED, str(not_started), not_started.code, is_news=True)
    if exit_info.signal is not None:
        return CommandFailure("Signal", f"ended by {exit_info.signal}", exit_info.code)
    if exit_info.exit_status:
        return CommandFailure("ExitStatus", f"exit status {exit_info.exit_status}", exit_info.code)
    if missing is not None:
        return CommandFailure("Artifact", str(missing), _FAILED, is_news=True)
    return None


def _failure_of(error: ExprecError, prefix: str = "") -> CommandFailure:
    """The failure of a command because of `error`."""
    return CommandFailure(type(error).__name__, f"{prefix}{error}", _FAILED, is_news=True)


class _FileStamp(NamedTuple):
    """Tells whether a file was written in the meantime."""

    inode: int
    size: int
    changed_ns: int
    """The time of the last change of any kind (ctime): a copy may preserve the time of its content (mtime)."""


def _file_stamps(artifacts: Iterable[Path]) -> dict[Path, _FileStamp | None]:
    """The stamps of files, and of the files in folders."""
    paths = []
    for artifact in artifacts:
        # False for a folder that cannot be examined.
        is_folder = os.path.isdir(artifact)  # noqa: PTH112
        paths += [found.path for found in walk_files(artifact)] if is_folder else [artifact]
    return {path: _file_stamp(path) for path in paths}


def _file_stamp(path: Path) -> _FileStamp | None:
    """The stamp of a file; None when it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _FileStamp(status.st_ino, status.st_size, status.st_ctime_ns)
