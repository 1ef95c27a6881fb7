"""A command from its words to a sealed run in a store.

The child itself is `process`, its events are `inbox`; this records what comes of both, and how it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from exprec.recorder import events
from exprec.recorder.diagnostics.secret_guard import SecretFound, SecretGuard
from exprec.recorder.errors import ExprecError, InvalidEvent, InvalidInput, NotEncodable, Problem
from exprec.recorder.format import layout
from exprec.recorder.schema.engine import show_value
from exprec.recorder.schema.event_types import EventTypes
from exprec.recorder.sessions.command.command import Command
from exprec.recorder.sessions.command.event_channel import VARIABLE, Inbox, InvalidLine, Sent
from exprec.recorder.sessions.command.process import Child, End, HeldSignals, NotStarted
from exprec.recorder.state.provider import Listener, LiveStateProvider
from exprec.recorder.store.log import FileSource
from exprec.recorder.store.run_directory import work_events_path
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import Recording, Sealed

NOT_STARTED = "NotStarted"
"""The error type of a command that could not be started."""

_FAILED = 3

Reader = Callable[[str, bytes], None]
"""Called with each piece of what the command writes to a stream, right after it was recorded."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed."""

    error_type: str
    message: str
    code: int
    """What a command that stands for it exits with: its own status, or 3 when exprec stopped it or misses a file."""
    is_news: bool = False
    """Whether the command itself knows nothing of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a recorded command came to."""

    sealed: Sealed
    failure: Failure | None
    """Why it failed; None for one that did not."""
    left_open: tuple[str, ...]
    """The streams that something it started still had open when it had ended."""
    was_interrupted: bool
    """Whether a signal that asks to end came meanwhile."""


