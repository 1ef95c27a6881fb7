"""Read access to a git repository: revisions, trees, the index, blobs. Nothing is changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from exprec.recorder.diagnostics import show_value, visible
from exprec.recorder.errors import GitFailure, ObjectUnreadable
from exprec.recorder.git.process import run_git, start_git

_CHUNK_BYTES = 1024 * 1024

FILE, EXECUTABLE, LINK, SUBMODULE, FOLDER = "100644", "100755", "120000", "160000", "040000"
"""The modes of the entries of a tree."""

_NOTHING = "000000"
_UNMERGED = "U"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree: its mode, and the id of its blob, tree or commit."""

    mode: str
    object_id: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is staged of one path: the entry in the commit and in the index, each None if absent."""

    path: str
    before: Entry | None
    after: Entry | None
    is_unmerged: bool = False


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """A rule by which git ignores a path."""

    pattern: str
    source: str
    """The file with the rule, as git names it."""
    line: str

    def __str__(self) -> str:
        return f"the rule {show_value(self.pattern)} in {visible(self.source)}, line {self.line}"


class Repository:
    """A repository, found as git finds it: from a folder, or by the variables that git sets for a hook."""

    def __init__(self, folder: Path) -> None:
        """Open the repository that contains `folder`; raise GitFailure without one."""
        self.folder = folder
        done = self._run("rev-parse", "--show-prefix")
        if done.returncode:
            raise GitFailure(f"{folder}: {_reason(done.stderr)}; {_advice(done.stderr)}")
        self.prefix = os.fsdecode(done.stdout).removesuffix("\n")
        """The path of the folder from the top of the repository, with a slash at its end; empty at the top."""

    def top(self) -> str:
        """The way from this folder to the top of the work tree, such as `../../`. Raises GitFailure without one."""
        return self._text("rev-parse", "--show-cdup").removesuffix("\n")

    def commit(self, revision: str) -> str:
        """The id of the commit that a revision names. Raises GitFailure for an unknown revision."""
        found = self._object(revision)
        commit = found and self._object(f"{found}^{{commit}}")
        if commit is None:
            raise GitFailure(
                f"'{revision}' names no commit here; give a branch, a tag or the id of a commit, and fetch it first "
                "where this clone does not have it"
            )
        return commit

    def head(self) -> str | None:
        """The id of the commit that is checked out, or None in a repository without commits."""
        return self._object("HEAD^{commit}")

    def empty_tree(self) -> str:
        """The id of a tree without entries, which every repository knows."""
        return self._text("hash-object", "-t", "tree", "--stdin").strip()

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor of two commits, or None where they have none in this clone."""
        done = self._run("merge-base", one, other)
        if done.returncode > 1:
            raise GitFailure(f"git merge-base: {_reason(done.stderr)}")
        return done.stdout.decode("ascii").strip() or None

    def is_shallow(self) -> bool:
        """Whether this clone lacks the older part of its history."""
        return self._text("rev-parse", "--is-shallow-repository").strip() == "true"

    def tree(self, tree: str) -> dict[str, Entry]:
        """Every entry below the tree of a commit, folders too, by its path from the top."""
        # Without -l: in a partial clone git would fetch every blob to tell its size.
        found = {}
        for record in _records(self._bytes("ls-tree", "-r", "-t", "-z", "--full-tree", tree)):
            about, _, path = record.partition(b"\t")
            mode, _, object_id = about.decode("ascii").split(" ")
            found[os.fsdecode(path)] = Entry(mode, object_id)
        return found

    def staged(self, tree: str) -> list[Change]:
        """How the index differs from the tree of a commit; of what was added with `git add -N` there is nothing."""
        options = (
            "--no-ext-diff",
            "--no-textconv",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            "--no-abbrev",
            "--ita-invisible-in-index",
        )
        records = _records(self._bytes("diff-index", *options, "--ignore-submodules=none", tree))
        return [_change(about.decode("ascii"), os.fsdecode(path)) for about, path in zip(records, records, strict=True)]

    def ignored(self, paths: Iterable[str]) -> dict[str, IgnoreRule]:
        """The rule for each of these paths, from this folder, that git leaves out of commits. Raises GitFailure."""
        done = self._run("check-ignore", "--verbose", "-z", "--stdin", data=os.fsencode("\0".join([*paths, ""])))
        if done.returncode > 1:
            raise GitFailure(f"git check-ignore: {_reason(done.stderr)}")
        words = iter(os.fsdecode(done.stdout).split("\0")[:-1])
        found = zip(words, words, words, words, strict=True)
        # A rule with an exclamation mark makes git not ignore a path.
        return {
            path: IgnoreRule(pattern, source, line) for source, line, pattern, path in found if pattern[:1] not in "!"
        }

    def names(self) -> list[str]:
        """The branches and tags, by their short names."""
        return self._text("for-each-ref", "--format=%(refname:short)").splitlines()

    @contextmanager
    def blobs(self) -> Iterator[Blobs]:
        """A reader of the contents of files."""
        # Imported here because every command imports this module, and few read blobs.
        import tempfile

        # Not a pipe: git may say more about a damaged repository than a pipe holds.
        with tempfile.TemporaryFile() as errors:
            reader = Blobs(self.folder, errors)
            try:
                yield reader
            finally:
                reader.close()

    def _object(self, revision: str) -> str | None:
        if not revision or revision.startswith("-") or "\0" in revision:
            return None
        done = self._run("rev-parse", "--verify", "--quiet", revision)
        return done.stdout.decode("ascii").strip() if done.returncode == 0 else None

    def _text(self, *arguments: str) -> str:
        return os.fsdecode(self._bytes(*arguments))

    def _bytes(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode:
            raise GitFailure(f"git {arguments[0]}: {_reason(done.stderr)}")
        return done.stdout

    def _run(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            return run_git(self.folder, *arguments, data=data)
        except OSError as error:
            raise _not_started(error) from error


class Blobs:
    """The bytes of files as git stores them, without filters and line-end conversion, from one process."""

    def __init__(self, folder: Path, errors: IO[bytes]) -> None:
        """Read from the repository that contains `folder`; the messages of git go into the file `errors`."""
        self._folder = folder
        self._errors = errors
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            # A blob may be read half: git then ends on its closed pipe.
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()
            self._process.wait()
        self._process = None

    def read(self, object_id: str) -> bytes:
        """The content of a blob. Raises ObjectUnreadable, GitFailure."""
        return b"".join(self.chunks(object_id))

    def chunks(self, object_id: str) -> Iterator[bytes]:
        """The content of a blob in pieces, to be read to its end. Raises ObjectUnreadable, GitFailure."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{object_id}\n".encode("ascii"))
            process.stdin.flush()
        except BrokenPipeError:
            raise self._died(object_id) from None
        words = process.stdout.readline().split()
        if not words:
            raise self._died(object_id)
        if len(words) != 3 or words[1] != b"blob":
            if len(words) == 3:
                # Its content follows, and would be taken for the next answer.
                self.close()
            raise ObjectUnreadable(object_id, b" ".join(words[1:2]).decode("ascii", "replace"))
        left = int(words[2])
        while left:
            chunk = process.stdout.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise self._died(object_id)
            left -= len(chunk)
            yield chunk
        process.stdout.read(1)

    def _start(self) -> subprocess.Popen[bytes]:
        self._errors.seek(0)
        self._errors.truncate()
        try:
            self._process = start_git(self._folder, "cat-file", "--batch", stdin=subprocess.PIPE, stderr=self._errors)
        except OSError as error:
            raise _not_started(error) from error
        return self._process

    def _died(self, object_id: str) -> ObjectUnreadable:
        """Drop the process: git exits at an object that is damaged or missing; the next needs a new one."""
        assert self._process is not None
        self._process.wait()
        self._errors.seek(0)
        reason = _reason(self._errors.read())
        self.close()
        return ObjectUnreadable(object_id, reason)


def _records(data: bytes) -> Iterator[bytes]:
    return iter(data.split(b"\0")[:-1])


def _change(about: str, path: str) -> Change:
    before_mode, after_mode, before, after, status = about.removeprefix(":").split(" ")

    def entry(mode: str, object_id: str) -> Entry | None:
        return None if mode == _NOTHING else Entry(mode, object_id)

    return Change(path, entry(before_mode, before), entry(after_mode, after), status == _UNMERGED)


def applied(tree: Mapping[str, Entry], changes: list[Change]) -> dict[str, Entry]:
    """The files of a tree with what is staged above it: those of the next commit."""
    files = {path: entry for path, entry in tree.items() if entry.mode != FOLDER}
    for change in changes:
        if change.after is None:
            files.pop(change.path, None)
        else:
            files[change.path] = change.after
    return files


def _reason(stderr: bytes) -> str:
    """The error message of git, without the advice below it."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith("fatal: ")]
    return (fatal or lines or ["git did not say why"])[0].removeprefix("fatal: ")


def _advice(stderr: bytes) -> str:
    if b"safe.bareRepository" in stderr:
        # A clone may contain one, with a configuration that names programs.
        return "if it is yours, name it by the variable GIT_DIR"
    return "run this in a git repository, or name a store in one"


def _not_started(error: OSError) -> GitFailure:
    if isinstance(error, FileNotFoundError):
        return GitFailure("git is needed for this, and is not installed or not on the PATH")
    return GitFailure(f"git cannot be started: {error.strerror or error}")
