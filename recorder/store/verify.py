"""The checks of a run directory that need its files alone: address, digests, canonical form, schemas, order.

It collects every problem, raises none and changes nothing. What the log comes to is checked in `state.verify`.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from exprec import schemas
from exprec.recorder import canonical, events, format, validation
from exprec.recorder.errors import NotEncodable, Problem
from exprec.recorder.files import is_locked
from exprec.recorder.store.log import Entry
from exprec.recorder.store.rundir import is_run_id, work_head_path
from exprec.recorder.store.tree import tree_id

Listener = Callable[[Entry], Iterator[Problem]]
"""Given every event that is valid by its schema, in order; tells what is wrong with it beyond its schema."""

_REQUIRED = (format.CONFIG_FILE, format.EVENTS_FILE, format.SCHEMAS_FILE, format.RUN_FILE)
_RUN_FILES = frozenset((*_REQUIRED, format.EXCHANGES_FILE))
_SCHEMA_NAME = re.compile(r"(?:event\.(?P<type>.+)|exchange)\.v(?P<version>[1-9][0-9]{0,8})", re.DOTALL)
_EXCHANGE = "exchange"
_RESTORE = "restore it from version control or from another copy of the run"
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run lies: its folder, the store around it, and whether a run there should be sealed."""

    folder: Path
    store: Path | None
    is_sealed: bool

    @classmethod
    def of(cls, path: Path) -> _Place:
        try:
            folder = path.resolve()
        except (OSError, RuntimeError):
            # A link to itself.
            folder = path.absolute()
        is_sealed = folder.parent.name != format.WORK_FOLDER
        store = folder.parent if is_sealed else folder.parent.parent
        return cls(folder, store if (store / format.STORE_FILE).exists() else None, is_sealed)

    def source(self, file: str = "") -> str:
        """How a file of the run is called in a problem: from the store, or from the run where there is no store."""
        name = self.folder.name if self.is_sealed else f"{format.WORK_FOLDER}/{self.folder.name}"
        return "/".join(part for part in (name if self.store else "", file) if part) or "."


@dataclass(frozen=True, slots=True)
class _Digest:
    size: int
    sha256: str
    blob: bytes


