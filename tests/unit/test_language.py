"""Names, comments, docstrings, messages and pages use plain technical English: a search for phrases that are not.

Each phrase has a standard wording, given beside it. Fenced blocks of pages are not searched: they show what programs
print, and tests/docs compares them with it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fixtures.paths import ROOT

PHRASES = {
    r"\b(?:is|are|was|were) told\b": "describe it, or leave the sentence out",
    r"\bshall\b": "must, will, or the present tense",
    r"(?<!there )\b(?:is|are|was) (?-i:none)\b": "missing, not a ..., is not one",
    r"(?<!there )\bis no (?!longer\b|more\b)": "is not a ...",
    r"\b(?:comes?|came|coming) to (?!an? end\b)": "the result is, amounts to",
    r"\bgo(?:es|ing|ne)? on(?: with)?\b(?! to\b)": "resume, continue",
    r"\bhow-manieth\b": "ordinal, index",
    r"\bso (?:many|often)\b": "give the number, or a word for it",
    r"\bwh(?:oever|omever|om|ose (?:turn|business))\b": "the user, the caller, anyone who",
    r"\b(?:no|some|any|every)body\b": "no one, someone, the user, everyone",
    r"\bfor ever\b": "forever, permanently, always",
    r"\bst(?:ands?|ood|anding) (?:in|for|beside|there|on|at|before|behind|after)\b": "is in, means, is at",
    r"\b(?:has|have|had) not(?=[.,;:)\"']|$)": "does not have",
    r"\bin force\b": "current",
    r"\b(?:is|are|was) said\b": "reported, stated",
    r"\bas often as\b|\bevery so often\b": "once per ..., periodically",
    r"\bwas asked\b|\bwere asked\b": "requested, called; the inputs",
    r"\bwhat it says\b|\bsays (?:nothing|so) of\b": "state the content",
    r"\blies? (?:in|on|at|beside|below|within)\b": "is in",
    r"\bby it(?:self|s) (?:words|name)\b": "command line; by name",
    r"\bcall(?:s|ed)? (?:for )?the same\b": "same inputs",
    r"\bwhat is (?:none|no|left out)\b": "name it",
    r"\bleftovers?\b": "garbage, orphan",
    r"\bgive back\b|\bgives back\b": "return, restore",
}
NAMES = {"said", "told", "asked", "whoever", "leftovers"}
"""Words that are not names of variables, arguments, attributes or functions."""

UNFINISHED: tuple[str, ...] = ()
"""Folders and files that are still being revised."""

FROZEN = {
    # A prompt: requests to models are recorded, and their bytes are part of run ids.
    "recorder/payments/rules_text.py": ["Banks owe each other payments", "what you hold", "others pay"],
    # Problems of a proposed policy: recorded as the reason of its rejection, and sent to the model.
    "recorder/payments/policy/checks.py": ["the node_id '"],
    # Errors that end a run: the message is recorded in `experiment_failed`.
    "recorder/errors.py": ["(if that is no secret"],
    "recorder/sessions/known_secrets.py": ["as it stands there"],
    "recorder/schema/declared.py": ["is no event type: a small letter"],
    "recorder/schema/messages.py": ["is none of what its schema allows", "is none, or more than one, of what"],
}
"""Text that is recorded or sent to a model and therefore does not change, by file and an excerpt of its line."""


class Hit(NamedTuple):
    """A phrase that was found in a line of a file."""

    line: int
    text: str
    advice: str


def _sources() -> list[Path]:
    code = [path for folder in ("recorder", "cli", "schemas", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    folders = (
        ROOT / "docs",
        ROOT / "tests",
        ROOT / "tests" / "fuzz",
        ROOT / "tests" / "archive",
        *(ROOT / "examples").iterdir(),
    )
    pages = [page for folder in (ROOT, *folders) for page in folder.glob("*.md")]
    return sorted([*code, *pages, ROOT / "schemas" / "FORMAT.md"])


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _is_unfinished(path: Path) -> bool:
    return any(_name(path) == entry or _name(path).startswith(f"{entry}/") for entry in UNFINISHED)


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the text of a page, or the comments and string literals of a module, with line numbers."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        text = re.sub(r"^```.*?^```", lambda block: "\n" * block[0].count("\n"), text, flags=re.S | re.M)
        yield from enumerate(text.splitlines(), 1)
        return
    literal = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in literal:
            yield from enumerate(token.string.splitlines(), token.start[0])


def _hits(path: Path) -> Iterator[Hit]:
    frozen = FROZEN.get(_name(path), [])
    for number, line in _prose(path):
        for phrase, advice in PHRASES.items():
            if re.search(phrase, line, re.I) and not any(excerpt in line for excerpt in frozen):
                yield Hit(number, line.strip(), advice)
    if path.suffix == ".py":
        yield from _name_hits(path)


def _name_hits(path: Path) -> Iterator[Hit]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        name = getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "name", None)
        if isinstance(name, str) and name.strip("_") in NAMES and hasattr(node, "lineno"):
            yield Hit(node.lineno, name, "a noun for a value, a verb for a function")


@pytest.mark.parametrize("path", [path for path in _sources() if not _is_unfinished(path)], ids=_name)
def test_language_is_plain(path: Path) -> None:
    assert [f"{_name(path)}:{hit.line}: {hit.text} ({hit.advice})" for hit in _hits(path)] == []


def test_unfinished_entries_exist() -> None:
    assert [entry for entry in UNFINISHED if not (ROOT / entry).exists()] == []


def test_frozen_text_exists() -> None:
    for name, excerpts in FROZEN.items():
        text = (ROOT / name).read_text("utf-8")
        assert [excerpt for excerpt in excerpts if excerpt not in text] == []
