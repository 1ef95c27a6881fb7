"""What is installed is what is here: every package and every schema, under one name."""

from __future__ import annotations

import tomllib
from importlib import import_module
from importlib.metadata import version

from exprec import schemas
from tests.fixtures.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_folder_with_code_is_in_the_list_of_packages() -> None:
    folders = {"exprec"} | {
        "exprec." + ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("recorder", "cli", "schemas")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert folders == set(PROJECT["tool"]["setuptools"]["packages"])


def test_every_folder_with_a_module_is_a_package() -> None:
    for top in ("recorder", "cli", "schemas"):
        for path in (ROOT / top).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path


def test_every_schema_file_is_installed() -> None:
    files = {path.name.removesuffix(".schema.json") for path in (ROOT / "schemas").glob("*.json")}
    assert files == set(schemas.names())


def test_the_version_is_that_of_the_build() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    module, _, name = PROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    assert getattr(import_module(f"exprec.{module}"), name) == version(PROJECT["project"]["name"])
