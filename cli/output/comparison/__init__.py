"""The comparison of two runs, as lines for a terminal and as Markdown."""

from __future__ import annotations

from exprec.cli.output.comparison.report import comparison_lines, comparison_markdown

__all__ = ["comparison_lines", "comparison_markdown"]
