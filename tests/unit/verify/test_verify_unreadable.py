"""What the system does not let verify read is told once, with its name, and nothing is concluded from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import Problem
from exprec.recorder.format import layout
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify.check import verify
from exprec.recorder.verify.messages import RESTORE
from exprec.recorder.verify.store import verify_store
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


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Lets a method of a path fail; modes would not do, because whoever may do everything runs tests too."""

    def refused(method: str, path: Path) -> None:
        real = getattr(Path, method)

        def failing(self: Path, *given: Any, **named: Any) -> Any:
            if self == path:
                raise PermissionError(13, "Permission denied", str(self))
            return real(self, *given, **named)

        monkeypatch.setattr(Path, method, failing)

    return refused


def told(problems: list[Problem]) -> list[tuple[str | None, tuple[Any, ...], str]]:
    return [(problem.source, problem.path, problem.message) for problem in problems]


def test_it_verifies(store: Store, run: Path) -> None:
    assert list(verify(RunDirectory(run))) == list(verify_store(store)) == []


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("method", ["open", "lstat"])
def test_a_file_of_a_run(run: Path, refuse: Refuse, method: str, quick: bool) -> None:
    names = sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    assert len(names) >= 6
    for name in names:
        with pytest.MonkeyPatch.context() as patched:
            real = getattr(Path, method)

            def failing(self: Path, *given: Any, path: Path = run / name, real: Any = real, **named: Any) -> Any:
                if self == path:
                    raise PermissionError(13, "Permission denied", str(self))
                return real(self, *given, **named)

            patched.setattr(Path, method, failing)
            found = told(list(verify(RunDirectory(run), quick=quick)))
        assert found == [(f"{run.name}/{name}", (), SAID)], name


def test_the_folder_of_a_run(run: Path, refuse: Refuse) -> None:
    refuse("iterdir", run)
    assert told(list(verify(RunDirectory(run)))) == [(run.name, (), AS_A_FOLDER)]


def test_a_folder_of_artifacts(run: Path, refuse: Refuse) -> None:
    refuse("iterdir", run / layout.ARTIFACTS_FOLDER)
    assert told(list(verify(RunDirectory(run)))) == [(f"{run.name}/{layout.ARTIFACTS_FOLDER}", (), AS_A_FOLDER)]


def test_the_attestations_of_a_run(store: Store, run: Path, refuse: Refuse) -> None:
    folder = store.path / "attestations" / run.name
    refuse("iterdir", folder)
    assert told(list(verify(RunDirectory(run)))) == [(f"attestations/{run.name}", (), AS_A_FOLDER)]


@pytest.mark.parametrize("method", ["open", "lstat"])
def test_an_attestation(store: Store, run: Path, refuse: Refuse, method: str) -> None:
    (path,) = (store.path / "attestations" / run.name).iterdir()
    refuse(method, path)
    assert told(list(verify(RunDirectory(run)))) == [(f"attestations/{run.name}/{path.name}", (), SAID)]


def test_a_store(store: Store, refuse: Refuse) -> None:
    refuse("iterdir", store.path)
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


@pytest.mark.parametrize("file", [layout.CONFIG_FILE, layout.SCHEMAS_FILE, layout.RUN_FILE])
def test_a_file_that_can_be_read_once(run: Path, refuse: Refuse, file: str) -> None:
    refuse("read_bytes", run / file)
    assert (f"{run.name}/{file}", (), SAID) in told(list(verify(RunDirectory(run))))


def test_a_file_too_large_to_be_one_of_exprecs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (run / layout.CONFIG_FILE).stat().st_size
    said = (f"{run.name}/{layout.CONFIG_FILE}", (), f"has {size} bytes, more than {size - 1}; {RESTORE}")
    for most, found in ((size, False), (size - 1, True)):
        monkeypatch.setattr(layout, "MAX_LINE_BYTES", most)
        assert (said in told(list(verify(RunDirectory(run))))) is found
