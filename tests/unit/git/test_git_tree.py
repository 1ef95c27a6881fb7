"""A folder in a revision or in the index answers like the same folder on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from exprec.recorder.errors import Damaged
from exprec.recorder.fs import EntryKind
from exprec.recorder.git import GitStore, Repository, TreeIndex
from exprec.recorder.git import git_tree as module
from exprec.recorder.git.git_tree import GitTree
from exprec.recorder.git.repository import Blobs, applied
from exprec.recorder.query import list_runs
from exprec.recorder.store import Store
from exprec.recorder.store.file_tree import FolderTree
from exprec.recorder.verify import verify_run
from tests.fixtures import runs
from tests.fixtures.events import OBSERVATION
from tests.fixtures.git import commit_all, git


@pytest.fixture
def committed(store: Store) -> Path:
    """A repository with a store of one run, which has artifacts, an execution record and a tag."""
    run_id = runs.record_command(store).run_id
    store.attest(run_id, OBSERVATION)
    store.tag("best", run_id)
    folder = store.path.parent
    git(folder, "init", "-q")
    commit_all(folder, "one run")
    return folder


@pytest.fixture
def blobs(committed: Path) -> Iterator[Blobs]:
    with Repository(committed).blobs() as blobs:
        yield blobs


@pytest.fixture(params=["HEAD", ""])
def tree(request: pytest.FixtureRequest, committed: Path, blobs: Blobs) -> GitTree:
    """The store, in the revision and in the index."""
    repository = Repository(committed)
    entries = repository.tree("HEAD")
    index = entries if request.param else applied(entries, repository.staged("HEAD"))
    return GitTree(TreeIndex(index), blobs, request.param, "runs")


def test_it_answers_like_the_folder(tree: GitTree, store: Store) -> None:
    folder = FolderTree(store.path)
    assert tree.name == folder.name
    assert tree.files() == [name for name in folder.files() if not name.startswith(".work/")]
    for name in tree.files():
        assert tree.exists(name)
        assert tree.kind(name) is folder.kind(name) is EntryKind.FILE
        assert tree.size(name) == folder.size(name)
        assert tree.read(name) == folder.read(name)
        assert tree.digest(name) == folder.digest(name)
        assert tree.open(name).read(2, 9) == folder.open(name).read(2, 9)
    (run_id,) = store.run_ids()
    for name in (run_id, f"{run_id}/artifacts", f"{run_id}/artifacts/deep"):
        assert tree.names(name) == folder.names(name) == tree.subtree(name).names()
        assert tree.kind(name) is EntryKind.FOLDER
        assert tree.subtree(name).parent().names() == tree.names(name.rpartition("/")[0])


def test_what_is_missing_or_no_folder(tree: GitTree) -> None:
    assert not tree.exists("none")
    for ask in (tree.kind, tree.names, tree.size, tree.read):
        with pytest.raises(FileNotFoundError):
            ask("none")
    with pytest.raises(NotADirectoryError):
        tree.names("store.json")
    with pytest.raises(Damaged, match="must be a file, and is a folder"):
        tree.read("tags")


def test_a_large_blob_is_kept_outside_of_memory(tree: GitTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 2)
    whole = tree.digest("store.json")
    monkeypatch.undo()
    assert tree.subtree("").digest("store.json") == whole


def test_a_store_in_git_is_read_like_one_on_disk(committed: Path, blobs: Blobs, store: Store) -> None:
    index = TreeIndex(Repository(committed).tree("HEAD"))
    there = GitStore("HEAD", "runs", index, blobs)
    (run_id,) = store.run_ids()
    assert there.run_names() == [run_id]
    assert there.tags() == store.tags()
    assert there.attestations(run_id) == store.attestations(run_id)
    assert there.resolve("best").files.name == there.resolve(run_id[:5]).files.name == run_id
    assert list_runs(there) == list_runs(store)
    assert list(verify_run(there.run(run_id))) == []
    assert there.name_file(run_id) == f"HEAD:runs/{run_id}"
    assert os.fspath(there.path) == "HEAD:runs"