class RunVerification:
    """One pass over the files of a run.

    After `problems` came to its end, `head` is a run.json that is valid by its schema, else None, and
    `is_complete` says whether every line of the log was handed to the listener.
    """

    def __init__(self, path: Path, *, quick: bool = False, listener: Listener | None = None) -> None:
        self.head: dict[str, Any] | None = None
        self.is_complete = False
        self.event_count = 0
        self.place = _Place.of(path)
        self._given = path
        self._quick = quick
        self._listener = listener
        self._digests: dict[str, _Digest] = {}
        """Of the files that could be read."""
        self._is_readable = True
        self._schemas = _Schemas()
        self._exchange_starts = array("Q")
        self._counts: Counter[str] = Counter()

    def problems(self) -> Iterator[Problem]:
        """Everything wrong with the run, file by file. Memory does not grow with the events."""
        try:
            names = sorted(entry.name for entry in self.place.folder.iterdir())
        except OSError as error:
            yield self._problem("", f"cannot be read as a folder ({_reason(error)}); {_RESTORE}")
            return
        if self._given.is_symlink() and (self._given.absolute().parent / format.STORE_FILE).exists():
            yield self._problem("", "is a symbolic link; put the folder itself there")
        yield from self._check_names(names)
        if self.place.is_sealed:
            yield from self._check_head()
            yield from self._check_digests()
            yield from self._check_address()
        else:
            yield self._unsealed()
        if not self._quick:
            yield from self._check_content()
        if self.place.is_sealed and self.place.store is not None:
            yield from _check_attestations(self.place.store, self.place.folder.name, quick=self._quick)

    def problem_in_head(self, key: str, said: Any, found: Any) -> Problem:
        """A field of run.json that is not what the other files come to."""
        message = f"is {validation.show_value(said)}, but the files of the run come to {validation.show_value(found)}"
        return self._problem(format.RUN_FILE, f"{message}; {_RESTORE}", key=key)

    def _problem(self, file: str, message: str, *, line: int | None = None, key: str = "") -> Problem:
        return Problem((), message, key, self.place.source(file), line)

    def _path(self, file: str) -> Path:
        return self.place.folder / file

    def _unsealed(self) -> Problem:
        running = is_locked(work_head_path(self.place.folder))
        status = "it is in progress; wait for its end" if running else "it was interrupted; run the experiment again"
        return self._problem("", f"is not sealed, so nothing proves what it should be: {status}")

    def _check_names(self, names: list[str]) -> Iterator[Problem]:
        """What is there and should not be, and the reverse."""
        for name in names:
            try:
                mode = self._path(name).lstat().st_mode
            except OSError as error:
                yield self._problem(name, f"cannot be read ({_reason(error)}); {_RESTORE}")
                continue
            if name not in _RUN_FILES:
                yield self._problem(name, "is no file of a run; move it elsewhere")
            elif not stat.S_ISREG(mode):
                yield self._problem(name, f"must be a file, and is {_kind(mode)}; {_RESTORE}")
            else:
                yield from self._read(name)
                if mode & 0o111:
                    yield self._problem(name, "is executable, which gives it another address in git; chmod 644 it")
        required = _REQUIRED if self.place.is_sealed else (format.CONFIG_FILE, format.EVENTS_FILE)
        for name in required:
            if name not in names:
                yield self._problem(name, f"is missing; {_RESTORE}")

    def _read(self, name: str) -> Iterator[Problem]:
        """Read a file once for its digests; one that cannot be read is left out of all further checks."""
        try:
            self._digests[name] = _digest(self._path(name))
        except OSError as error:
            self._is_readable = False
            yield self._problem(name, f"cannot be read ({_reason(error)}); make it readable, or {_RESTORE}")

    def _check_head(self) -> Iterator[Problem]:
        document = yield from self._document(format.RUN_FILE)
        if document is None:
            return
        head = document.value
        found = head.get("format") if isinstance(head, dict) else None
        if type(found) is int and found > format.FORMAT:
            message = f"format {found} is newer than this version of exprec knows; update exprec"
            yield self._problem(format.RUN_FILE, message, key="format")
            return
        problems = list(_explained(validation.validator("run.v1"), head, known=True))
        for problem in problems:
            yield replace(problem, source=self.place.source(format.RUN_FILE))
        if not problems:
            self.head = head

    def _check_digests(self) -> Iterator[Problem]:
        """Every file against size and SHA-256 in the head."""
        if self.head is None:
            return
        recorded = self.head["files"]
        for name in sorted(recorded.keys() | (self._digests.keys() - {format.RUN_FILE})):
            yield from self._check_digest(name, recorded.get(name))
        config = self._digests.get(format.CONFIG_FILE)
        if config is not None and config.sha256 != self.head["inputs"]:
            message = f"is not the SHA-256 of {format.CONFIG_FILE}, {config.sha256}; {_RESTORE}"
            yield self._problem(format.RUN_FILE, message, key="inputs")

    def _check_digest(self, name: str, recorded: Mapping[str, Any] | None) -> Iterator[Problem]:
        found = self._digests.get(name)
        if recorded is None:
            yield self._problem(name, f"is not listed in {format.RUN_FILE}; {_RESTORE}")
        elif name not in _RUN_FILES or name == format.RUN_FILE:
            message = f"lists {validation.show_value(name)}, which is no file that it can list; {_RESTORE}"
            yield self._problem(format.RUN_FILE, message, key="files")
        elif found is None:
            # Missing, unless `_check_names` said what stands in its place.
            if name not in _REQUIRED and not os.path.lexists(self._path(name)):
                yield self._problem(name, f"is missing, though {format.RUN_FILE} lists it; {_RESTORE}")
        elif found.size != recorded["size"]:
            said = f"{format.RUN_FILE} records {recorded['size']}"
            yield self._problem(name, f"has {found.size} bytes where {said}; {_RESTORE}")
        elif found.sha256 != recorded["sha256"]:
            said = f"{format.RUN_FILE} records {recorded['sha256']}"
            yield self._problem(name, f"has the SHA-256 {found.sha256} where {said}; {_RESTORE}")

    def _check_address(self) -> Iterator[Problem]:
        """The name of the folder against its content; a copy outside of a store may have any name."""
        name = self.place.folder.name
        if not self._is_readable or (not is_run_id(name) and self.place.store is None):
            return
        address = tree_id({file: digest.blob for file, digest in self._digests.items()})
        if address == name:
            return
        if not is_run_id(name):
            message = f"is no address; rename the folder to that of its content, {address}"
            yield self._problem("", message)
        else:
            # The head is the one file that no other vouches for. A digest in it that was changed accuses another
            # file, so it is named even then.
            file = format.RUN_FILE if format.RUN_FILE in self._digests else ""
            message = f"the files of the run have the address {address}, not that of their folder, {name}"
            yield self._problem(file, f"{message}: this file or another was changed, or the folder renamed; {_RESTORE}")

    def _check_content(self) -> Iterator[Problem]:
        document = yield from self._document(format.CONFIG_FILE)
        if document is not None and not isinstance(document.value, dict):
            yield self._problem(format.CONFIG_FILE, f"must be a JSON object; {_RESTORE}")
        if self.place.is_sealed:
            document = yield from self._document(format.SCHEMAS_FILE)
            for problem in self._schemas.embed(document.value if document else None):
                yield replace(problem, source=self.place.source(format.SCHEMAS_FILE))
        exchanges = _Order("index")
        if format.EXCHANGES_FILE in self._digests:
            yield from self._check_lines(format.EXCHANGES_FILE, partial(self._check_exchange, exchanges))
            if not exchanges.count:
                message = f"holds no exchange; a run without any has no such file: {_RESTORE}"
                yield self._problem(format.EXCHANGES_FILE, message)
        log = _Order("seq")
        if format.EVENTS_FILE in self._digests:
            self.is_complete = yield from self._check_lines(format.EVENTS_FILE, partial(self._check_event, log))
            self.event_count = log.count
        if self.place.is_sealed:
            for problem in self._schemas.unneeded(set(self._counts), has_exchanges=bool(exchanges.count)):
                yield replace(problem, source=self.place.source(format.SCHEMAS_FILE))
        yield from self._check_counts(log.count, exchanges.count)

    def _check_counts(self, event_count: int, exchange_count: int) -> Iterator[Problem]:
        if self.head is None:
            return
        said = self.head["counts"]
        for key, found in (("events", event_count), ("exchanges", exchange_count)):
            if said[key] != found:
                yield self.problem_in_head(f"counts.{key}", said[key], found)
        if self.is_complete:
            by_type = said["by_type"]
            for kind in sorted(by_type.keys() | self._counts.keys()):
                if by_type.get(kind, 0) != self._counts[kind]:
                    yield self.problem_in_head(f"counts.by_type.{kind}", by_type.get(kind, 0), self._counts[kind])

    def _check_lines(
        self, file: str, check: Callable[[Entry, int], Generator[Problem, None, bool]]
    ) -> Generator[Problem, None, bool]:
        """Every line of a file of records; returns whether all of them are records."""
        start, is_complete = 0, True
        try:
            with self._path(file).open("rb") as stream:
                for number, line in enumerate(iter(partial(stream.readline, format.MAX_LINE_BYTES + 2), b""), 1):
                    message, record = _read_line(line)
                    if message is not None:
                        yield self._problem(file, f"{message}; {_RESTORE}", line=number)
                    if not line.endswith(b"\n"):
                        return False
                    is_complete &= yield from check(Entry(record, line, start), number)
                    start += len(line)
        except OSError as error:
            yield self._problem(file, f"cannot be read ({_reason(error)}); {_RESTORE}")
            is_complete = False
        return is_complete

    def _check_exchange(self, order: _Order, entry: Entry, number: int) -> Generator[Problem, None, bool]:
        self._exchange_starts.append(entry.start)
        found = order.problems(entry.event)
        if not entry.event:
            return False
        found += self._schemas.problems(_EXCHANGE, entry.event, number)
        yield from self._placed(format.EXCHANGES_FILE, found, number)
        return not found

    def _check_event(self, order: _Order, entry: Entry, number: int) -> Generator[Problem, None, bool]:
        event = entry.event
        found = order.problems(event)
        if not event:
            return False
        kind, iteration = event.get("event_type"), event.get("iteration")
        if type(iteration) is not int or iteration < 0:
            found.append(_at("iteration", f"must be an integer from 0 on, not {validation.show_value(iteration)}"))
        elif 0 < iteration < order.iteration:
            found.append(_at("iteration", f"{iteration} comes after iteration {order.iteration}"))
        else:
            order.iteration = max(order.iteration, iteration)
        if isinstance(kind, str):
            self._counts[kind] += 1
            found += self._schemas.problems(kind, event, number, is_event=True)
        else:
            found.append(_at("event_type", f"must be a string, not {validation.show_value(kind)}"))
        if kind == events.LLM_CALL:
            found += self._check_reference(event)
        if not found and self._listener is not None:
            found += self._listener(entry)
        yield from self._placed(format.EVENTS_FILE, found, number)
        return not found

    def _check_reference(self, event: Mapping[str, Any]) -> Iterator[Problem]:
        """The exchange that an `llm_call` names: there, and of the same call."""
        index, count = event.get("exchange"), len(self._exchange_starts)
        if type(index) is not int:
            return
        if not 0 <= index < count:
            yield _at("exchange", f"is {index}, but {format.EXCHANGES_FILE} has {count} lines")
            return
        try:
            with self._path(format.EXCHANGES_FILE).open("rb") as stream:
                stream.seek(self._exchange_starts[index])
                exchange = _read_line(stream.readline(format.MAX_LINE_BYTES))[1]
        except OSError:
            # Said already of the whole file.
            return
        for key in sorted(event.keys() & exchange.keys()):
            if event[key] != exchange[key]:
                shown, other = validation.show_value(event[key]), validation.show_value(exchange[key])
                yield _at(key, f"is {shown}, but line {index + 1} of {format.EXCHANGES_FILE} has {other}")

    def _placed(self, file: str, found: list[Problem], line: int) -> Iterator[Problem]:
        for problem in found:
            # A problem with another source is of another file: that of the schemas.
            if problem.source is not None:
                yield replace(problem, source=self.place.source(problem.source))
            else:
                message = f"{problem.message}; {_RESTORE}"
                yield replace(problem, source=self.place.source(file), line=line, message=message)

    def _document(self, file: str) -> Generator[Problem, None, _Document | None]:
        if file not in self._digests:
            return None
        return (yield from _document(self._path(file), self.place.source(file)))


