"""A store lives in git as any folder does: committed, cloned, archived, moved, put aside, and read by others.

That branches merge is told in test_merging.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.git import commit_all, git
from tests.fixtures.paths import CASTRO, ROOT

TWO = CASTRO / "two-period.yaml"
EVERY = ROOT / "tests" / "data" / "every_event.yaml"
CONVERTING = ("core.autocrlf=true", "core.eol=crlf", "core.safecrlf=true")
"""Git settings that convert line endings."""


@dataclass(frozen=True)
class Origin:
    """A committed store in a repository, and what commands print of it."""

    repository: Path
    object_format: str
    run_ids: tuple[str, ...]
    said: tuple[bytes, ...]

    @property
    def address(self) -> str:
        """Where it can be cloned from, also in part."""
        return self.repository.as_uri()


def said_of(store: Path) -> tuple[bytes, ...]:
    """Return what verify, log and show print of a store, in which every run must verify."""
    shown = (exprec("show", run_id, "-v", "--store", store).stdout for run_id in Store(store).run_ids())
    listed = exprec("log", "--json", "--store", store).stdout
    return (exprec("verify", "--all", "--store", store).stdout, listed, *shown)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store: a run executed twice, one with exchanges, one that failed, and tags."""
    folder = tmp_path_factory.mktemp("recorded")
    for _ in range(2):
        exprec("run", "-q", TWO, cwd=folder)
    asked = exprec("run", "-q", EVERY, cwd=folder).stdout.decode().strip()
    exprec("tag", "asked", asked, cwd=folder)
    (folder / "none.jsonl").write_bytes(b"")
    exprec("run", "-q", TWO, "--model", "scripted:none.jsonl", cwd=folder, code=3)
    # For the folder of the store its own attributes shall count, not these.
    (folder / ".gitattributes").write_bytes(b"* text eol=crlf\r\n")
    return folder


