"""One pass over the files of a run: names, digests, address, and then what is in them.

It collects every problem, raises none and changes nothing. What the log comes to is checked in `state.verify`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.format import layout
from exprec.recorder.format.hashing import tree_id
from exprec.recorder.fs.digests import Digest, digest_of
from exprec.recorder.fs.durable import is_locked
from exprec.recorder.verify.attestations import problems_in_attestations
from exprec.recorder.verify.documents import IndentedFile, newer_format, read_indented
from exprec.recorder.verify.location import Place
from exprec.recorder.verify.messages import RESTORE, at, kind_of, to_restore, unreadable
from exprec.recorder.verify.records import Check, Events, Exchanges, Listener, problems_in_lines
from exprec.recorder.verify.schemas import EmbeddedSchemas, explained, released

_REQUIRED = (layout.CONFIG_FILE, layout.EVENTS_FILE, layout.SCHEMAS_FILE, layout.RUN_FILE)
_RUN_FILES = frozenset((*_REQUIRED, layout.EXCHANGES_FILE, *layout.STREAMS))


class RunVerification:
    """One run, verified once.

    After `problems` came to its end, `head` is a run.json that is valid by its schema, else None, and
    `is_complete` says whether every line of the log was handed to the listener.
    """

    def __init__(self, path: Path, *, quick: bool = False, listener: Listener | None = None) -> None:
        self.head: dict[str, Any] | None = None
        self.is_complete = False
        self._given = path
        self._place = Place.of(path)
        self._quick = quick
        self._listener = listener
        self._head_file: IndentedFile | None = None
        self._digests: dict[str, Digest] = {}
        """Of the files that could be read."""
        self._unread: set[str] = set()
        """What could not be read, and was told of: of what should be in it nothing more is said."""

    def problems(self) -> Iterator[Problem]:
        """Everything wrong with the run, file by file. Memory does not grow with the events."""
        try:
            names = sorted(entry.name for entry in self._place.folder.iterdir())
        except OSError as error:
            yield self._problem("", unreadable(error, a="a folder"))
            return
        if self._given.is_symlink() and (self._given.absolute().parent / layout.STORE_FILE).exists():
            yield self._problem("", "is a symbolic link; put the folder itself there")
        head = self._path(layout.RUN_FILE)
        newer = newer_format(head, self._place.source(layout.RUN_FILE)) if self._place.is_sealed else None
        if newer is not None:
            yield newer
            return
        yield from self._check_names(names)
        if self._place.is_sealed:
            yield from self._check_head()
            yield from self._check_digests()
            yield from self._check_address()
        else:
            yield self._unsealed()
        if not self._quick:
            yield from self._check_content()
        if self._place.is_sealed and self._place.store is not None:
            yield from problems_in_attestations(self._place.store, self._place.folder.name, quick=self._quick)

    def problem_in_head(self, path: KeyPath, said: Any, found: Any) -> Problem:
        """A field of run.json that is not what the other files come to."""
        message = f"is {show_value(said)}, but the files of the run come to {show_value(found)}"
        (problem,) = self._in_head([at(path, f"{message}; {RESTORE}")])
        return problem

    def _problem(self, file: str, message: str) -> Problem:
        return Problem((), message, source=self._place.source(file))

    def _in_head(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        assert self._head_file is not None
        return self._head_file.located(problems)

    def _path(self, file: str) -> Path:
        return self._place.folder / file

    def _unsealed(self) -> Problem:
        running = is_locked(layout.work_head_path(self._place.folder))
        interrupted = "it was interrupted; exprec resume says how to go on, exprec gc removes it"
        status = "it is in progress; wait for its end" if running else interrupted
        return self._problem("", f"is not sealed, so nothing proves what it should be: {status}")

    def _check_names(self, names: list[str]) -> Iterator[Problem]:
        """What is there and should not be, and the reverse. Modes do not count: not every file system has them."""
        for name in names:
            if name == layout.ARTIFACTS_FOLDER:
                yield from self._check_artifacts(name)
            elif name in _RUN_FILES:
                yield from self._check_file(name)
            else:
                yield self._problem(name, "is no file of a run; move it elsewhere")
        required = _REQUIRED if self._place.is_sealed else (layout.CONFIG_FILE, layout.EVENTS_FILE)
        for name in required:
            if name not in names:
                yield self._problem(name, f"is missing; {RESTORE}")

    def _check_file(self, name: str) -> Iterator[Problem]:
        try:
            mode = self._path(name).lstat().st_mode
        except OSError as error:
            self._unread.add(name)
            yield self._problem(name, unreadable(error))
            return
        if stat.S_ISREG(mode):
            yield from self._read(name)
        else:
            yield self._problem(name, f"must be a file, and is {kind_of(mode)}; {RESTORE}")

    def _check_artifacts(self, top: str) -> Iterator[Problem]:
        """The files in the folder of artifacts, and in those within it. A link is never followed."""
        # Without recursion: names may be of more folders than Python's stack has room for.
        pending = [top]
        while pending:
            for name in (yield from self._names_of_artifacts(pending.pop())):
                problem = layout.artifact_name_problem(name.partition("/")[2])
                if problem is not None:
                    # Neither read nor entered: the rest of its name may be too long or no text.
                    yield self._problem(name, f"{problem}; it is no artifact of the run: move it elsewhere")
                elif _is_folder(self._path(name)):
                    pending.append(name)
                else:
                    yield from self._check_file(name)

    def _names_of_artifacts(self, folder: str) -> Generator[Problem, None, list[str]]:
        """What is in a folder of artifacts, by the names in the run, sorted."""
        try:
            mode = self._path(folder).lstat().st_mode
            if not stat.S_ISDIR(mode):
                yield self._problem(folder, f"must be a folder, and is {kind_of(mode)}; {RESTORE}")
                return []
            names = sorted(entry.name for entry in self._path(folder).iterdir())
        except OSError as error:
            self._unread.add(folder)
            yield self._problem(folder, unreadable(error, a="a folder"))
            return []
        if not names:
            yield self._problem(folder, "is empty, and git keeps no empty folder; remove it")
        return [f"{folder}/{name}" for name in names]

    def _read(self, name: str) -> Iterator[Problem]:
        """Read a file once for its digests; one that cannot be read is left out of all further checks."""
        try:
            self._digests[name] = digest_of(self._path(name))
        except OSError as error:
            self._unread.add(name)
            yield self._problem(name, unreadable(error))

    def _check_head(self) -> Iterator[Problem]:
        file = yield from self._indented(layout.RUN_FILE)
        if file is None:
            return
        found = explained(released("run.v1"), file.value)
        yield from file.located(map(to_restore, found))
        if not found:
            self.head, self._head_file = file.value, file
            yield from self._check_streams()

    def _check_streams(self) -> Iterator[Problem]:
        """The output of a command: of the run of one all of it, of another run none."""
        assert self.head is not None
        is_expected = self.head["type"] == layout.COMMAND_RUN
        for name in layout.STREAMS:
            if is_expected and name not in self.head["files"] and name not in self._digests:
                yield self._problem(name, f"is missing; the run of a command has it: {RESTORE}")
            elif name in self._digests and not is_expected:
                message = f"is no file of a run of the type {show_value(self.head['type'])}"
                yield self._problem(name, f"{message}; move it elsewhere")
                # Enough is said of it.
                del self._digests[name]

    def _check_digests(self) -> Iterator[Problem]:
        """Every file against size and SHA-256 in the head."""
        if self.head is None:
            return
        recorded = self.head["files"]
        for name in sorted(recorded.keys() | (self._digests.keys() - {layout.RUN_FILE})):
            yield from self._check_digest(name, recorded.get(name))
        config = self._digests.get(layout.CONFIG_FILE)
        if config is not None and config.sha256 != self.head["inputs"]:
            message = f"is not the SHA-256 of {layout.CONFIG_FILE}, {config.sha256}; {RESTORE}"
            yield from self._in_head([at(("inputs",), message)])

    def _check_digest(self, name: str, recorded: Mapping[str, Any] | None) -> Iterator[Problem]:
        found = self._digests.get(name)
        if recorded is None:
            yield self._problem(name, f"is not listed in {layout.RUN_FILE}; {RESTORE}")
        elif name == layout.RUN_FILE or not (name in _RUN_FILES or _is_artifact(name)):
            yield from self._in_head([at(("files", name), f"is no file that can be listed here; {RESTORE}")])
        elif found is None:
            # Missing, unless `_check_names` said what stands in its place.
            if name not in _REQUIRED and not os.path.lexists(self._path(name)):
                yield self._problem(name, f"is missing, though {layout.RUN_FILE} lists it; {RESTORE}")
        elif found.sha256 == recorded["sha256"]:
            if found.size != recorded["size"]:
                yield self.problem_in_head(("files", name, "size"), recorded["size"], found.size)
        elif found.size != recorded["size"]:
            said = f"{layout.RUN_FILE} records {recorded['size']}"
            yield self._problem(name, f"has {found.size} bytes where {said}; {RESTORE}")
        else:
            said = f"{layout.RUN_FILE} records {recorded['sha256']}"
            yield self._problem(name, f"has the SHA-256 {found.sha256} where {said}; {RESTORE}")

    def _check_address(self) -> Iterator[Problem]:
        """The name of the folder against its content; a copy outside of a store may have any name."""
        name = self._place.folder.name
        if self._unread or (not layout.is_run_id(name) and self._place.store is None):
            return
        address = tree_id({file: digest.blob for file, digest in self._digests.items()})
        if address == name:
            return
        if not layout.is_run_id(name):
            yield self._problem("", f"is no address; rename the folder to that of its content, {address}")
        else:
            # The head is the one file that no other vouches for. A digest in it that was changed accuses another
            # file, so it is named even then.
            file = layout.RUN_FILE if layout.RUN_FILE in self._digests else ""
            message = f"the files of the run have the address {address}, not that of their folder, {name}"
            yield self._problem(file, f"{message}: this file or another was changed, or the folder renamed; {RESTORE}")

    def _check_content(self) -> Iterator[Problem]:
        config = yield from self._indented(layout.CONFIG_FILE)
        if config is not None and not isinstance(config.value, dict):
            yield self._problem(layout.CONFIG_FILE, f"must be a JSON object; {RESTORE}")
        schemas = EmbeddedSchemas(is_expected=self._place.is_sealed)
        embedded: IndentedFile | None = None
        if self._place.is_sealed:
            embedded = yield from self._indented(layout.SCHEMAS_FILE)
        if embedded is not None:
            yield from embedded.located(schemas.embed(embedded.value))
        yield from self._check_records(schemas, embedded)

    def _indented(self, file: str) -> Generator[Problem, None, IndentedFile | None]:
        if file not in self._digests:
            return None
        return (yield from read_indented(self._path(file), self._place.source(file)))

    def _check_records(self, schemas: EmbeddedSchemas, embedded: IndentedFile | None) -> Iterator[Problem]:
        """The exchanges, the events, and what the head says of how many there are."""
        exchanges = Exchanges(self._path(layout.EXCHANGES_FILE), schemas)
        yield from self._check_lines(layout.EXCHANGES_FILE, exchanges.check)
        if layout.EXCHANGES_FILE in self._digests and not exchanges.count:
            message = f"holds no exchange; a run without any has no such file: {RESTORE}"
            yield self._problem(layout.EXCHANGES_FILE, message)
        with ExitStack() as stack:
            log = Events(schemas, exchanges, exchanges.open(stack), self._listener)
            yield from self._check_lines(layout.EVENTS_FILE, log.check)
        self.is_complete = layout.EVENTS_FILE in self._digests and log.is_whole
        if self._unread & {layout.EVENTS_FILE, layout.EXCHANGES_FILE}:
            return
        if embedded is not None:
            yield from embedded.located(schemas.unneeded(log.counts, has_exchanges=bool(exchanges.count)))
        yield from self._check_counts(log, exchanges)

    def _check_lines(self, file: str, check: Check) -> Iterator[Problem]:
        if file in self._digests:
            for problem in problems_in_lines(self._path(file), check):
                yield replace(problem, source=self._place.source(problem.source or file))

    def _check_counts(self, log: Events, exchanges: Exchanges) -> Iterator[Problem]:
        if self.head is None:
            return
        said = self.head["counts"]
        for key, found in (("events", log.count), ("exchanges", exchanges.count)):
            if said[key] != found:
                yield self.problem_in_head(("counts", key), said[key], found)
        if self.is_complete:
            by_type = said["by_type"]
            for kind in sorted(by_type.keys() | log.counts.keys()):
                if by_type.get(kind, 0) != log.counts[kind]:
                    yield self.problem_in_head(("counts", "by_type", kind), by_type.get(kind, 0), log.counts[kind])


def _is_folder(path: Path) -> bool:
    """Whether there is a folder, and no link to one; what cannot be looked at is told where it is read."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _is_artifact(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return folder == layout.ARTIFACTS_FOLDER and layout.artifact_name_problem(rest) is None
