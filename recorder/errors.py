"""The errors that exprec raises on purpose, and the problems that they list. Each class has its exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""The path of a value in a document: mapping keys and 0-based list positions, outermost first."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An invalid value: where it is, what is wrong, and what to do.

    Attributes:
        path: The path of the value, for programs.
        message: The problem and the remedy, to be read after the key.
        key: The path as people read it (`agents[BANK_A].opening_balance`).
        source: The file, once it is known.
        line: The line in the file, from 1, once it is known.
    """

    path: KeyPath
    message: str
    key: str = ""
    source: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line) if part is not None)
        return ": ".join(part for part in (place, self.key, self.message) if part)

    def within(self, source: str) -> Problem:
        """The same problem in this file."""
        return replace(self, source=source)

    def as_dict(self) -> dict[str, Any]:
        """The one JSON form of a problem: file, line (1-based), key and message; file and line may be None."""
        return {"file": self.source, "line": self.line, "key": self.key, "message": self.message}


_RESTORE = "restore the file from version control or another copy"


def _in_one_line(path: Path | str) -> str:
    """The path as messages name it: no name of a file can begin another line of a message."""
    return str(path).replace("\n", "\\n")


class ExprecError(Exception):
    """Base of all errors that exprec raises on purpose; `exit_code` is what a command exits with."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # By default, unpickling calls the class with `args`, which are not the arguments of these classes.
        return _restored, (type(self), self.args, self.__dict__)


class InvalidInput(ExprecError):
    """A file, a value or an option of the user is invalid; `problems` lists everything that is wrong with it."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NotEncodable(ExprecError):
    """A value cannot be represented exactly in JSON; `field` is its path in the record."""

    exit_code = 3

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        # Recorded as the reason of a rejection or a failure, so that another wording would change run ids.
        super().__init__(f"{field or 'the value'}: {reason}; exprec refuses it rather than record something else")


_MOST_HITS = 100
"""Fields with a secret that a message names after the first."""


class SecretFound(ExprecError):
    """Values that are about to be written contain secrets; the message names the fields, never the values."""

    exit_code = 3

    def __init__(
        self,
        field: str,
        secret: str,
        *,
        more: Sequence[tuple[str, str]] = (),
        consequence: str = "it was not written",
    ) -> None:
        self.field, self.secret = field, secret
        self.hits = ((field, secret), *more)
        """Each field that contains a secret, with the name of the secret or its shape."""
        also = "".join(f", {other} that of {name}" for other, name in more[:_MOST_HITS])
        if len(more) > _MOST_HITS:
            also += f", and {len(more) - _MOST_HITS} others"
        super().__init__(
            f"{field} contains the value of {secret}{also}; {consequence} (if that is no secret, "
            f"use --allow-secret '{secret}')"
        )


class InvalidEvent(ExprecError):
    """An event breaks the schema of its type, or the order of the log."""

    exit_code = 3

    def __init__(self, event_type: str, problems: Sequence[Problem]) -> None:
        self.event_type, self.problems = event_type, tuple(problems)
        super().__init__("\n".join(f"event {event_type}: {problem}" for problem in self.problems))


class SimulationError(ExprecError):
    """A simulation stopped at run time, because of a policy, the scenario or the user's simulator.

    `agent` is the id of the agent concerned, which the message names, or None. `details`, such as a traceback, are for
    the terminal and are not recorded.
    """

    exit_code = 3

    def __init__(self, message: str, details: str = "", agent: str | None = None) -> None:
        self.details, self.agent = details, agent
        super().__init__(message)


class ExperimentFailed(ExprecError):
    """An experiment stopped on an error; what it recorded is sealed with status `failed`."""

    exit_code = 3

    def __init__(self, error_type: str, message: str) -> None:
        self.error_type = error_type
        super().__init__(f"the experiment failed: {error_type}: {message}")


class NotRecording(ExprecError):
    """A program records into a run that has ended or belongs to another process."""

    exit_code = 2

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"nothing can be recorded in the run '{name}': {reason}")


class RunInProgress(ExprecError):
    """A process is recording this run; another one may neither resume nor remove it."""

    exit_code = 2

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the run {name} is in progress; wait for its end, or stop it first")


class NotAsRecorded(ExprecError):
    """Re-execution diverged from the record; `recorded` and `found` are the lines that differ."""

    exit_code = 1

    def __init__(self, path: Path, line: int, recorded: bytes, found: bytes) -> None:
        self.path, self.line, self.recorded, self.found = path, line, recorded, found
        super().__init__(f"{_in_one_line(path)}:{line}: re-execution diverges from the recorded log here")


class RunNotFound(ExprecError):
    """The store has no run of this id, prefix or tag."""

    exit_code = 4

    def __init__(self, reference: str, store: Path) -> None:
        self.reference, self.store = reference, store
        super().__init__(
            f"no run '{_in_one_line(reference)}' in the store {_in_one_line(store)}; "
            "give a run id, 4 or more of its first digits, "
            "a tag, or the path of a run directory with a slash in it (./NAME)"
        )


