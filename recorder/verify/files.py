"""The files of a run: which there are, their digests, and the run id that follows from these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.format import ByteSource, canonical_json, hashing, layout
from exprec.recorder.fs import EntryKind
from exprec.recorder.store import FileTree
from exprec.recorder.verify.location import RunLocation, RunProblems
from exprec.recorder.verify.messages import MOVE, RESTORE, unexpected, unreadable, wrong_kind

_RECORDS = (layout.EVENTS_FILE, layout.EXCHANGES_FILE)
REQUIRED = (layout.CONFIG_FILE, layout.EVENTS_FILE, layout.SCHEMAS_FILE, layout.RUN_FILE)
"""The files of every sealed run."""
_REQUIRED_UNSEALED = (layout.CONFIG_FILE, layout.EVENTS_FILE)
RUN_FILES = frozenset((*REQUIRED, *_RECORDS, *layout.STREAMS))
"""The files of a run beside its artifacts."""
_PIECE_BYTES = 64 * 1024
_SMALL_BYTES = 16 * 1024 * 1024
_IS_LINK = "is a symbolic link; replace it with the folder itself"


class ReadFile(NamedTuple):
    """A regular file that was opened once, and read for its digest if it can be the right one."""

    digest: hashing.Digest
    """Without hashes for a large file that has another size than the recorded one."""
    content: bytes | None = None
    """All of a document; None for other files, and for a document that is larger than exprec writes any."""
    records: ByteSource | None = None
    """The open file of events or exchanges; None for other files."""

    @property
    def is_hashed(self) -> bool:
        """Whether the digest has hashes."""
        return bool(self.digest.blob)


class NotRead(NamedTuple):
    """Why a file was not read."""

    message: str
    is_unreadable: bool
    """False for an entry that is not a regular file: then it is known what the run has."""


def read_file(tree: FileTree, name: str, recorded_size: int | None = None) -> ReadFile | NotRead:
    """Open a file of a run, or an execution record, and read it once.

    A large file of another size than recorded is not hashed. A small one is, which tells whether the head is wrong.
    """
    try:
        kind = tree.kind(name)
        if kind is not EntryKind.FILE:
            return NotRead(f"{wrong_kind(kind, EntryKind.FILE)}; {RESTORE}", is_unreadable=False)
        size = tree.size(name)
        source = tree.open(name)
        if name.endswith(".json") and size <= layout.MAX_LINE_BYTES and not name.startswith(layout.ARTIFACTS_FOLDER):
            content = b"".join(_read_pieces(source))
            return ReadFile(hashing.digest_pieces(len(content), (content,)), content)
        is_hashed = recorded_size in (None, size) or size <= _SMALL_BYTES
        digest = hashing.digest_pieces(size, _read_pieces(source)) if is_hashed else hashing.Digest(size, "", b"")
        # Only these stay open: a run may have more artifacts than a process may have open files.
        return ReadFile(digest, records=source if name in _RECORDS else None)
    except Damaged as error:
        return NotRead(f"{error.reason}; {RESTORE}", is_unreadable=True)
    except (OSError, StorageFailure) as error:
        return NotRead(unreadable(error), is_unreadable=True)


def _read_pieces(source: ByteSource) -> Iterator[bytes]:
    offset = 0
    while piece := source.read(offset, _PIECE_BYTES):
        yield piece
        offset += len(piece)


def _objects(value: object) -> Iterable[tuple[str, object]]:
    return value.items() if isinstance(value, dict) else ()


class RunFiles:
    """The files of one run. Each is opened at most once."""

    def __init__(self, location: RunLocation) -> None:
        self.location = location
        self.problems = RunProblems(location)
        self.checked: dict[str, ReadFile] = {}
        """The files that are where they should be and could be read, by their names in the run."""
        self.unreadable: set[str] = set()
        """Files and folders that could not be read: nothing follows from their absence in `checked`."""
        self._read: dict[str, ReadFile | NotRead] = {}

    def list_names(self) -> list[str] | None:
        """Return what is in the folder of the run; None, with the problem reported, if that cannot be read."""
        try:
            names = self.location.files.names()
        except Damaged as error:
            advice = f"{error.reason}; {RESTORE}"
            self.problems.add("", _IS_LINK if self.location.is_link else advice)
            return None
        except OSError as error:
            self.problems.add("", unreadable(error, as_a="a folder"))
            return None
        if self.location.is_link:
            self.problems.add("", _IS_LINK)
        return names

    def peek(self, name: str) -> ReadFile | None:
        """Read a file without reporting anything; None if that is not possible."""
        file = self._file(name)
        return file if isinstance(file, ReadFile) else None

    def check_names(self, names: list[str]) -> None:
        """Read all files; report what is unexpected, missing or unreadable.

        Modes do not count: not every file system has them.
        """
        for name in names:
            if name == layout.ARTIFACTS_FOLDER:
                self._check_artifacts(name)
            elif name in RUN_FILES:
                self._check_file(name)
            elif name != layout.WORK_DRAFT or self.location.is_sealed:
                self.problems.add(name, unexpected(name, "in a run"))
        for name in REQUIRED if self.location.is_sealed else _REQUIRED_UNSEALED:
            if name not in names:
                self.problems.add(name, f"is missing; {RESTORE}")

    def check_run_id(self) -> None:
        """The folder of a sealed run is named by the run id of its files; a copy outside of any store need not be."""
        name = self.location.name
        if (
            not self.location.is_sealed
            or self.unreadable
            # Its size is a problem of its own, which says that the run id is another one.
            or not all(file.is_hashed for file in self.checked.values())
            or (not layout.is_run_id(name) and self.location.store is None)
        ):
            return
        run_id = hashing.tree_id({file: read.digest.blob for file, read in self.checked.items()})
        if run_id == name:
            return
        if not layout.is_run_id(name):
            self.problems.add("", f"is not a run id; rename the folder to the run id of its files, {run_id}")
            return
        # The head is the one file that no other vouches for. A digest in it that was changed accuses another file,
        # so the head is named even then.
        file = layout.RUN_FILE if layout.RUN_FILE in self.checked else ""
        message = f"the files have the run id {run_id}, but their folder is named {name}"
        reason = "this file or another one was changed, or the folder was renamed"
        self.problems.add(file, f"{message}: {reason}; {RESTORE}")

    def _check_file(self, name: str) -> None:
        file = self._file(name)
        if isinstance(file, ReadFile):
            self.checked[name] = file
            return
        self.problems.add(name, file.message)
        if file.is_unreadable:
            self.unreadable.add(name)

    def _file(self, name: str) -> ReadFile | NotRead:
        if name not in self._read:
            recorded = None if name == layout.RUN_FILE else self._recorded_sizes.get(name)
            self._read[name] = read_file(self.location.files, name, recorded)
        return self._read[name]

    @cached_property
    def _recorded_sizes(self) -> dict[str, int]:
        """The sizes of files by the head of a sealed run, which may be invalid."""
        head = self.peek(layout.RUN_FILE) if self.location.is_sealed else None
        try:
            value = canonical_json.decode(head.content) if head is not None and head.content is not None else None
        except ValueError:
            value = None
        files = value.get("files") if isinstance(value, dict) else None
        sizes = {name: file.get("size") for name, file in _objects(files) if isinstance(file, dict)}
        return {name: size for name, size in sizes.items() if type(size) is int}

    def _check_artifacts(self, top: str) -> None:
        """Read the files in the folder of artifacts, and in those within it. A link is never followed."""
        # Without recursion: names may be of more folders than Python's stack has room for.
        pending = [top]
        while pending:
            for name in self._names_of_artifacts(pending.pop()):
                problem = layout.artifact_name_problem(name.partition("/")[2])
                if problem is not None:
                    # Neither read nor entered: the rest of its name may be too long or not be text.
                    self.problems.add(name, f"{problem}; not a valid artifact: {MOVE}")
                elif self._is_folder(name):
                    pending.append(name)
                else:
                    self._check_file(name)

    def _names_of_artifacts(self, folder: str) -> list[str]:
        """Return what is in a folder of artifacts, by the names in the run, sorted."""
        tree = self.location.files
        try:
            kind = tree.kind(folder)
            if kind is not EntryKind.FOLDER:
                self.problems.add(folder, f"{wrong_kind(kind, EntryKind.FOLDER)}; {RESTORE}")
                return []
            names = tree.names(folder)
        except OSError as error:
            self.unreadable.add(folder)
            self.problems.add(folder, unreadable(error, as_a="a folder"))
            return []
        if not names:
            self.problems.add(folder, "is an empty folder, which git does not store; remove it")
        return [f"{folder}/{name}" for name in names]

    def _is_folder(self, name: str) -> bool:
        try:
            return self.location.files.kind(name) is EntryKind.FOLDER
        except OSError:
            # Reported where it is read.
            return False