@dataclass(slots=True)
class _Order:
    """How far the numbers of the lines have come."""

    key: str
    count: int = 0
    expected: int = 0
    iteration: int = 0

    def problems(self, record: Mapping[str, Any]) -> list[Problem]:
        found, expected = record.get(self.key), self.expected
        self.count += 1
        self.expected += 1
        if type(found) is int and found == expected:
            return []
        if type(found) is int:
            # Goes on from what is there: one lost line is one problem, not one for each line after it.
            self.expected = found + 1
        return [
            _at(self.key, f"must be {expected}, not {validation.show_value(found)}: a line was lost, added or moved")
        ]


class _Schemas:
    """The schemas that lines are valid by: the embedded ones, or those of this package for an unsealed run."""

    def __init__(self) -> None:
        self._embedded: dict[str, Any] | None = None
        self._is_embedded = False
        self._newest: dict[tuple[bool, str], tuple[int, str]] = {}
        self._compiled: dict[str, validation.Validator | None] = {}
        self._missing: set[tuple[bool, str]] = set()

    def embed(self, value: Any) -> Iterator[Problem]:
        """Take the value of schemas.json, None when there is no such value; tells what is wrong with it."""
        self._is_embedded = True
        if value is None:
            return
        if not isinstance(value, dict):
            yield Problem((), f"must be a JSON object; {_RESTORE}")
            return
        self._embedded = value
        for name, schema in value.items():
            match = _SCHEMA_NAME.fullmatch(name)
            if match is None:
                yield _at(name, f"is not the name of a schema of an event or an exchange; {_RESTORE}")
                continue
            key = (match["type"] is not None, match["type"] or _EXCHANGE)
            self._newest[key] = max(self._newest.get(key, (0, "")), (int(match["version"]), name))
            if name in schemas.names() and not _is_released(name, schema):
                yield _at(name, f"is not the schema of that name, which never changes; {_RESTORE}")
            try:
                self._compiled[name] = self._validator(name, schema)
            except Exception as error:
                # Anybody may have written it, and what a compiler of schemas raises is its own affair.
                self._compiled[name] = None
                reason = " ".join(str(error).split())[:200]
                yield _at(name, f"is not a schema that can be used ({reason}); {_RESTORE}")

    def problems(self, kind: str, value: Any, line: int, *, is_event: bool = False) -> Iterator[Problem]:
        """What is wrong with a record by the schema of its kind."""
        key = (is_event, kind)
        if not self._is_embedded:
            name = events.schema_name(kind) if is_event else f"{_EXCHANGE}.v1"
            if name is None:
                yield _at("event_type", validation.unknown_word("event type", kind, list(events.EVENT_TYPES)))
            else:
                yield from _explained(validation.validator(name), value, known=True)
        elif key in self._newest:
            name = self._newest[key][1]
            validator = self._compiled[name]
            if validator is not None:
                yield from _explained(validator, value, known=self._is_known(name), name=name)
        elif self._embedded is not None and key not in self._missing:
            self._missing.add(key)
            shown = validation.show_value(kind)
            message = f"has no schema of {shown}, which line {line} of the records is; {_RESTORE}"
            yield Problem((), message, source=format.SCHEMAS_FILE)

    def unneeded(self, types: set[str], *, has_exchanges: bool) -> Iterator[Problem]:
        """The embedded schemas that no line needs."""
        needed = {self._newest[True, kind][1] for kind in types if (True, kind) in self._newest}
        if has_exchanges and (False, _EXCHANGE) in self._newest:
            needed.add(self._newest[False, _EXCHANGE][1])
        for name in sorted((self._embedded or {}).keys() - needed):
            if _SCHEMA_NAME.fullmatch(name):
                yield _at(name, f"is needed by no line of the run; {_RESTORE}")

    def _is_known(self, name: str) -> bool:
        return name in schemas.names() and _is_released(name, (self._embedded or {}).get(name))

    def _validator(self, name: str, schema: Any) -> validation.Validator:
        if self._is_known(name):
            return validation.validator(name)
        if not isinstance(schema, dict):
            raise ValueError("a schema must be a JSON object")
        return validation.Validator(schema)