@pytest.fixture(scope="module", params=["sha1", "sha256"])
def origin(recorded: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Origin:
    """The store in a repository with this object format; tests must not change it."""
    repository = Path(shutil.copytree(recorded, tmp_path_factory.mktemp("origin") / "repository"))
    git(repository, "init", "-q", "-b", "main", f"--object-format={request.param}")
    for setting in CONVERTING:
        git(repository, "config", *setting.split("="))
    commit_all(repository, "runs")
    store = repository / "runs"
    return Origin(repository, request.param, tuple(Store(store).run_ids()), said_of(store))


def clone(origin: Origin, folder: Path, *options: str) -> Path:
    """Clone the repository with settings that convert line endings."""
    settings = [word for setting in CONVERTING for word in ("-c", setting)]
    git(folder, "clone", "-q", *settings, *options, origin.address, str(folder / "clone"))
    return folder / "clone"


def _cloned(origin: Origin, folder: Path) -> Path:
    return clone(origin, folder)


def _cloned_in_part(origin: Origin, folder: Path) -> Path:
    return clone(origin, folder, "--depth", "1")


def _archived(origin: Origin, folder: Path) -> Path:
    git(origin.repository, "archive", "-o", str(folder / "archive.tar"), "HEAD")
    with tarfile.open(folder / "archive.tar") as archive:
        archive.extractall(folder / "archive")
    return folder / "archive"


def _worktree(origin: Origin, folder: Path) -> Path:
    git(clone(origin, folder), "worktree", "add", "-q", str(folder / "worktree"), "HEAD", "--detach")
    return folder / "worktree"


def _moved(origin: Origin, folder: Path) -> Path:
    path = folder / "déjà vu" / "決済 of  today"
    path.parent.mkdir()
    return clone(origin, folder).rename(path)


def _left_and_come_back_to(origin: Origin, folder: Path) -> Path:
    repository = clone(origin, folder)
    git(repository, "checkout", "-q", "-b", "other")
    git(repository, "rm", "-q", "-r", "runs")
    commit_all(repository, "no runs")
    assert not (repository / "runs" / "store.json").exists()
    git(repository, "checkout", "-q", "main")
    return repository


WAYS = [_cloned, _cloned_in_part, _archived, _worktree, _moved, _left_and_come_back_to]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_store_is_the_same_after_transport(origin: Origin, tmp_path: Path, way: Callable[[Origin, Path], Path]) -> None:
    store = way(origin, tmp_path) / "runs"
    assert Store(store).run_ids() == list(origin.run_ids)
    assert said_of(store) == origin.said
    # To read it leaves nothing behind.
    assert not (store / ".work").exists()


def test_run_is_its_own_tree_wherever_the_store_is(origin: Origin, tmp_path: Path) -> None:
    repository = clone(origin, tmp_path)
    git(repository, "mv", "runs", "läufe 1")
    commit_all(repository, "another name")
    for folder, revision in (("runs", "HEAD~"), ("läufe 1", "HEAD")):
        found = [git(repository, "rev-parse", f"{revision}:{folder}/{run_id}") for run_id in origin.run_ids]
        assert (found == list(origin.run_ids)) == (origin.object_format == "sha256")
    assert said_of(repository / "läufe 1") == origin.said
    assert git(repository, "diff", "--name-only", "-M100%", "--diff-filter=r", "HEAD~") == ""


def test_stashed_run_is_restored(origin: Origin, tmp_path: Path) -> None:
    repository = clone(origin, tmp_path)
    new = exprec("run", "-q", TWO, "--seed", "7", cwd=repository).stdout.decode().strip()
    exprec("tag", "asked", new, "--force", cwd=repository)
    before = said_of(repository / "runs")
    git(repository, "stash", "-q", "--include-untracked")
    assert said_of(repository / "runs") == origin.said
    git(repository, "stash", "pop", "-q")
    assert said_of(repository / "runs") == before
    assert exprec("show", "asked", cwd=repository).stdout.split()[-1].decode() == new


def test_an_execution_in_a_clone_is_evidence_for_the_run_of_the_origin(origin: Origin, tmp_path: Path) -> None:
    repository = clone(origin, tmp_path)
    run_id = exprec("run", "-q", EVERY, cwd=repository).stdout.decode().strip()
    (changed,) = git(repository, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert changed.startswith(f"?? runs/attestations/{run_id}/")
    assert len(Store(repository / "runs").attestations(run_id)) == 2
    assert exprec("show", run_id, "-v", cwd=repository).stdout in origin.said


def test_a_branch_without_a_store_gets_one(origin: Origin, tmp_path: Path) -> None:
    repository = _left_and_come_back_to(origin, tmp_path)
    # The work folder of an execution is no part of any branch: it stays.
    exprec("run", "-q", EVERY, cwd=repository)
    git(repository, "clean", "-q", "-f", "-d")
    git(repository, "checkout", "-q", "other")
    assert os.listdir(repository / "runs") == [".work"]
    run_id = exprec("run", "-q", EVERY, cwd=repository).stdout.decode().strip()
    assert Store(repository / "runs").run_ids() == [run_id]


@pytest.fixture
def others(recorded: Path) -> Iterator[Path]:
    """A store that every user may read and none may write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Path(shutil.copytree(recorded / "runs", folder / "runs"))
        for path in store.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        store.chmod(0o555)
        # Unlike the folders that pytest makes.
        folder.chmod(0o755)
        yield store
        for path in (store, *store.rglob("*")):
            path.chmod(0o755)


def as_another(*arguments: str) -> str:
    """Makes a process one of a user who may write nothing, where it is root's.

    A user that is not root may be unable to read this very Python. So root calls the command once, in this way:
    what it needs is loaded then.
    """
    if os.getuid() != 0:
        return ""
    return (
        "import os; import exprec.recorder.display.terminal_text, exprec.recorder.diagnostics.secret_guard\n"
        "from click.testing import CliRunner; from exprec.cli.main import cli; import exprec.cli.__main__\n"
        f"assert CliRunner().invoke(cli, {arguments!r}).exit_code == 0\n"
        "from exprec.cli.terminal import redact_secrets; redact_secrets('what an error message needs')\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    )


def test_read_only_store_of_another_user_is_read_but_not_changed(recorded: Path, others: Path, tmp_path: Path) -> None:
    own = shutil.copytree(recorded / "runs", tmp_path / "own")
    proven, listed, *shown = said_of(recorded / "runs")
    before = _bytes_below(others)
    for path in EVERY.parent.glob(f"{EVERY.stem}.*"):
        # The checkout may lie in a folder that only its owner may enter.
        shutil.copyfile(path, others.parent / path.name)
        (others.parent / path.name).chmod(0o644)

    def call(*arguments: str, code: int = 0) -> tuple[bytes, bytes]:
        first = as_another(*arguments, "--store", str(own))
        done = exprec(*arguments, "--store", others, cwd=others.parent, code=code, first=first)
        return done.stdout, done.stderr

    assert call("verify", "--all")[0] == proven
    assert call("log", "--json")[0] == listed
    assert call("show", "asked", "-v")[0] in shown
    for arguments in (("tag", "mine", "asked"), ("run", str(others.parent / EVERY.name))):
        out, message = call(*arguments, code=6)
        assert out == b""
        assert b"Permission denied" in message
    assert _bytes_below(others) == before


def _bytes_below(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
