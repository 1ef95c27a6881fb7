"""What the system does not let verify read is told once, with its name, and nothing is concluded from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import Problem, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.store.file_tree import FileSource
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run, verify_store
from exprec.recorder.verify.messages import RESTORE
from tests.fixtures import runs
from tests.fixtures.events import OBSERVATION

Refuse = Callable[[str, Path], None]
SAID = f"cannot be read (Permission denied); make it readable, or {RESTORE}"
AS_A_FOLDER = f"cannot be read as a folder (Permission denied); make it readable, or {RESTORE}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open_or_create(tmp_path / "runs")
    runs.record_command(store)
    (run_id,) = store.run_ids()
    store.attest(run_id, OBSERVATION)
    store.tag("best", run_id)
    return store


def refuse_in(patched: pytest.MonkeyPatch, call: str, path: Path) -> None:
    """Let a call fail for a path: `scandir` and `open` of `os`, or a method of Path."""
    owner: Any = os if call in ("scandir", "open") else Path
    real = getattr(owner, call)

    def failing(first: Any, *given: Any, **named: Any) -> Any:
        if first == path:
            raise PermissionError(13, "Permission denied", str(first))
        return real(first, *given, **named)

    patched.setattr(owner, call, failing)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Lets a call fail; modes would not do, because whoever may do everything runs tests too."""
    return partial(refuse_in, monkeypatch)


def told(problems: list[Problem]) -> list[tuple[str | None, tuple[Any, ...], str]]:
    return [(problem.source, problem.path, problem.message) for problem in problems]


def test_it_verifies(store: Store, run: Path) -> None:
    assert list(verify_run(RunDirectory(run))) == list(verify_store(store)) == []


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("method", ["open", "lstat"])
def test_a_file_of_a_run(run: Path, refuse: Refuse, method: str, quick: bool) -> None:
    names = sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    assert len(names) >= 6
    for name in names:
        with pytest.MonkeyPatch.context() as patched:
            refuse_in(patched, method, run / name)
            found = told(list(verify_run(RunDirectory(run), quick=quick)))
        assert found == [(f"{run.name}/{name}", (), SAID)], name


def test_the_folder_of_a_run(run: Path, refuse: Refuse) -> None:
    refuse("scandir", run)
    assert told(list(verify_run(RunDirectory(run)))) == [(run.name, (), AS_A_FOLDER)]


def test_a_folder_of_artifacts(run: Path, refuse: Refuse) -> None:
    refuse("scandir", run / layout.ARTIFACTS_FOLDER)
    assert told(list(verify_run(RunDirectory(run)))) == [(f"{run.name}/{layout.ARTIFACTS_FOLDER}", (), AS_A_FOLDER)]


def test_the_attestations_of_a_run(store: Store, run: Path, refuse: Refuse) -> None:
    folder = store.path / "attestations" / run.name
    refuse("scandir", folder)
    assert told(list(verify_run(RunDirectory(run)))) == [(f"attestations/{run.name}", (), AS_A_FOLDER)]


@pytest.mark.parametrize("method", ["open", "lstat"])
def test_an_attestation(store: Store, run: Path, refuse: Refuse, method: str) -> None:
    (path,) = (store.path / "attestations" / run.name).iterdir()
    refuse(method, path)
    assert told(list(verify_run(RunDirectory(run)))) == [(f"attestations/{run.name}/{path.name}", (), SAID)]


def test_a_store(store: Store, refuse: Refuse) -> None:
    refuse("scandir", store.path)
    assert told(list(verify_store(store))) == [(".", (), AS_A_FOLDER)]


def test_what_stands_in_a_store(store: Store, run: Path, refuse: Refuse) -> None:
    refuse("lstat", store.path / "notes")
    (store.path / "notes").write_text("mine")
    assert told(list(verify_store(store))) == [("notes", (), SAID)]


def test_a_tag_among_others(store: Store, refuse: Refuse) -> None:
    refuse("read_bytes", store.path / "tags" / "best")
    (store.path / "tags" / "worst").write_text("nothing")
    first, second = told(list(verify_store(store)))
    assert first == ("tags/best", (), SAID)
    assert second[0] == "tags/worst"


@pytest.mark.parametrize("file", [layout.CONFIG_FILE, layout.EVENTS_FILE, layout.SCHEMAS_FILE, layout.RUN_FILE])
def test_a_file_that_can_be_opened_and_not_read(run: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    real = FileSource.read

    def failing(source: FileSource, offset: int, size: int) -> bytes:
        if source.path == run / file:
            raise StorageFailure(source.path, PermissionError(13, "Permission denied"))
        return real(source, offset, size)

    monkeypatch.setattr(FileSource, "read", failing)
    assert told(list(verify_run(RunDirectory(run)))) == [(f"{run.name}/{file}", (), SAID)]


def test_each_file_is_opened_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    real = os.open

    def noting(path: str | Path, *given: int) -> int:
        opened.append(Path(path))
        return real(path, *given)

    monkeypatch.setattr(os, "open", noting)
    assert list(verify_run(RunDirectory(run))) == []
    of_the_run = sorted(path.relative_to(run) for path in opened if path.is_relative_to(run))
    assert of_the_run == sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())


def test_a_file_too_large_to_be_one_of_exprecs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (run / layout.CONFIG_FILE).stat().st_size
    said = (f"{run.name}/{layout.CONFIG_FILE}", (), f"has {size} bytes, more than {size - 1}; {RESTORE}")
    for most, found in ((size, False), (size - 1, True)):
        monkeypatch.setattr(layout, "MAX_LINE_BYTES", most)
        assert (said in told(list(verify_run(RunDirectory(run))))) is found
