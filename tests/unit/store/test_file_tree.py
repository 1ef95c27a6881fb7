"""A folder of files on disk is read by names in it: what each entry is, and nothing that is not a regular file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from exprec.recorder.errors import Damaged
from exprec.recorder.fs import EntryKind
from exprec.recorder.store.file_tree import FileTree, FolderTree


@pytest.fixture
def tree(tmp_path: Path) -> FileTree:
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "c.txt").write_bytes(b"123")
    (folder / "z").write_bytes(b"")
    (folder / "link").symlink_to("z")
    os.mkfifo(folder / "pipe")
    return FolderTree(folder)


def test_names_and_files(tree: FileTree) -> None:
    assert tree.name == "folder"
    assert tree.names() == ["a", "link", "pipe", "z"]
    assert tree.names("a/b") == ["c.txt"]
    assert tree.files() == ["a/b/c.txt", "link", "pipe", "z"]
    with pytest.raises(FileNotFoundError):
        tree.names("none")
    for name, kind in (("z", EntryKind.FILE), ("link", EntryKind.LINK), ("pipe", EntryKind.OTHER)):
        with pytest.raises(Damaged, match=f"/{name}: must be a folder, and is {kind}"):
            tree.names(name)


@pytest.mark.parametrize("place", ["runs", "runs/inner"])
def test_no_link_below_the_top_is_followed(tree: FileTree, place: str) -> None:
    outside = tree.path.parent / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "inner" / "file").write_bytes(b"secret")
    (tree.path / place).parent.mkdir(exist_ok=True)
    (tree.path / place).symlink_to(outside if place == "runs" else outside / "inner")
    inner = tree.subtree("runs/inner")
    reads = (inner.names, inner.files, lambda: inner.kind("file"), lambda: inner.size("file"))
    for read in (*reads, lambda: inner.read("file"), lambda: inner.digest("file"), lambda: tree.names("runs/inner")):
        with pytest.raises(Damaged, match=f"/{place}: must be a folder, and is a symbolic link"):
            read()


def test_the_top_itself_may_be_a_link(tree: FileTree) -> None:
    link = tree.path.parent / "to"
    link.symlink_to(tree.path)
    assert FolderTree(link).read("a/b/c.txt") == b"123"


def test_a_subtree_is_named_by_its_folder(tree: FileTree) -> None:
    inner = tree.subtree("a/b")
    assert (inner.name, inner.path, inner.files()) == ("b", tree.path / "a/b", ["c.txt"])
    assert tree.subtree("none").path == tree.path / "none"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a", EntryKind.FOLDER), ("z", EntryKind.FILE), ("link", EntryKind.LINK), ("pipe", EntryKind.OTHER)],
)
def test_links_are_not_followed(tree: FileTree, name: str, kind: EntryKind) -> None:
    assert tree.kind(name) is kind
    if kind is not EntryKind.FILE:
        for read in (tree.size, tree.read, tree.digest):
            with pytest.raises(Damaged, match=f"must be a file, and is {kind}"):
                read(name)


def test_a_file_is_read_whole_or_from_any_offset(tree: FileTree) -> None:
    assert (tree.size("a/b/c.txt"), tree.read("a/b/c.txt")) == (3, b"123")
    assert tree.open("a/b/c.txt").read(1, 9) == b"23"
    digest = tree.digest("a/b/c.txt")
    assert (digest.size, digest.sha256) == (3, hashlib.sha256(b"123").hexdigest())
    assert digest.blob == hashlib.sha256(b"blob 3\x00123").digest()
    for read in (tree.size, tree.read, tree.digest, tree.kind):
        with pytest.raises(FileNotFoundError):
            read("none")
