"""Each dependency is declared with a true lower bound, and an older one is named before anything else goes wrong."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from exprec.recorder.requirements import DEPENDENCIES, describe_unmet, unmet_dependency
from tests.fixtures.paths import ROOT
from tests.unit.test_packaging import PROJECT

RUNTIME = ("cli", "exprec", "recorder", "schemas")
EXTRAS = PROJECT["project"]["optional-dependencies"]

UPPER_BOUNDS: set[str] = set()
"""The requirements with an upper bound, each with its reason in pyproject.toml: a version that is known to break."""

DISTRIBUTIONS = {
    "_pytest": "pytest",
    "click": "click",
    "hypothesis": "hypothesis",
    "jsonschema": "jsonschema",
    "jsonschema_rs": "jsonschema-rs",
    "numpy": "numpy",
    "orjson": "orjson",
    "pydantic_ai": "pydantic-ai-slim",
    "pytest": "pytest",
    "rich": "rich",
    "ruamel": "ruamel.yaml",
    "scipy": "scipy",
    "syrupy": "syrupy",
}
"""The distribution of each module that the code and the tests of the extra `test` import."""

OF_OTHER_EXTRAS = {"atheris", "libcst", "mutmut", "coverage"}
"""Modules that only the tools in tests/ import, each where its extra is installed."""


def _imported_modules(folder: str) -> Iterator[str]:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                yield node.module.partition(".")[0]


def _foreign(*folders: str) -> set[str]:
    imported = {module for folder in folders for module in _imported_modules(folder)}
    return imported - sys.stdlib_module_names - {"exprec", "tests", "benchmarks", "_typeshed"}


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~]", requirement)[0]


def test_what_commands_import_is_declared() -> None:
    declared = {*map(_name, DEPENDENCIES), *map(_name, EXTRAS["llm"])}
    assert {DISTRIBUTIONS[module] for module in _foreign(*RUNTIME)} == declared


def test_what_tests_import_is_declared() -> None:
    declared = {*map(_name, DEPENDENCIES), *map(_name, EXTRAS["llm"]), *map(_name, EXTRAS["test"])}
    assert {DISTRIBUTIONS[module] for module in _foreign("tests") - OF_OTHER_EXTRAS} <= declared


def test_messages_name_the_declared_requirements() -> None:
    assert list(DEPENDENCIES) == PROJECT["project"]["dependencies"]


@pytest.mark.parametrize("extra", ["", "llm", "test"])
def test_each_requirement_has_a_lower_bound_and_an_upper_one_only_with_a_reason(extra: str) -> None:
    requirements = EXTRAS[extra] if extra else PROJECT["project"]["dependencies"]
    for requirement in requirements:
        name = _name(requirement)
        if name == PROJECT["project"]["name"]:
            continue
        assert re.fullmatch(r"[\w.-]+(\[[\w,]+\])?>=\d[\d.]*(,<\d+)?", requirement), requirement
        assert ("<" in requirement) == (name in UPPER_BOUNDS), requirement


def test_the_installed_ones_are_new_enough() -> None:
    assert describe_unmet() is None
    # A trial that fails all the same names the package.
    assert str(unmet_dependency("rich")) == "rich does not do what exprec needs"


# --- Older versions ----------------------------------------------------------------------------------------

SHOW_WIDE = "from exprec.recorder.display import cell_len; print(cell_len('字'))"
RECORD = "import exprec\nwith exprec.record('x', store='runs') as run: run.event('step', iteration=1)"
START = "import sys; sys.argv[1:] = {words!r}; from exprec.cli.__main__ import main; main()"

OLD = {
    # the distribution: its version, the module and what is in it, a command, a program
    "click": ("8.0.4", "click.py", "", ["log"], None),
    "jsonschema": ("4.17.3", "jsonschema.py", "", ["check", "wrong.yaml"], None),
    "jsonschema-rs": (
        "0.51.0",
        "jsonschema_rs.py",
        "class Registry:\n    def __init__(self, _): pass\nclass RegexOptions: pass\n"
        "class Validator:\n    def is_valid(self, value): return False\n"
        "def validator_for(schema, *, registry=None, pattern_options=None): return Validator()\n",
        ["run", "--", "true"],
        RECORD,
    ),
    "orjson": (
        "3.11.6",
        "orjson.py",
        "OPT_SORT_KEYS = OPT_APPEND_NEWLINE = OPT_PASSTHROUGH_DATACLASS = OPT_PASSTHROUGH_DATETIME = 0\n"
        "OPT_PASSTHROUGH_SUBCLASS = OPT_INDENT_2 = 0\nloads = None\ndef dumps(value, *_): return b'1e16'\n",
        ["run", "--", "true"],
        RECORD,
    ),
    "rich": ("14.3.2", "rich/__init__.py", "class cells:\n    split_graphemes = lambda *_: ([], 0)\n", None, SHOW_WIDE),
    "ruamel.yaml": ("0.17.4", "ruamel/yaml/__init__.py", "", ["check", "wrong.yaml"], None),
}


def _install_old(folder: Path, name: str, version: str, module: str, source: str) -> None:
    # Found before what is installed, as the module and as its version.
    (folder / module).parent.mkdir(parents=True, exist_ok=True)
    (folder / module).write_text(source)
    facts = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def _run_with(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", OLD)
def test_an_older_dependency_is_one_clear_error(name: str, tmp_path: Path) -> None:
    version, module, source, words, program = OLD[name]
    _install_old(tmp_path, name, version, module, source)
    (tmp_path / "wrong.yaml").write_text("name: 1\n")
    requirement = next(each for each in DEPENDENCIES if _name(each) == name)
    expected = f"{requirement} is required, but {version} is installed; install it with: "
    if words is not None:
        done = _run_with(tmp_path, START.format(words=words))
        assert done.stderr.startswith(f"exprec: {expected}"), done.stderr
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    if program is not None:
        done = _run_with(tmp_path, program)
        assert done.stderr.splitlines()[-1].startswith(f"ImportError: {expected}"), done.stderr


def test_the_advice_installs_into_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "rich":
            raise metadata.PackageNotFoundError(name)
        return "3.11.6" if name == "orjson" else "999"

    monkeypatch.setattr(metadata, "version", version)
    message = describe_unmet()
    assert message is not None
    facts, _, command = message.partition("; install it with: ")
    orjson, rich = (next(each for each in DEPENDENCIES if _name(each) == name) for name in ("orjson", "rich"))
    assert facts == f"{orjson} is required, but 3.11.6 is installed, {rich} is required, but it is not installed"
    words = shlex.split(command)
    assert words[-2:] == [orjson, rich]
    assert sys.executable in words
    assert words[-3] == "install" or words[:3] == ["uv", "pip", "install"]


@pytest.mark.parametrize(("installed", "is_met"), [("8.1", True), ("8.1.0rc1", True), ("8.0.9", False), ("10", True)])
def test_versions_are_compared_by_their_numbers(installed: str, is_met: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: installed if name == "click" else "999")
    assert (describe_unmet() is None) == is_met
