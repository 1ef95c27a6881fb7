"""Stores in a revision or in the index of a git repository, and their runs, extracted one at a time.

Extraction gives an ordinary store in a temporary folder, so that other rooms read it like any store.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import AmbiguousRun, NotAStore, Problem, RunNotFound, StorageFailure
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs import durable
from exprec.recorder.git.repository import (
    EXECUTABLE,
    FOLDER,
    LINK,
    SUBMODULE,
    Blobs,
    Entry,
    ObjectUnreadable,
    Repository,
)
from exprec.recorder.store import RunDirectory, Store

RUN_FILES = (layout.RUN_FILE, layout.EVENTS_FILE, layout.SCHEMAS_FILE)
"""A folder with one of these files was a run, whatever its name is now."""

_NAME_REFUSED = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EILSEQ)
"""Errors for names that git accepts: too long, equal to another name here, within a file, not text."""

_KINDS = {LINK: "a symbolic link", SUBMODULE: "a submodule", FOLDER: "a folder"}


class NoSuchRun(RunNotFound):
    """A revision has no run of this name."""

    def __init__(self, reference: str, store: CommittedStore) -> None:
        super().__init__(reference, Path(store.name()))
        self.args = (
            f"no run '{reference}' in {visible(store.name())}; give a run id, 4 or more of its first digits, or a tag, "
            "of a run that is committed there",
        )


class CommittedStore:
    """A store in a revision or in the index: names and object ids, without content."""

    def __init__(self, label: str, path: str, entries: Mapping[str, Entry]) -> None:
        """Read a store from git.

        Args:
            label: The revision as given by the user; empty for the index.
            path: The folder of the store, relative to the top of the repository; empty at the top.
            entries: All entries of the repository, by path.
        """
        self.label, self.path = label, path
        self.folder_ids: dict[str, str] = {}
        """The ids of the trees right below the store, by name; the index has none."""
        self._folders: dict[str, dict[str, Entry]] = {}
        prefix = f"{path}/" if path else ""
        for file, entry in entries.items():
            if file.startswith(prefix):
                self._add(file.removeprefix(prefix), entry)

    def _add(self, file: str, entry: Entry) -> None:
        first, _, rest = file.partition("/")
        if entry.mode == FOLDER:
            if not rest:
                self.folder_ids[first] = entry.object_id
        elif first == layout.ATTESTATIONS_FOLDER:
            run_id, _, name = rest.partition("/")
            self._folders.setdefault(f"{first}/{run_id}", {})[name] = entry
        else:
            self._folders.setdefault(first if rest else "", {})[rest or first] = entry

    def name(self, file: str = "") -> str:
        """A file of the store as git names it: `HEAD:runs/store.json`, `:runs/store.json` in the index."""
        return f"{self.label}:{'/'.join(part for part in (self.path, file) if part)}"

    @property
    def is_marked(self) -> bool:
        """Whether the file that makes a folder a store is there."""
        return layout.STORE_FILE in self.entries("")

    def entries(self, folder: str) -> Mapping[str, Entry]:
        """The files of a run, of `attestations/<run id>`, of `tags`, or right in the store for the empty name."""
        return self._folders.get(folder, {})

    def attestations(self, run_id: str) -> Mapping[str, Entry]:
        """The attestations of a run, by file name."""
        return self.entries(f"{layout.ATTESTATIONS_FOLDER}/{run_id}")

    def run_ids(self) -> list[str]:
        """Return the run ids of all runs, sorted; entries of that name that are not folders count too."""
        return sorted(name for name in (*self._folders, *self.entries("")) if layout.is_run_id(name))

    def run_names(self) -> list[str]:
        """The names of all runs, and of the folders that have the files of a run under another name."""
        renamed = [
            name
            for name, entries in self._folders.items()
            # Names that begin with a dot do not belong to a store, and `..` would lead out of it.
            if not name.startswith((".", f"{layout.ATTESTATIONS_FOLDER}/"))
            and name not in ("", layout.TAGS_FOLDER)
            and not layout.is_run_id(name)
            and layout.is_run(name, entries)
        ]
        return sorted([*self.run_ids(), *renamed])

    def tags(self, blobs: Blobs) -> dict[str, str]:
        """Return run ids by tag name, sorted, without validating them; raise ObjectUnreadable."""
        return {
            name: blobs.read(entry.object_id).decode("utf-8", "replace").strip()
            for name, entry in sorted(self.entries(layout.TAGS_FOLDER).items())
            if "/" not in name and not name.startswith(".") and entry.mode not in _KINDS
        }

    def resolve(self, reference: str, blobs: Blobs) -> str:
        """Return the name of the run for a run id, a unique prefix or a tag.

        Raises NoSuchRun, AmbiguousRun, ObjectUnreadable.
        """
        names = self.run_names()
        tagged = self.tags(blobs).get(reference)
        found = {tagged} if tagged else set()
        if len(reference) >= layout.SHORTEST_PREFIX:
            found |= {name for name in names if name.startswith(reference)}
        if len(found) > 1:
            raise AmbiguousRun(reference, sorted(map(visible, found)))
        if not found & set(names):
            raise NoSuchRun(reference, self)
        return found.pop()


def store_folders(entries: Mapping[str, Entry]) -> list[str]:
    """The folders with a `store.json` and with runs beside it, by their path from the top, sorted."""
    with_runs = {folder for path in entries for folder in _folders_of_runs(path)}
    return sorted(folder for folder in with_runs if _join(folder, layout.STORE_FILE) in entries)


def find_store(label: str, path: str, entries: Mapping[str, Entry], *, is_given: bool) -> CommittedStore:
    """The store at `path` from the top; unless it `is_given`, else the only other one. Raises NotAStore."""
    store = CommittedStore(label, path, entries)
    if store.is_marked:
        return store
    others = store_folders(entries)
    if len(others) == 1 and not is_given:
        return CommittedStore(label, others[0], entries)
    listed = ", ".join(visible(other) or "the top" for other in others)
    advice = f"name one of these with --store: {listed}" if others else "commit one, with its store.json"
    raise NotAStore(Path(store.name()), f"no exprec store here ({layout.STORE_FILE} is missing); {advice}")


def _folders_of_runs(path: str) -> Iterator[str]:
    """The folders of a path that have something named like a run in them."""
    parts = path.split("/")
    for depth, part in enumerate(parts):
        # The attestations of a run are in a folder of its name too.
        if layout.is_run_id(part) and parts[depth - 1 : depth] != [layout.ATTESTATIONS_FOLDER]:
            yield "/".join(parts[:depth])


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def repository_of(store: Path) -> tuple[Repository, str]:
    """Return the repository that contains a store, and the path of the store from its top.

    Neither the store nor the folders above it need to be there. Raises GitFailure.
    """
    folder = store.resolve()
    # A store may be a repository of its own; otherwise git runs outside of it, where a hook may have set GIT_DIR.
    rest: list[str] = []
    if not (folder / ".git").exists():
        rest.insert(0, folder.name)
        folder = folder.parent
    while not folder.is_dir():
        rest.insert(0, folder.name)
        folder = folder.parent
    repository = Repository(folder)
    return repository, (repository.prefix + "/".join(rest)).strip("/")


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A run extracted to a temporary folder.

    `problems` are those of its entries in git, with files relative to the store; if they prevent verification, `run` is
    None.
    """

    run: RunDirectory | None
    problems: tuple[Problem, ...]


