"""FORMAT.md and the tests agree: every fact is tested, and every tested fact is on the page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from exprec.recorder.format import layout
from tests.fixtures.events import EVENT_TYPES, OTHER_TYPES
from tests.fixtures.paths import ROOT

_LINES = (ROOT / "schemas" / "FORMAT.md").read_text("utf-8").splitlines()
_FACT = re.compile(r"(?:- |\| )\*\*(F\d+)\.\*\* ")
_INTRODUCTION = 2


def _facts() -> list[str]:
    return [match[1] for line in _LINES if (match := _FACT.match(line))]


def _marked(path: Path) -> Iterator[str]:
    """Yield the ids in the `fact` markers of a test module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fact":
                    assert node.name.startswith("test_"), node.name
                    yield from (ast.literal_eval(argument) for argument in decorator.args)


def test_every_fact_is_tested_and_every_tested_fact_is_written() -> None:
    folders = (Path(__file__).parent, ROOT / "tests" / "archive", ROOT / "tests" / "fault")
    tested = {fact for folder in folders for path in folder.glob("test_*.py") for fact in _marked(path)}
    assert sorted(tested ^ set(_facts())) == []


def test_the_ids_are_consecutive() -> None:
    assert _facts() == [f"F{number}" for number in range(1, len(_facts()) + 1)]


def test_page_consists_of_facts() -> None:
    plain, within_fact = [], False
    for line in _LINES:
        within_fact = bool(_FACT.match(line)) or (within_fact and line.startswith("  "))
        if line and not within_fact and not re.match(r"#+ |\| fact \||\| --- ", line):
            plain.append(line)
    assert len(plain) == _INTRODUCTION
    assert _LINES[2:4] == plain


def test_the_page_names_every_file_and_every_type_of_event() -> None:
    text = "\n".join(_LINES)
    names = {value for name, value in vars(layout).items() if name.endswith(("_FILE", "_FOLDER"))}
    assert len(names) >= 9
    for name in (*names, *EVENT_TYPES, *OTHER_TYPES, *layout.STREAMS, ".gitattributes", ".gitignore"):
        assert f"`{name}" in text, name
