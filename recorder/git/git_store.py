"""Stores in a revision or in the index of a git repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import NotAStore, Problem, RunNotFound
from exprec.recorder.format import layout
from exprec.recorder.fs import EntryKind
from exprec.recorder.git.git_tree import GitTree, TreeIndex, join_path
from exprec.recorder.git.repository import EXECUTABLE, Blobs, Entry, Repository
from exprec.recorder.store import RunDirectory, StoreReader


class GitStore(StoreReader):
    """A store in a revision or in the index. It need not have the file that marks a store."""

    def __init__(self, label: str, folder: str, index: TreeIndex, blobs: Blobs) -> None:
        """Read a store from git.

        Args:
            label: The revision as the user gave it; empty for the index.
            folder: The path of the store from the top of the repository; empty for the top.
            index: The entries of the repository.
            blobs: The contents of files.
        """
        self.label, self.folder = label, folder
        self._index = index
        super().__init__(GitTree(index, blobs, label, folder))

    def name_file(self, file: str = "") -> str:
        """Return the name of a file of the store in git: `HEAD:runs/store.json`, `:runs/store.json` in the index."""
        return f"{self.label}:{join_path(self.folder, file)}"

    @property
    def is_marked(self) -> bool:
        """Whether the store has the file that makes a folder a store."""
        return self.files.exists(layout.STORE_FILE)

    def check_mark(self) -> None:
        """Raise NotAStore for a store of a format that this version does not know."""
        if self.is_marked:
            super()._check_mark()

    def _check_mark(self) -> None:
        # Not when the store is opened: a branch may add it, and changes of a damaged one can still be listed.
        pass

    def entries(self, folder: str) -> dict[str, Entry]:
        """Return the entries below a folder of the store, by their paths in it; one that is not a folder as ""."""
        top = join_path(self.folder, folder)
        if self._index.kind(top) not in (None, EntryKind.FOLDER):
            return {"": self._index.entries[top]}
        return {path.removeprefix(f"{top}/"): self._index.entries[path] for path in self._index.walk(top)}

    def attestation_entries(self, run_id: str) -> dict[str, Entry]:
        """Return the execution records of a run, by file name."""
        return self.entries(f"{layout.ATTESTATIONS_FOLDER}/{run_id}")

    def find_run(self, name: str) -> RunDirectory | None:
        """Return the run of a name; None if that is not a folder, and so cannot be verified."""
        return self.run(name) if self._kind(name) is EntryKind.FOLDER else None

    def check_entries(self, name: str) -> Iterator[Problem]:
        """Yield what is wrong with the entries of a run and of its execution records, whatever their content."""
        kind = self._kind(name)
        if kind is not None and kind is not EntryKind.FOLDER:
            yield Problem((), f"must be a folder, and is {kind}; restore it from another revision", source=name)
            return
        tree = self._index.entries.get(join_path(self.folder, name))
        # A SHA-256 repository has computed the run id already.
        if tree is not None and layout.is_run_id(tree.object_id) and layout.is_run_id(name) and tree.object_id != name:
            message = f"has the id {tree.object_id} in git, which is not its name: it was changed or renamed"
            yield Problem((), message, source=name)
        for folder in (name, f"{layout.ATTESTATIONS_FOLDER}/{name}"):
            for file, entry in sorted(self.entries(folder).items()):
                if {"", ".", ".."} & set(file.split("/")):
                    yield Problem((), "is not a valid file name", source=f"{folder}/{file}")
                elif entry.mode == EXECUTABLE:
                    message = "is executable, which gives the run another id in git; git update-index --chmod=-x it"
                    yield Problem((), message, source=f"{folder}/{file}")

    def _find_run(self, name: str) -> RunDirectory | None:
        return self.run(name) if self.files.exists(name) else None

    def _not_found(self, reference: str) -> RunNotFound:
        error = super()._not_found(reference)
        error.args = (
            f"no run '{reference}' in {self.name_file()}; give a run id, 4 or more of its first digits, or a tag, of a "
            "run that is committed there",
        )
        return error


def store_folders(entries: Mapping[str, Entry]) -> list[str]:
    """Return the folders with a `store.json` and with runs beside it, by their paths from the top, sorted."""
    with_runs = {folder for path in entries for folder in _folders_of_runs(path)}
    return sorted(folder for folder in with_runs if join_path(folder, layout.STORE_FILE) in entries)


def find_store_folder(label: str, folder: str, index: TreeIndex, *, is_given: bool) -> str:
    """Return the folder if it is a store; unless it `is_given`, else the only other store. Raises NotAStore."""
    if join_path(folder, layout.STORE_FILE) in index.entries:
        return folder
    others = store_folders(index.entries)
    if len(others) == 1 and not is_given:
        return others[0]
    listed = ", ".join(visible(other) or "the top" for other in others)
    advice = f"name one of these with --store: {listed}" if others else "commit one, with its store.json"
    raise NotAStore(Path(f"{label}:{folder}"), f"no exprec store here ({layout.STORE_FILE} is missing); {advice}")


def _folders_of_runs(path: str) -> Iterator[str]:
    """The folders of a path that have something named like a run in them."""
    parts = path.split("/")
    for depth, part in enumerate(parts):
        # The attestations of a run are in a folder of its name too.
        if layout.is_run_id(part) and parts[depth - 1 : depth] != [layout.ATTESTATIONS_FOLDER]:
            yield "/".join(parts[:depth])


def find_repository(store: Path) -> tuple[Repository, str]:
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
