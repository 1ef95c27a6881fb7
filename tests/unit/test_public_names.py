"""The public names: what `import exprec` offers, and what each of them documents."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import exprec
from exprec import recorder
from exprec.recorder import errors
from tests.fixtures.paths import ROOT
from tests.fixtures.public_names import OF_THE_PLAN

ALIASES = {
    "ExperimentResult": "OptimizationResult",
    "ExperimentStateProvider": "ExperimentStateProviderProtocol",
    "StoredStateProvider": "DatabaseStateProvider",
}
"""The names that release 0.1 had."""
ROOM_FUNCTIONS = {"diff", "verify"}
"""Functions in `exprec`; in `exprec.recorder`, their names are those of packages."""


@pytest.mark.parametrize("name", dir(recorder))
def test_a_public_name_is_an_object_of_that_name(name: str) -> None:
    assert getattr(recorder, name).__name__ == ALIASES.get(name, name)
    assert getattr(exprec, name) is getattr(recorder, name)


def test_completion_offers_the_public_names_only() -> None:
    assert set(dir(exprec)) == {*dir(recorder), *ROOM_FUNCTIONS, "__version__"}
    assert len((set(dir(recorder)) | ROOM_FUNCTIONS) - OF_THE_PLAN) <= 25


@pytest.mark.parametrize("name", sorted(ROOM_FUNCTIONS))
def test_a_function_named_like_its_room_is_public_in_the_package(name: str) -> None:
    function = getattr(import_module(f"exprec.recorder.{name}"), name)
    assert inspect.isfunction(function)
    assert getattr(exprec, name) is function


def test_a_program_records_with_the_package_alone(tmp_path: Path) -> None:
    with exprec.record("train", {"lr": 0.1}, store=tmp_path / "runs") as run:
        run.event("epoch", iteration=1, loss=0.31)
    assert run.path == tmp_path / "runs" / run.id


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'exprec' has no attribute 'recrod'"):
        _ = exprec.recrod  # type: ignore[attr-defined]


def test_the_folder_of_a_checkout_does_not_hide_the_installed_package(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "exprec", tmp_path / "checkout" / "exprec")
    for folder in ("exprec", "recorder", "cli", "schemas"):
        shutil.copytree(
            ROOT / folder, tmp_path / "site" / "exprec" / ("" if folder == "exprec" else folder), dirs_exist_ok=True
        )
    places = [str(tmp_path / "checkout"), str(tmp_path / "site"), *sys.path]
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import exprec; print(exprec.record.__module__, exprec.__path__)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        cwd=tmp_path / "checkout",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[0] == recorder.record.__module__
    assert str(tmp_path / "site" / "exprec") in done.stdout


def _documented() -> list[tuple[str, object]]:
    """Each public function and class, and the public methods that these classes define."""
    found: list[tuple[str, object]] = []
    for name in dir(recorder):
        public = getattr(recorder, name)
        found.append((name, public))
        if inspect.isclass(public):
            found += [
                (f"{name}.{member}", value)
                for member, value in vars(public).items()
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
            ]
    return found


@pytest.mark.parametrize(("name", "public"), _documented(), ids=[name for name, _ in _documented()])
def test_a_public_name_has_a_docstring(name: str, public: object) -> None:
    assert inspect.getdoc(public), name


def test_every_error_that_a_caller_can_meet_is_documented() -> None:
    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, Exception) and not name.startswith("_"):
            assert error.__doc__, name
