"""What a branch does to the runs of a store, as lines for a terminal and as Markdown."""

from __future__ import annotations

from exprec.cli.output.review.markdown import review_markdown
from exprec.cli.output.review.text import review_lines

__all__ = ["review_lines", "review_markdown"]