class Layout:
    """An ordinary store in a temporary folder, with those runs of a committed store that are in use."""

    def __init__(self, store: CommittedStore, blobs: Blobs, folder: Path) -> None:
        self.committed, self.folder = store, folder
        self._blobs = blobs

    def store(self) -> Store:
        """The laid out store. Raises NotAStore, named as in git."""
        try:
            return Store(self.folder)
        except NotAStore as error:
            raise NotAStore(Path(visible(self.committed.name(layout.STORE_FILE))), error.reason) from None

    @contextmanager
    def run(self, name: str) -> Iterator[LaidOut]:
        """A run with its attestations, in the folder until the block ends. Raises StorageFailure."""
        attestations = f"{layout.ATTESTATIONS_FOLDER}/{name}"
        try:
            if name in self.committed.entries(""):
                entry = self.committed.entries("")[name]
                yield LaidOut(None, (_not_a("folder", name, entry),))
                return
            problems = [*self._tree_problems(name), *self._write(name), *self._write(attestations)]
            is_whole = not any(isinstance(problem, _Unread) for problem in problems)
            yield LaidOut(RunDirectory(self.folder / name) if is_whole else None, tuple(problems))
        finally:
            durable.remove(self.folder / name)
            durable.remove(self.folder / attestations)

    def _tree_problems(self, name: str) -> Iterator[Problem]:
        """Compare the name with the tree id, which a SHA-256 repository has already."""
        tree = self.committed.folder_ids.get(name, "")
        if layout.is_run_id(tree) and layout.is_run_id(name) and tree != name:
            message = f"has the id {tree} in git, which is not its name: it was changed or renamed"
            yield Problem((), message, source=name)

    def _write(self, folder: str) -> Iterator[Problem]:
        """Write the files of a folder; yield problems for entries that are not regular files or cannot be read."""
        path = self.folder / folder
        for file, entry in sorted(self.committed.entries(folder).items()):
            name, _, below = file.partition("/")
            is_within = bool(below) and not _may_be_within(folder, name)
            source = f"{folder}/{name if is_within else file}"
            if {"", ".", ".."} & set(file.split("/")):
                yield Problem((), "is not a valid file name", source=source)
            elif not is_within and entry.mode in _KINDS:
                yield _not_a("file", source, entry)
            else:
                if entry.mode == EXECUTABLE:
                    message = "is executable, which gives the run another id in git; git update-index --chmod=-x it"
                    yield Problem((), message, source=source)
                try:
                    if is_within:
                        # The folder itself is the problem; its content does not matter.
                        _make_folder(path / name)
                    else:
                        _write_file(path / file, self._blobs.chunks(entry.object_id))
                except ObjectUnreadable as error:
                    yield _Unread((), str(error), source=source)
                except StorageFailure as error:
                    if error.error.errno not in _NAME_REFUSED:
                        raise
                    yield Problem((), f"cannot be a file here: {error.error.strerror}", source=source)

    def described(self, message: str) -> str:
        """A message about files of the layout, with their names in git instead."""
        return message.replace(f"{self.folder}/", self.committed.name("x").removesuffix("x"))

    def prepare(self) -> None:
        """Write the files of the store itself; raise ObjectUnreadable or StorageFailure."""
        mark = self.committed.entries("").get(layout.STORE_FILE)
        standard = canonical_json.encode({"format": layout.FORMAT})
        _write_file(self.folder / layout.STORE_FILE, self._blobs.chunks(mark.object_id) if mark else [standard])
        for name, run_id in self.committed.tags(self._blobs).items():
            try:
                _write_file(self.folder / layout.TAGS_FOLDER / name, [f"{run_id}\n".encode()])
            except StorageFailure as error:
                if error.error.errno not in _NAME_REFUSED:
                    raise