class CommandRunner:
    """Runs one command and seals the run."""

    def __init__(
        self,
        command: Command,
        folder: Path,
        environment: Mapping[str, str],
        *,
        store: Store,
        secrets: SecretGuard,
        types: EventTypes,
        listener: Listener | None = None,
        reader: Reader | None = None,
        has_input: bool = True,
        name: str | None = None,
    ) -> None:
        """Prepare to run `command` in `folder`, in an `environment` to which the path for events is added.

        `listener` gets each event and `reader` each piece of output once it is recorded. Without `has_input` the
        stdin of the command is empty; else it is ours. `name` is that of the run, if not the command's.
        """
        self._command = command
        self._folder = folder
        self._environment = environment
        self.store = store
        self._secrets = secrets
        self._types = types
        self._listener = listener
        self._reader = reader
        self._has_input = has_input
        self._name = name or command.name
        self._trouble: Failure | None = None
        """Why the command was stopped."""
        self.state_provider: LiveStateProvider | None = None
        """The state of the run, from the moment it is recorded."""

    def run(self) -> Outcome:
        """Run and seal it. Raises NotEncodable or SecretFound before anything is recorded, for the command itself;
        StorageFailure, which leaves an interrupted run in the work folder of the store."""
        config = self._command.as_config(strict=self._types.is_strict)
        recording = self.store.begin(self._name, layout.COMMAND_RUN, config, self._secrets, types=self._types)
        provider = LiveStateProvider(self._name, layout.COMMAND_RUN, recording=recording, listener=self._listener)
        self.state_provider = provider
        try:
            # To the seal: who presses Ctrl-C wants the command to end, and its record to be kept.
            with HeldSignals() as signals:
                return self._recorded(recording, provider, signals)
        except BaseException:
            provider.close()
            raise

    def _recorded(self, recording: Recording, provider: LiveStateProvider, signals: HeldSignals) -> Outcome:
        for stream in layout.STREAMS:
            recording.write_output(stream, b"")
        inbox = Inbox(work_events_path(recording.folder), self._secrets)
        before = {name: _mark(self._folder / name) for name in self._command.artifacts}
        end = End()
        left_open: tuple[str, ...] = ()
        not_started: NotStarted | None = None
        try:
            with Child(
                self._command.argv,
                self._folder,
                {**self._environment, VARIABLE: str(inbox.path.absolute())},
                signals,
                has_input=self._has_input,
            ) as child:
                self._follow(child, inbox, recording, provider)
                end, left_open = child.end, tuple(child.left_open)
        except NotStarted as error:
            not_started = error
        missing = self._keep_artifacts(recording, before)
        failure = _failure(self._trouble, not_started, end, missing)
        provider.record_event(0, events.COMMAND_END, {"exit_status": end.exit_status, "signal": end.signal})
        if failure is None:
            provider.record_event(0, events.RUN_END, {})
        else:
            # It may quote what the command sent.
            said = {"error_type": failure.error_type, "message": self._secrets.redacted(failure.message)}
            provider.record_event(0, events.EXPERIMENT_FAILED, said)
        sealed = provider.seal()
        assert sealed is not None, "a run in a store has an address"
        inbox.close()
        return Outcome(sealed, failure, left_open, signals.any())

    def _follow(self, child: Child, inbox: Inbox, recording: Recording, provider: LiveStateProvider) -> None:
        """Record what the child writes and sends until it has ended; what it may not makes it end."""
        scans = {stream: self._secrets.scan() for stream in layout.STREAMS}

        def keep(stream: str, data: bytes) -> None:
            if data:
                recording.write_output(stream, data)
                if self._reader is not None:
                    self._reader(stream, data)

        for stream, data in child.output():
            keep(stream, scans[stream].passed(data))
            secret = scans[stream].found
            if secret is not None and self._trouble is None:
                line = _lines(recording.folder / stream) + 1
                self._trouble = _stopped(SecretFound(f"line {line} of {stream}", secret))
            self._take(inbox.received(), provider)
            if self._trouble is not None:
                child.stop()
        for stream, scan in scans.items():
            keep(stream, scan.rest())
        self._take(inbox.rest(), provider)

    def _take(self, sent: Iterable[Sent], provider: LiveStateProvider) -> None:
        """Record the events that came, up to one that cannot be recorded."""
        if self._trouble is not None:
            return
        try:
            for line, event_type, iteration, fields in sent:
                try:
                    provider.record_event(iteration, event_type, fields)
                except (InvalidEvent, NotEncodable, SecretFound) as error:
                    self._trouble = _stopped(error, f"line {line} of {VARIABLE}: ")
                    return
        except (InvalidLine, SecretFound) as error:
            self._trouble = _stopped(error)

    def _keep_artifacts(self, recording: Recording, before: Mapping[str, object]) -> ExprecError | None:
        """Copy into the run what the command made; what is wrong with the rest of what it was to make."""
        limit = self._command.artifact_limit
        max_bytes = layout.MAX_ARTIFACT_BYTES if limit is None else limit
        problem: ExprecError | None = None
        for name in self._command.artifacts:
            source = self._folder / name
            try:
                if before[name] is not None and _mark(source) == before[name]:
                    said = f"the artifact {show_value(name)} was there before, and the command did not write it"
                    raise InvalidInput([Problem((), said)])
                recording.add_artifact(name, source, max_bytes)
            except (InvalidInput, SecretFound) as error:
                problem = problem or error
        return problem


def _failure(
    trouble: Failure | None, not_started: NotStarted | None, end: End, missing: ExprecError | None
) -> Failure | None:
    """Why a command failed, if so: what exprec stopped it for comes before how it ended, and that before the rest."""
    if trouble is not None:
        return trouble
    if not_started is not None:
        return Failure(NOT_STARTED, str(not_started), not_started.code, is_news=True)
    if end.signal is not None:
        return Failure("Signal", f"ended by {end.signal}", end.code)
    if end.exit_status:
        return Failure("ExitStatus", f"exit status {end.exit_status}", end.code)
    if missing is not None:
        return Failure("Artifact", str(missing), _FAILED, is_news=True)
    return None


def _stopped(error: ExprecError, place: str = "") -> Failure:
    """Why exprec stopped a command."""
    return Failure(type(error).__name__, f"{place}{error}", _FAILED, is_news=True)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file was written since; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    # The time of the last change of any kind, because a copy may bring the time of its content along.
    return found.st_ino, found.st_size, found.st_ctime_ns


def _lines(path: Path) -> int:
    """How many newlines a file has. Raises StorageFailure."""
    return sum(piece.count(b"\n") for piece in FileSource(path).pieces())