@dataclass(frozen=True, slots=True)
class _Document:
    value: Any


def _document(path: Path, source: str) -> Generator[Problem, None, _Document | None]:
    """The value of an indented file, with the problems of its bytes; None when it has no value."""
    try:
        size = path.stat().st_size
        if size > format.MAX_LINE_BYTES:
            message = f"has {size} bytes, more than {format.MAX_LINE_BYTES}; {_RESTORE}"
            yield Problem((), message, source=source)
            return None
        data = path.read_bytes()
    except OSError as error:
        yield Problem((), f"cannot be read ({_reason(error)}); {_RESTORE}", source=source)
        return None
    try:
        value = canonical.decode(data)
    except ValueError as error:
        line = getattr(error, "lineno", None)
        yield Problem((), f"not JSON ({error}); {_RESTORE}", source=source, line=line)
        return None
    if not canonical.is_canonical(data, value, indent=True):
        try:
            written = canonical.encode(value, indent=True)
        except NotEncodable as error:
            yield Problem((), f"not JSON that exprec writes ({error.reason}); {_RESTORE}", source=source)
            return None
        message = f"is not in the form that exprec writes{_why(data)}; {_RESTORE}"
        yield Problem((), message, source=source, line=_first_difference(data, written))
    return _Document(value)


def _first_difference(data: bytes, written: bytes) -> int:
    """The first line in which two texts differ."""
    lines, expected = data.split(b"\n"), written.split(b"\n")
    for number, (line, other) in enumerate(zip(lines, expected, strict=False), 1):
        if line != other:
            return number
    return min(len(lines), len(expected))


