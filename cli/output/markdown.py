"""Markdown for comments on pull requests, in which text from a run cannot become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from exprec.recorder.diagnostics import visible

# What can begin markup, HTML, a link, an entity, a formula or a cell of a table; not `_` within a word.
COMMENT_BYTES = 60_000
"""The size of a comment on GitHub (65,536 characters), with room for text around it."""

_SPECIAL = re.compile(r"[\\`*\[\]<>|~$&@:#]|(?<=www)\.|(?<![^\W_])_|_(?![^\W_])", re.IGNORECASE)


def inline_code(text: str) -> str:
    """Return a text as inline code on one line, also for a cell of a table.

    It is a <code> element, not backticks: GitHub and GitLab link mentions (`@name`), issues (`#1`) and commits in
    text, however it is escaped, but not within code.

    Args:
        text: A name that was made visible, or a text in which values are quoted.
    """
    shown = visible(text, quoted=True)
    return f"<code>{_SPECIAL.sub(_entity, shown)}</code>" if shown else ""


def code_block(lines: Iterable[str], language: str = "") -> list[str]:
    """Return a fenced block of code, with a fence that is longer than any in the lines, which were made visible."""
    shown = [visible(line, quoted=True) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(longest + 1, 3)
    return [fence + language, *shown, fence]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Return a table of Markdown cells; with `numbers` all columns but the first are aligned to the right."""
    rule = ["---", *(["---:" if numbers else "---"] * (len(header) - 1))]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _entity(match: re.Match[str]) -> str:
    # An empty comment after the @: otherwise a@b.example becomes a mail link, even within code.
    return "&#64;<!-- -->" if match[0] == "@" else f"&#{ord(match[0])};"
