"""Text from a log made harmless for Markdown, as GitHub and GitLab read it in comments on changes.

It knows nothing of what is said, and nothing here prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from exprec.recorder.diagnostics import visible

# What can begin markup, HTML, a link, an entity, a formula or a cell of a table. Within a word `_` is just that.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~$&@:#]|(?<=www)\.|(?<![^\W_])_|_(?![^\W_])", re.IGNORECASE)


def code(text: str) -> str:
    """The text on one line, as code and exactly as it is written; it can stand in a table too.

    It is an element and not backticks: whoever finds mentions (`@name`), issues (`#1`) and commits in the text
    of a comment, whatever escapes it was written with, passes over code.
    """
    shown = visible(text)
    return f"<code>{_SPECIAL.sub(_entity, shown)}</code>" if shown else ""


def code_block(lines: Iterable[str], language: str = "") -> list[str]:
    """The lines of a block of code in which each of `lines` is one, whatever is in it."""
    shown = [visible(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(longest + 1, 3)
    return [fence + language, *shown, fence]


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = False) -> list[str]:
    """Return the lines of a table of Markdown cells; `figures` aligns all columns but the first to the right."""
    rule = ["---", *(["---:" if figures else "---"] * (len(header) - 1))]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _entity(match: re.Match[str]) -> str:
    # After an @ something that is nothing: else a@b.example becomes a link to write to, even within code.
    return "&#64;<!-- -->" if match[0] == "@" else f"&#{ord(match[0])};"