def _read_line(line: bytes) -> tuple[str | None, dict[str, Any]]:
    """What is wrong with the bytes of a line, whatever it says, and its record; empty when it has none."""
    if not line.endswith(b"\n"):
        if len(line) > format.MAX_LINE_BYTES:
            return f"a line of more than {format.MAX_LINE_BYTES} bytes", {}
        return f"the last line is torn: {len(line)} bytes without a newline", {}
    try:
        value = canonical.decode(line)
    except ValueError as error:
        return f"not JSON ({error})", {}
    if not isinstance(value, dict) or not value:
        return "not a JSON object with fields", {}
    if canonical.is_canonical(line, value):
        return None, value
    try:
        canonical.encode(value)
    except NotEncodable as error:
        return f"not JSON that exprec writes ({error.reason})", {}
    return f"not in the form that exprec writes{_why(line)}", value


def _why(data: bytes) -> str:
    return " (the line ends were converted)" if b"\r\n" in data else ""


def _explained(validator: validation.Validator, value: Any, *, known: bool, name: str = "") -> Iterator[Problem]:
    """What is wrong with a value; in one sentence if the schema is not `known`: it may have been made to harm."""
    try:
        if validator.is_valid(value):
            return
        found = validator.problems(value) if known else []
    except Exception as error:
        # Both engines give up on values that are nested too deeply, each with an exception of its own.
        yield Problem((), f"cannot be checked by its schema ({type(error).__name__})")
        return
    yield from found or [Problem((), f"is not valid by its schema {name}")]