class _Unread(Problem):
    """A file that git cannot read, which makes other problems of its run meaningless."""


@contextmanager
def laid_out(store: CommittedStore, blobs: Blobs) -> Iterator[Layout]:
    """Extract a store with its tags, but without runs, to a temporary folder.

    Raises:
        NotAStore: It is not a store of a known format.
        ObjectUnreadable: git cannot read a file.
        StorageFailure: The temporary folder cannot be written.
    """
    try:
        holder = tempfile.TemporaryDirectory(prefix="exprec-")
    except OSError as error:
        raise StorageFailure(Path(tempfile.gettempdir()), error) from error
    with holder as name:
        layout = Layout(store, blobs, Path(name).resolve())
        layout.prepare()
        layout.store()
        yield layout


def _may_be_within(folder: str, name: str) -> bool:
    """Whether a folder of a run or of attestations may have a folder of this name in it."""
    return name == layout.ARTIFACTS_FOLDER and not folder.startswith(f"{layout.ATTESTATIONS_FOLDER}/")


def _not_a(what: str, source: str, entry: Entry) -> Problem:
    kind = _KINDS.get(entry.mode, "a file")
    return Problem((), f"must be a {what}, and is {kind}; restore it from another revision", source=source)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailure(path, error) from error


def _write_file(path: Path, chunks: Iterable[bytes]) -> None:
    _make_folder(path.parent)
    try:
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise StorageFailure(path, error) from error