class AmbiguousRun(ExprecError):
    """Several runs match a prefix; `candidates` are their ids."""

    exit_code = 4

    def __init__(self, reference: str, candidates: Sequence[str]) -> None:
        self.reference, self.candidates = reference, tuple(candidates)
        listed = "\n".join(f"  {candidate}" for candidate in self.candidates)
        super().__init__(f"'{reference}' is ambiguous; give more digits of one of these runs:\n{listed}")


class Damaged(ExprecError):
    """A stored file is corrupt: its bytes are not what exprec wrote."""

    exit_code = 5

    def __init__(self, path: Path, reason: str, line: int | None = None, *, remedy: str = _RESTORE) -> None:
        self.path, self.reason, self.line = path, reason, line
        place = _in_one_line(path) if line is None else f"{_in_one_line(path)}:{line}"
        super().__init__(f"{place}: {reason}; {remedy}")


class NotVerified(ExprecError):
    """A run does not verify; `problems` lists everything that was found."""

    exit_code = 5

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NotAStore(ExprecError):
    """The folder is not an exprec store, or its format is not supported by this version."""

    exit_code = 5

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{_in_one_line(path)}: {reason}")


class StorageFailure(ExprecError):
    """The operating system refused to read or write: disk full, permission, quota."""

    exit_code = 6

    def __init__(self, path: Path, error: OSError) -> None:
        self.path, self.error = path, error
        super().__init__(f"{_in_one_line(path)}: {error.strerror or error}; nothing sealed was touched")


class ModelFailure(ExprecError):
    """A model gave no answer: it refused, is unreachable, or timed out. The experiment continues without it."""

    exit_code = 3

    def __init__(
        self,
        message: str,
        latency_seconds: float = 0.0,
        *,
        usage: Mapping[str, int | None] | None = None,
        http: Mapping[str, Any] | None = None,
    ) -> None:
        """`usage` and `http` are those of the exchange, as far as they are known."""
        self.latency_seconds = latency_seconds
        self.usage, self.http = usage, http
        super().__init__(message)


class ModelUnavailable(ExprecError):
    """A model will not answer until the user does something: the experiment is left interrupted, to be resumed."""

    exit_code = 3


class ScriptExhausted(ExprecError):
    """The experiment needs more answers than the script has."""

    exit_code = 3

    def __init__(self, script: str, agent_id: str) -> None:
        super().__init__(f"{script} has no answer left for {agent_id}; add a line, or lower convergence.max_iterations")


class UnrecordedRequest(ExprecError):
    """A request was made that the recorded run did not make: the experiment diverged from it.

    `differences` are those from the nearest recorded request, and `nearest` is the index of its exchange; None when
    every recorded exchange has been used.
    """

    exit_code = 1

    def __init__(
        self, request: Mapping[str, Any], nearest: int | None, differences: Sequence[Any], described: Sequence[str]
    ) -> None:
        """`described` has a line for each of the first differences."""
        self.nearest, self.differences = nearest, tuple(differences)
        call = f"iteration {request['iteration']}, {request['agent_id']}, attempt {request['attempt']}"
        lines = [f"this request was not recorded: {call}"]
        if nearest is None:
            lines.append("no recorded exchange is left to compare it with")
        else:
            lines += [f"the nearest recorded one is exchange {nearest}; it differs in:", *described]
        super().__init__("\n".join(lines))


class InvalidLine(ExprecError):
    """A line is not a valid event, or the file was overwritten so that lines were lost."""

    exit_code = 3

    def __init__(self, line: int, key: str, message: str) -> None:
        self.line, self.key = line, key
        super().__init__(": ".join(part for part in (f"line {line} of EXPREC_EVENTS", key, message) if part))


class GitFailure(ExprecError):
    """A git command failed: git is not installed, or the repository or revision does not exist."""

    exit_code = 2


class ObjectUnreadable(GitFailure):
    """The repository names an object that it cannot read: a partial clone without its remote, or damage."""

    exit_code = 5

    def __init__(self, object_id: str, reason: str) -> None:
        self.object_id, self.reason = object_id, reason
        super().__init__(
            f"git cannot read the object {object_id} ({reason}); fetch it from the remote first (exprec never does; in "
            "a partial clone, `git fetch --refetch --no-filter` gets all), or see what `git fsck` says"
        )


class NotAttested(ExprecError):
    """A run was sealed, but its execution record was not added; `cause` is the reason and gives the exit code."""

    def __init__(self, run_id: str, cause: Damaged | StorageFailure) -> None:
        self.run_id, self.cause, self.exit_code = run_id, cause, cause.exit_code
        reason = cause.error.strerror or cause.error if isinstance(cause, StorageFailure) else cause.reason
        super().__init__(
            f"{_in_one_line(cause.path)}: {reason}; "
            f"the run {run_id} is sealed, but its execution records are incomplete"
        )


class WorkerFailed(ExprecError):
    """A worker process cannot start, or died. This is not caused by the experiment and is not recorded."""

    exit_code = 6


def _restored(kind: type[ExprecError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> ExprecError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error