def _check_attestations(store: Path, run_id: str, *, quick: bool) -> Iterator[Problem]:
    folder = store / format.ATTESTATIONS_FOLDER / run_id
    prefix = f"{format.ATTESTATIONS_FOLDER}/{run_id}"
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        yield Problem((), f"cannot be read as a folder ({_reason(error)}); {_RESTORE}", source=prefix)
        return
    for name in names:
        for problem in _check_attestation(folder / name, run_id, quick=quick):
            yield replace(problem, source=f"{prefix}/{name}")


def _check_attestation(path: Path, run_id: str, *, quick: bool) -> Iterator[Problem]:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            yield Problem((), f"must be a file, and is {_kind(mode)}; {_RESTORE}")
            return
        sha256 = _digest(path).sha256
    except OSError as error:
        yield Problem((), f"cannot be read ({_reason(error)}); {_RESTORE}")
        return
    if path.name != f"{sha256}.json":
        yield Problem((), f"is not named by the SHA-256 of its bytes, {sha256}; {_RESTORE}")
    if quick:
        return
    document = yield from _document(path, "")
    if document is None:
        return
    yield from _explained(validation.validator("attestation.v1"), document.value, known=True)
    found = document.value.get("run") if isinstance(document.value, dict) else None
    if isinstance(found, str) and found != run_id:
        yield _at("run", f"is {validation.show_value(found)}, and the file lies with the run {run_id}; {_RESTORE}")


def _digest(path: Path) -> _Digest:
    """Both digests of a file, from one reading of it. Raises OSError."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        plain, blob = hashlib.sha256(), hashlib.sha256(b"blob %d\0" % size)
        while chunk := stream.read(_CHUNK_BYTES):
            plain.update(chunk)
            blob.update(chunk)
    return _Digest(size, plain.hexdigest(), blob.digest())


def _at(key: str, message: str) -> Problem:
    return Problem((key,), message, key)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a symbolic link" if stat.S_ISLNK(mode) else "no plain file"


def _is_released(name: str, schema: Any) -> bool:
    """Whether this is the schema of that name; by its bytes, because Python holds 0, 0.0 and false for equal."""
    return canonical.is_canonical(canonical.encode(schemas.load(name)), schema)
