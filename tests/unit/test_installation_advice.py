"""Advice to install a package works wherever exprec was installed from, and names no package of another project."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from exprec.recorder.requirements import EXTRAS, install_extra
from tests.fixtures.paths import ROOT
from tests.unit.test_packaging import PROJECT

SOURCES = sorted(path for folder in ("cli", "exprec", "recorder", "schemas") for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])

_INSTALLS = re.compile(r"\b(?:pip3?|pipx|uv pip|uv tool|uv add|poetry add|conda)\s+(?:install|add)\b|\binstall\s+--")
_OURS = re.compile(r"\bexprec(?:-store)?\[")
_OTHERS = {"sacred", "mlflow", "dvclive"}
"""Packages that pages may install by name."""


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_message_writes_an_installation_itself() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in SOURCES
        for line, text in _strings(path)
        if _INSTALLS.search(text) or _OURS.search(text)
    ]
    assert found == [], "use exprec.recorder.requirements"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_install_exprec_from_a_clone_only(path: Path) -> None:
    text = re.sub(r"(pip)\s+(install)\s+", r"\1 \2 ", path.read_text("utf-8"))
    for command in re.findall(r"pip install ([^`\n]+)", text):
        words = [word for word in shlex.split(command, comments=True) if not word.startswith("-")]
        for word in words:
            name = re.split(r"[\[<>=]", word)[0]
            assert name in {".", "..."} | _OTHERS, f"{path.name}: pip install {command}"


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_advice_is_what_the_extra_installs(extra: str) -> None:
    assert list(EXTRAS[extra]) == PROJECT["project"]["optional-dependencies"][extra]
    assert shlex.split(install_extra(extra)) == ["pip", "install", *EXTRAS[extra]]


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["project"]["name"] == "exprec-store"
    assert PROJECT["project"]["scripts"] == {"exprec": "exprec.cli.__main__:main"}
    for requirements in PROJECT["project"]["optional-dependencies"].values():
        assert not [each for each in requirements if re.match(r"exprec\b(?!-store)", each)]
